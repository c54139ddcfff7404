"""`deterministic=True`: all ranks together and this process alone give the same bits.

The file passes at any number of ranks, so that all numbers give the bits of one.
"""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras._errors import DistributionError

layers = tf.keras.layers
RNG = np.random.default_rng(1)
ROWS = 43
X = RNG.standard_normal((ROWS, 6)).astype("float32")
IMAGES = RNG.standard_normal((ROWS, 9, 8, 2)).astype("float32")
WORDS = RNG.integers(0, 12, (ROWS, 5)).astype("float32")
CLASSES = RNG.integers(0, 4, ROWS)
WEIGHTS = RNG.uniform(0.1, 2, ROWS).astype("float32")


def mlp(**options):
    return tf.keras.Sequential(
        [
            layers.Dense(16, activation="relu", input_shape=(6,), **options),
            layers.Dropout(0.4),
            layers.Dense(4, activation="softmax"),
        ]
    )


def cnn():
    inputs = tf.keras.Input((9, 8, 2))
    x = layers.Conv2D(5, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    return tf.keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


def embedding():
    words = tf.keras.Input((5,))
    x = layers.GlobalAveragePooling1D()(layers.Embedding(12, 6)(words))
    return tf.keras.Model(words, layers.Dense(4, activation="softmax")(x))


class OwnStep(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.out = layers.Dense(4, activation="softmax")

    def call(self, inputs):
        return self.out(inputs)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compiled_loss(y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"size": tf.reduce_sum(gradients[0] ** 2), "share": loss}


adam = tf.keras.optimizers.Adam
sgd = tf.keras.optimizers.SGD
l2 = tf.keras.regularizers.l2
CASES = {
    "adam, dropout, ragged last batch": (mlp, lambda: adam(0.01), X, {"batch_size": 10}),
    "fewer rows than micro-shards, or than ranks": (mlp, lambda: adam(0.01), X, {"batch_size": 3}),
    "one batch": (mlp, lambda: adam(0.01), X, {"batch_size": 64}),
    "clipnorm": (mlp, lambda: adam(0.01, clipnorm=0.05), X, {"batch_size": 20}),
    "global clipnorm": (mlp, lambda: sgd(0.1, global_clipnorm=0.05), X, {"batch_size": 20}),
    "sample weights": (mlp, lambda: adam(0.01), X, {"batch_size": 20, "sample_weight": WEIGHTS}),
    "regularisation": (lambda: mlp(kernel_regularizer=l2(0.01)), lambda: sgd(0.1, momentum=0.9), X, {"batch_size": 20}),
    "convolution": (cnn, lambda: tf.keras.optimizers.RMSprop(0.005), IMAGES, {"batch_size": 20}),
    "an embedding, all rows updated": (embedding, lambda: adam(0.01), WORDS, {"batch_size": 20}),
    "an embedding, some rows updated": (embedding, lambda: sgd(0.1), WORDS, {"batch_size": 20}),
    "a step of one's own": (OwnStep, lambda: adam(0.01), X, {"batch_size": 20}),
    "validation": (mlp, lambda: adam(0.01), X, {"batch_size": 20, "validation_split": 0.3}),
}


def strategies():
    return tf.distribute.MirroredStrategy(deterministic=True), tf.distribute.OneDeviceStrategy(deterministic=True)


def train(strategy, make, optimizer, x, fit_with):
    tf.keras.backend.clear_session()
    tf.random.set_seed(3)
    with strategy.scope():
        model = make()
        model.compile(optimizer(), "sparse_categorical_crossentropy", ["accuracy"])
    history = model.fit(x, CLASSES, epochs=2, verbose=0, **fit_with).history
    evaluation = model.evaluate(x, CLASSES, batch_size=10, verbose=0)
    on_batch = model.train_on_batch(x[:11], CLASSES[:11], reset_metrics=False)
    read = [float(metric.result()) for metric in model.metrics]
    return (
        history,
        evaluation,
        [*on_batch, *read] if isinstance(on_batch, list) else [on_batch, *read],
        [*model.get_weights(), model.predict(x, batch_size=16)],
    )


def assert_same_bits(mine, theirs):
    assert mine[:3] == theirs[:3]
    for one, other in zip(mine[3], theirs[3], strict=True):
        np.testing.assert_array_equal(one.view(np.int32), other.view(np.int32))


@pytest.mark.parametrize("case", CASES)
def test_n_ranks_give_the_bits_of_one(case):
    everyone, alone = strategies()
    assert_same_bits(train(everyone, *CASES[case]), train(alone, *CASES[case]))


def test_step_by_step_is_refused():
    refused(mlp, "needs compiled steps", run_eagerly=True)


@pytest.mark.parametrize("case", ["adam, dropout, ragged last batch", "an embedding, some rows updated", "validation"])
def test_the_numbers_are_those_of_the_usual_mode(case):
    usual = train(tf.distribute.OneDeviceStrategy(), *CASES[case])
    history, evaluation, on_batch, arrays = train(strategies()[0], *CASES[case])
    assert history.keys() == usual[0].keys()
    for name in history:
        np.testing.assert_allclose(history[name], usual[0][name], 2e-4, 2e-5)
    np.testing.assert_allclose(evaluation, usual[1], 2e-4, 2e-5)
    np.testing.assert_allclose(on_batch, usual[2], 2e-4, 2e-5)
    for mine, theirs in zip(arrays, usual[3], strict=True):
        np.testing.assert_allclose(mine, theirs, 2e-3, 2e-4)


def refused(make, match, data=(X, CLASSES), **compile_with):
    strategy, _ = strategies()
    with strategy.scope():
        model = make()
        model.compile(**{"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", **compile_with})
    model.build((None, 6))
    before = model.get_weights()
    with pytest.raises(DistributionError, match=match):
        model.fit(*data, verbose=0)
    assert all((one == other).all() for one, other in zip(before, model.get_weights(), strict=True))


def test_batch_normalisation_is_refused():
    def make():
        return tf.keras.Sequential([layers.BatchNormalization(input_shape=(6,)), layers.Dense(4, "softmax")])

    refused(make, "cannot normalise over the whole batch")


def test_two_updates_in_a_step_are_refused():
    class Twice(OwnStep):
        def train_step(self, data):
            super().train_step(data)
            return super().train_step(data)

    refused(Twice, "one apply_gradients in a step, .*Twice.train_step makes 2")


def test_assignments_are_refused():
    class Counting(layers.Layer):
        def build(self, shape):
            self.seen = self.add_weight("seen", (), initializer="zeros", trainable=False)

        def call(self, inputs):
            self.seen.assign_add(1.0)
            return inputs

    def make():
        return tf.keras.Sequential([Counting(input_shape=(6,)), layers.Dense(4, "softmax")])

    refused(make, "the step assigns .*seen:0")


def test_metrics_that_are_no_sums_are_refused():
    class Last(tf.keras.metrics.SparseCategoricalAccuracy):
        merge = "last"

    refused(mlp, "the state of 'last' is merged otherwise", metrics=[Last(name="last")])


def test_sums_over_ranks_inside_of_a_step_are_refused():
    class Summing(OwnStep):
        def train_step(self, data):
            logs = super().train_step(data)
            return {"total": tf.distribute.get_strategy().reduce("SUM", logs["size"], axis=None)}

    refused(Summing, "Sums over ranks cannot be taken inside of a step")


@pytest.mark.mpi(min_size=3)
def test_data_that_is_cut_otherwise_is_refused(communicator):
    if 16 % communicator.size == 0:
        return  # such numbers of ranks fit
    data = tf.data.Dataset.from_tensor_slices((X, CLASSES)).batch(19)
    refused(mlp, "of a batch of 19, its micro-shards are rows", data=(data,))


def test_loops_of_ones_own_are_refused():
    strategy, _ = strategies()
    with strategy.scope():
        optimizer, variable = sgd(0.1), tf.Variable([1.0])
    with pytest.raises(DistributionError, match="a loop of one's own does not"):
        strategy.experimental_run_v2(lambda: optimizer.apply_gradients([(tf.constant([1.0]), variable)]))
    with pytest.raises(ValueError, match="does not go with deterministic=True"):
        optimizer.apply_gradients([(tf.constant([1.0]), variable)], experimental_aggregate_gradients=False)
    assert variable.numpy() == 1.0
