"""Steps of one's own under a strategy give the numbers of one process, whatever the slices."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from tests.keras.training.own_models import Adversaries, KeepsItsOwnLoss, OverlappingOptimizers, UsesWhatWasCompiled

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(11, 2)).astype("float32")
Y = X.sum(1)
FIT = {"batch_size": 5, "epochs": 2, "shuffle": False, "verbose": 0}  # the last batch has one sample


def what_was_compiled():
    model = UsesWhatWasCompiled([tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="zeros")])
    model.compile("sgd", "mse", metrics=["mae"])
    return model, model.fit(X, Y, validation_data=(X[:3], Y[:3]), **FIT).history


def its_own_loss():
    model = KeepsItsOwnLoss()
    model.compile("sgd")
    return model, model.fit(X, {"sum": [Y]}, sample_weight=np.linspace(0, 1, 11), **FIT).history


def adversaries():
    tf.random.set_seed(3)
    model = Adversaries()
    model.compile(tf.keras.optimizers.SGD(0.1), tf.keras.optimizers.Adam(0.01))
    model.fit(X, **FIT)
    return model, {}


def two_optimizers(**options):
    layers = [tf.keras.layers.Dense(width, kernel_initializer="ones") for width in (4, 1)]
    model = OverlappingOptimizers(layers)
    model.compile("adam", "mse", **options)
    model.fit(X, Y, **FIT)  # of batches of 5 and 1 some ranks have as many rows, others trace anew
    model.layers[0].bias.assign_add([0.1] * 4)
    return model, model.fit(X, Y, **FIT).history


def two_optimizers_of_one_layer():
    with pytest.warns(UserWarning, match="updated by 'SGD' and another optimizer in one step"):
        return two_optimizers(overlap=True)


class PredictsMore(tf.keras.Sequential):
    def predict_step(self, data):
        outputs = super().predict_step(data)
        return {"outputs": outputs, "pair": [outputs * 2.0, data + 1.0]}

    def test_step(self, data):
        rows = tf.cast(tf.shape(data[0])[0], "float32")
        return {**super().test_step(data), "rows": rows}


@pytest.mark.parametrize("eager", [False, True])
def test_predictions_of_any_structure_are_whole_and_in_order(eager):
    with tf.distribute.MirroredStrategy().scope():
        model = PredictsMore([tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
        model.compile("sgd", "mse", run_eagerly=eager)
    found = model.predict(X, batch_size=5)
    np.testing.assert_allclose(found["outputs"][:, 0], Y, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["pair"][0], 2 * found["outputs"])
    np.testing.assert_array_equal(found["pair"][1], X + 1)
    loss, rows = model.evaluate(X, Y, batch_size=11, verbose=0)
    assert loss == pytest.approx(0.0, abs=1e-9)
    ranks = tf.distribute.MirroredStrategy().num_replicas_in_sync
    slices = [len(part) for part in np.array_split(X, ranks)]
    assert rows == pytest.approx(sum(size * size for size in slices) / 11)  # numbers are weighted by each rank's share


TRAININGS = [what_was_compiled, its_own_loss, adversaries, two_optimizers, two_optimizers_of_one_layer]


@pytest.mark.parametrize("train", TRAININGS)
def test_numbers_are_those_of_one_process(train):
    with tf.distribute.OneDeviceStrategy().scope():
        expected, expected_history = train()
    with tf.distribute.MirroredStrategy().scope():
        model, history = train()
    assert list(history) == list(expected_history)
    for name, values in expected_history.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    for one, other in zip(model.trainable_weights, expected.trainable_weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)
