"""The order in which samples are seen."""

import numpy as np

import distkeras as tf
from tests.keras.training.models import linear


def orders(model, epochs=1, samples=10, **options):
    """The rows each epoch saw, read back from a loss that keeps its targets."""
    seen = []

    class Keeps(tf.keras.losses.Loss):
        def call(self, y_true, y_pred):
            seen.extend(y_true.numpy().ravel().astype(int).tolist())
            return tf.reduce_mean(y_pred * 0.0, axis=-1)

    model.compile("sgd", Keeps(), run_eagerly=True)
    rows = np.arange(samples)
    model.fit(np.zeros((samples, 2)), rows, batch_size=4, epochs=epochs, verbose=0, **options)
    return [seen[start : start + samples] for start in range(0, len(seen), samples)]


def test_epochs_are_shuffled_each_in_its_own_way():
    first, second = orders(linear(), epochs=2)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second and first != list(range(10))


def test_no_shuffling():
    assert orders(linear(), epochs=2, shuffle=False) == [list(range(10))] * 2


def test_a_resumed_training_sees_the_orders_of_an_uninterrupted_one():
    tf.random.set_seed(7)
    whole = orders(linear(), epochs=4)
    tf.random.set_seed(7)
    assert orders(linear(), epochs=2) + orders(linear(), epochs=4, initial_epoch=2) == whole
    tf.random.set_seed(8)
    assert orders(linear(), epochs=4) != whole


def test_fitting_again_for_one_epoch_takes_a_new_order():
    model = linear()
    assert orders(model) != orders(model)


def test_validation_split_takes_the_last_samples_before_shuffling():
    (order,) = orders(linear(), validation_split=0.3)
    assert sorted(order[:7]) == list(range(7)) and order[7:] == [7, 8, 9]
