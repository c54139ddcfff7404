"""`tf.keras.backend`: products of batches, normalisation, folds, and what is left of TF 1."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

K = tf.keras.backend
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "x, y, axes, equation",
    [
        ((4, 3), (4, 3), 1, "ba,ba->b"),
        ((4, 3), (4, 3), None, "ba,ba->b"),
        ((4, 3, 2), (4, 2, 5), None, "bca,bad->bcd"),
        ((4, 3, 2), (4, 5, 2), 2, "bca,bda->bcd"),
        ((4, 3, 2), (4, 5, 2), -1, "bca,bda->bcd"),
        ((4, 3, 2), (4, 3), 1, "bac,ba->bc"),
        ((4, 3), (4, 3, 2), (1, 1), "ba,bac->bc"),
        ((4, 2, 3, 5), (4, 3), (2, 1), "bcad,ba->bcd"),
    ],
)
def test_batch_dot(x, y, axes, equation):
    x, y = (RANDOM.standard_normal(shape).astype("float32") for shape in (x, y))
    expected = np.einsum(equation, x, y)
    expected = expected[:, None] if expected.ndim == 1 else expected
    np.testing.assert_allclose(K.batch_dot(x, y, axes).numpy(), expected, 1e-5, 1e-6)


def test_batch_dot_in_a_functional_model():
    inputs = [tf.keras.Input((3, 2)), tf.keras.Input((5, 2))]
    model = tf.keras.Model(inputs, tf.keras.layers.Lambda(lambda pair: K.batch_dot(*pair, axes=2))(inputs))
    assert model.output_shape == (None, 3, 5)
    assert model.predict([np.ones((4, 3, 2)), np.ones((4, 5, 2))]).shape == (4, 3, 5)


def test_normalisation():
    x = RANDOM.standard_normal((6, 2, 3)).astype("float32")
    gamma, beta = np.float32([1.0, 2.0, 3.0]), np.float32([0.5, 0.0, -0.5])
    y, mean, variance = K.normalize_batch_in_training(x, gamma, beta, [0, 1])
    np.testing.assert_allclose(mean.numpy(), x.mean((0, 1)), 1e-5, 1e-6)
    np.testing.assert_allclose(variance.numpy(), x.var((0, 1)), 1e-5)
    expected = (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-3) * gamma + beta
    np.testing.assert_allclose(y.numpy(), expected, 1e-4, 1e-5)
    np.testing.assert_allclose(K.batch_normalization(x, mean, variance, beta, gamma).numpy(), expected, 1e-4, 1e-5)
    first = np.moveaxis(x, -1, 1)
    along = K.batch_normalization(first, mean, variance, beta, gamma, axis=1)
    np.testing.assert_allclose(np.moveaxis(along.numpy(), 1, -1), expected, 1e-4, 1e-5)
    plain = K.batch_normalization(x, mean, variance, None, None)
    np.testing.assert_allclose(plain.numpy(), (expected - beta) / gamma, 1e-4, 1e-5)


def test_functions_over_the_first_dimension():
    x = np.float32([[1, 2], [3, 4]])
    assert K.map_fn(lambda row: row * 2, x).numpy().tolist() == [[2, 4], [6, 8]]
    assert K.foldl(lambda a, row: a * 10 + row, x).numpy().tolist() == [13, 24]
    assert K.foldr(lambda a, row: a * 10 + row, x).numpy().tolist() == [31, 42]
    assert K.cumprod(x, 1).numpy().tolist() == [[1, 2], [3, 12]]
    assert K.in_top_k(x, [0, 1], 1).numpy().tolist() == [False, True]


def test_variables_of_random_numbers():
    v = K.random_normal_variable((2000,), 1.0, 2.0, seed=3, name="v")
    assert v.name == "v:0" and abs(v.numpy().mean() - 1) < 0.2 and abs(v.numpy().std() - 2) < 0.2
    np.testing.assert_array_equal(K.random_normal_variable((2000,), 1.0, 2.0, seed=3).numpy(), v.numpy())
    u = K.random_uniform_variable((2000,), 1.0, 3.0, "float64")
    assert u.dtype is tf.float64 and 1 <= u.numpy().min() < 1.1 and 2.9 < u.numpy().max() < 3


def test_print_tensor_prints_and_gives_the_tensor(capsys):
    x = K.print_tensor(tf.constant([1.0, 2.0]), "x is")
    assert capsys.readouterr().out == "x is [1 2]\n" and x.numpy().tolist() == [1.0, 2.0]
    inputs = tf.keras.Input((2,))
    tf.keras.Model(inputs, K.print_tensor(inputs, "batch")).predict(np.ones((1, 2)))
    assert capsys.readouterr().out == "batch [[1 1]]\n"


def test_what_is_left_of_tf_1():
    assert K.backend() == "tensorflow" and not K.is_sparse(tf.ones(2)) and K.to_dense(3) == 3
    assert K.int_shape(K.placeholder((None, 3))) == (None, 3) and K.int_shape(K.placeholder(ndim=2)) == (None, None)
    K.manual_variable_initialization(True)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: K.batch_dot(tf.ones(2), tf.ones(2)), ValueError, "at least two dimensions"),
        (lambda: K.batch_dot(tf.ones((2, 3)), tf.ones((2, 3)), 0), ValueError, "axis 0 is the batch"),
        (lambda: K.batch_dot(tf.ones((2, 3)), tf.ones((2, 3)), ([1], [1])), ValueError, "a pair of axes"),
        (lambda: K.batch_dot(tf.ones((2, 3)), tf.ones((2, 4)), 1), ValueError, "has sizes 3 and 4"),
        (lambda: K.gradients(1, 2), RuntimeError, "tape.gradient"),
        (lambda: K.placeholder(), ValueError, "at least ndim"),
    ],
)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
