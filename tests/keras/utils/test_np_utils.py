import numpy as np
import pytest

import distkeras as tf


@pytest.mark.parametrize(
    ("y", "num_classes", "shape"),
    [
        ([0, 2, 1], None, (3, 3)),
        ([[0], [2]], 5, (2, 5)),
        ([[0, 1], [2, 3]], None, (2, 2, 4)),
        (2, None, (3,)),
        ([], 3, (0, 3)),
    ],
)
def test_to_categorical(y, num_classes, shape):
    one_hot = tf.keras.utils.to_categorical(y, num_classes)
    assert one_hot.shape == shape and one_hot.dtype == np.float32
    np.testing.assert_array_equal(one_hot.argmax(-1), np.asarray(y).reshape(shape[:-1]))
    np.testing.assert_array_equal(one_hot.sum(-1), np.ones(shape[:-1]))


def test_to_categorical_types():
    assert tf.keras.utils.to_categorical([1.0, 0.0], dtype="int64").dtype == np.int64
    assert tf.keras.utils.to_categorical([1], dtype=tf.float64).dtype == np.float64


@pytest.mark.parametrize(
    ("y", "num_classes", "message"),
    [([0.5], None, "integer classes"), ([3], 3, "from 0 to 2, received 3"), ([-1], 3, "received -1")],
)
def test_what_is_no_class(y, num_classes, message):
    with pytest.raises(ValueError, match=message):
        tf.keras.utils.to_categorical(y, num_classes)


@pytest.mark.parametrize(("axis", "order"), [(-1, 2), (0, 2), (1, 1)])
def test_normalize(axis, order):
    x = np.random.RandomState(0).randn(3, 4)
    x[:, 0] = x[0] = 0
    norms = np.linalg.norm(tf.keras.utils.normalize(x, axis, order), order, axis)
    np.testing.assert_allclose(norms[1:], 1)
    assert norms[0] == 0
