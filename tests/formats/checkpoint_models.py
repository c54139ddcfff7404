"""Models and objects whose checkpoints are exchanged with TensorFlow: `tf` is distkeras or TensorFlow with tf_keras."""

import numpy as np


def sequential(tf):
    """Layers with and without weights; weights that are not trained.

    A bias before the normalisation would have no gradient but rounding, which Adam makes as large as any.
    """
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.Dense(4, use_bias=False, input_shape=(4,)),
            layers.Dropout(0.0),
            layers.BatchNormalization(),
            layers.Dense(2),
        ]
    )


def functional(tf):
    """A model in a model, and a layer that is called twice."""
    layers = tf.keras.layers
    x = layers.Input((4,), name="x")
    inner = tf.keras.Sequential([layers.Dense(3, input_shape=(4,), name="id")], name="inner")
    shared = layers.Dense(4, activation="tanh", name="shared")
    joined = layers.Concatenate(name="join")([shared(x), shared(shared(x)), inner(x)])
    return tf.keras.Model(x, layers.Dense(2, name="out")(joined), name="functional")


def subclassed(tf):
    """Layers in lists, tuples and dicts, in a layer and a model made by subclassing, and variables of their own."""
    layers = tf.keras.layers

    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.steps = [layers.Dense(3), layers.Dense(2)]
            self.pair = (layers.Dense(2),)

        def build(self, input_shape):
            self.factor = self.add_weight("scale", shape=(2,), initializer="ones")
            super().build(input_shape)

        def call(self, inputs):
            for step in self.steps:
                inputs = step(inputs)
            return self.pair[0](inputs) * self.factor

    class Nested(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = tf.keras.Sequential([layers.Dense(3, activation="relu")])
            self.block = Block()
            self.heads = {"a.b/c": layers.Dense(2)}
            self.shift = tf.Variable([0.5, -0.5])

        def call(self, inputs):
            return self.heads["a.b/c"](self.block(self.inner(inputs))) + self.shift

    return Nested()


MODELS = {"sequential": sequential, "functional": functional, "subclassed": subclassed}


def optimizers(tf, legacy):
    """By name; `legacy` has the optimizers of TF 2.0."""
    schedule = tf.keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    return {
        "adam": lambda: legacy.Adam(0.01),
        "schedule": lambda: legacy.SGD(schedule, momentum=0.9),
        "rmsprop": lambda: legacy.RMSprop(0.01),
    }


def data():
    """Inputs and targets for each of the models."""
    random = np.random.RandomState(5)
    return random.rand(8, 4).astype("float32"), random.rand(8, 2).astype("float32")


def objects(tf, fill):
    """A `tf.train.Checkpoint` with variables of several types, in lists and dicts, each element being `fill`."""
    kinds = ("float32", "float64", "int64", "bool")
    variables = [tf.Variable(np.full((2, 3), fill, kind)) for kind in kinds]
    return tf.train.Checkpoint(
        step=tf.Variable(int(fill)),
        listed=variables,
        mapped={"one": tf.Variable(np.full(3, fill, "float32")), "more": [tf.Variable(np.full((), fill, "int32"))]},
        metric=tf.keras.metrics.Mean(name="mean"),
    )
