"""Steps of one's own under a strategy give the numbers of one process, whatever the slices."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from tests.keras.training.own_models import Adversaries, KeepsItsOwnLoss, UsesWhatWasCompiled

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


@pytest.mark.parametrize("train", [what_was_compiled, its_own_loss, adversaries])
def test_numbers_are_those_of_one_process(train):
    with tf.distribute.OneDeviceStrategy().scope():
        expected, expected_history = train()
    with tf.distribute.MirroredStrategy().scope():
        model, history = train()
    assert list(history) == list(expected_history)
    for name, values in expected_history.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)
    for one, other in zip(model.trainable_weights, expected.trainable_weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)
