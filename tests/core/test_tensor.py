from __future__ import annotations

import copy

import numpy as np
import pytest

import distkeras as tf
from distkeras.core.tensor import to_tensor


def test_what_a_tensor_shows():
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    assert repr(x) == (
        "<tf.Tensor: shape=(2, 2), dtype=float32, numpy=\narray([[1., 2.],\n       [3., 4.]], dtype=float32)>"
    )
    assert str(tf.constant(2)) == "tf.Tensor(2, shape=(), dtype=int32)"
    assert str(x) == "tf.Tensor(\n[[1. 2.]\n [3. 4.]], shape=(2, 2), dtype=float32)"
    assert f"{tf.constant(2.5):.2f} {tf.constant(2)} {x[0]}" == "2.50 2 [1. 2.]"
    assert f"{tf.keras.Input((2,), name='x')}" == 'Tensor("x:0", shape=(None, 2), dtype=float32)'
    assert x.shape == (2, 2) and x.get_shape() == (2, 2) and x.ndim == 2 and x.dtype == tf.float32
    assert x.device.endswith("CPU:0")
    with pytest.raises(AttributeError, match="meaningless when eager"):
        _ = x.name


def test_python_values():
    assert float(tf.constant(2.5)) == 2.5 and int(tf.constant(2)) == 2 and bool(tf.constant([True])) is True
    assert [10, 20, 30][tf.constant(1)] == 20
    assert isinstance(tf.constant(1.0).numpy(), np.float32)
    with pytest.raises(TypeError):
        [10, 20][tf.constant(1.0)]
    with pytest.raises(ValueError, match="ambiguous"):
        bool(tf.constant([True, False]))


def test_numpy_takes_tensors():
    x = tf.constant([1.0, 2.0])
    assert np.asarray(x).tolist() == [1.0, 2.0] and np.asarray(x, np.float64).dtype == np.float64
    assert np.sum(x) == 3.0
    np.asarray(x)[:] = 7
    assert x.numpy().tolist() == [1.0, 2.0]


def test_tensors_are_keys_by_identity_and_copies_are_the_same():
    x, y = tf.constant(1.0), tf.constant(1.0)
    assert len({x: 1, y: 2}) == 2
    assert copy.copy(x) is x and copy.deepcopy([x])[0] is x


def test_set_shape_checks():
    tf.ones((2, 3)).set_shape([None, 3])
    with pytest.raises(ValueError, match="incompatible"):
        tf.ones((2, 3)).set_shape([3, 3])


@pytest.mark.parametrize(
    "value, dtype",
    [
        (1, "int32"), (1.0, "float32"), (True, "bool"), (1j, "complex128"), ("a", "string"), (b"a", "string"),
        ([1, 2.5], "float32"), ([np.float64(1)], "float64"), (np.float64(1), "float64"), (-(2**31) - 1, "int64"),
        (np.arange(3, dtype=np.int16), "int16"), ([tf.constant(1.0)], "float32"), (range(3), "int32"), ([], "float32"),
        ([[True], [False]], "bool"), (tf.Variable(1), "int32"),
    ],
)  # fmt: skip
def test_the_type_that_values_get(value, dtype):
    assert to_tensor(value).dtype == dtype


def test_to_tensor_leaves_tensors_alone_and_arrays_copied():
    x = tf.constant([1.0])
    assert to_tensor(x) is x
    strided = np.arange(6.0).reshape(2, 3).T
    assert to_tensor(strided)._array.flags.c_contiguous
    frozen = np.arange(3.0)
    frozen.flags.writeable = False
    assert to_tensor(frozen)._array.flags.writeable


def test_repr_shows_scalars_as_numbers():
    assert repr(tf.constant(1.5)) == "<tf.Tensor: shape=(), dtype=float32, numpy=1.5>"
    assert repr(tf.Variable(2, name="n")) == "<tf.Variable 'n:0' shape=() dtype=int32, numpy=2>"
    assert "numpy=array([1., 2.], dtype=float32)" in repr(tf.constant([1.0, 2.0]))
