"""A model whose layers compute in float16, for the recorder and the test; `tf` is either TensorFlow or distkeras."""

import numpy as np

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (24, 8, 8, 3)).astype("float32")
CLASSES = RNG.integers(0, 4, 24)
STEPS = 6


def network(tf, policy):
    layers = tf.keras.layers
    x = inputs = tf.keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, use_bias=False, dtype=policy)(x)
    x = layers.BatchNormalization(dtype=policy)(x)
    x = layers.Activation("relu", dtype=policy)(x)
    x = layers.AveragePooling2D(dtype=policy)(x)
    x = layers.Reshape((9, 6), dtype=policy)(x)
    x = layers.LSTM(5, dtype=policy)(x)
    x = layers.Dense(4, dtype=policy)(x)
    return tf.keras.Model(inputs, layers.Activation("softmax", dtype="float32")(x))


def weights(model):
    rng = np.random.default_rng(1)
    return [
        np.abs(weight) if "variance" in variable.name else weight
        for variable in model.weights
        for weight in [rng.normal(0, 0.4, tuple(variable.shape)).astype("float32")]
    ]


def train(tf, model, optimizer):
    """Losses of some steps by hand, as both libraries are told to."""
    measure, losses = tf.keras.losses.SparseCategoricalCrossentropy(), []
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            loss = measure(CLASSES, model(IMAGES, training=True))
            scaled = optimizer.get_scaled_loss(loss)
        variables = model.trainable_variables
        gradients = optimizer.get_unscaled_gradients(tape.gradient(scaled, variables))
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        losses.append(float(loss))
    return losses
