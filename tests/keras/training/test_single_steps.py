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


@pytest.mark.parametrize("is_writeable", [True, False])
@pytest.mark.parametrize("way", ["train_on_batch", "test_on_batch", "generator"])
def test_classes_of_each_batch_are_checked(way, is_writeable):
    model = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="softmax", input_shape=(X.shape[1],))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    batches = [(X[:4], np.array(classes)) for classes in ([0, 1, 2, 0], [2, 1, 0, 0], [0, 1, 2, 3])]
    for _, classes in batches:
        classes.flags.writeable = is_writeable
    with pytest.raises(ValueError, match="classes from 0 to 2.*received classes from 0 to 3"):
        if way == "generator":
            model.fit(iter(batches), steps_per_epoch=3, workers=0, verbose=0)
        for batch in batches:
            getattr(model, way)(*batch)


def test_what_fits_is_remembered_for_the_targets_it_came_with():
    model = linear()
    for _ in range(2):
        model.train_on_batch(X[:4], Y[:4])
        with pytest.raises(ValueError, match="4 input samples and 3 target"):
            model.train_on_batch(X[:4], Y[:3])
        with pytest.raises(ValueError, match="shape"):
            model.train_on_batch(X[:4, :-1], Y[:4])
        double = model.train_on_batch(X[:4].astype("float64"), Y[:4].astype("float64"))
        assert np.isfinite(double)
