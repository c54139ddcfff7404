"""train_on_batch, test_on_batch and predict_on_batch."""

import numpy as np
import pytest

import distkeras as tf
from tests.keras.training.models import X, Y, linear


def test_single_steps_report_their_own_loss():
    model = linear(tf.keras.optimizers.SGD(0.0), metrics=["mse"])
    first = model.train_on_batch(X[:4], Y[:4], reset_metrics=False)
    second = model.train_on_batch(X[4:], Y[4:], reset_metrics=False)
    assert first == pytest.approx([np.mean(Y[:4] ** 2)] * 2)
    assert second == pytest.approx([np.mean(Y[4:] ** 2), np.mean(Y**2)])
    model.reset_metrics()
    assert model.test_on_batch(X[:4], Y[:4]) == first
    assert model.test_on_batch(X[:4], Y[:4], sample_weight=np.zeros(4)) == pytest.approx([0.0, first[1]])
    assert linear(loss="binary_crossentropy").train_on_batch(X[:4], [0, 1, 0, 1], class_weight={0: 0.0, 1: 0.0}) == 0.0
    assert model.predict_on_batch(X).shape == (10, 1)
