"""Factors of matrices that LAPACK gives up to signs, and everything that linear algebra refuses."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras._errors import InvalidArgumentError
from distkeras.graph.function import Function

X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")


def _runs(function):
    return function, Function(function)


@pytest.mark.parametrize("full", [False, True])
def test_singular_values_and_vectors_give_the_matrix_back(full):
    for run in _runs(lambda x: tf.linalg.svd(x, full)):
        s, u, v = run(tf.constant(X))
        assert u.shape == ((2, 4, 4) if full else (2, 4, 3)) and v.shape == (2, 3, 3)
        np.testing.assert_allclose(s.numpy(), np.linalg.svd(X, compute_uv=False), 1e-5)
        np.testing.assert_allclose(u.numpy()[..., :3] * s.numpy()[:, None] @ v.numpy().swapaxes(1, 2), X, 1e-4, 1e-5)


@pytest.mark.parametrize("full", [False, True])
def test_orthogonal_and_triangular_factors(full):
    for run in _runs(lambda x: tf.linalg.qr(x, full)):
        q, r = run(tf.constant(X))
        assert q.shape == ((2, 4, 4) if full else (2, 4, 3))
        np.testing.assert_allclose((q @ r).numpy(), X, 1e-4, 1e-5)
        np.testing.assert_allclose(r.numpy(), np.triu(r.numpy()), atol=1e-6)
        np.testing.assert_allclose(
            (tf.linalg.matrix_transpose(q) @ q).numpy(), np.tile(np.eye(q.shape[2]), (2, 1, 1)), atol=1e-5
        )
    assert tf.linalg.qr(X).q.shape == (2, 4, 3)


def test_eigenvectors_give_the_matrix_back():
    symmetric = X.swapaxes(1, 2) @ X
    for run in _runs(tf.linalg.eigh):
        values, vectors = (t.numpy() for t in run(tf.constant(symmetric)))
        np.testing.assert_allclose(vectors * values[:, None] @ vectors.swapaxes(1, 2), symmetric, 1e-4, 1e-5)


@pytest.mark.parametrize("factor", [lambda x: tf.linalg.svd(x)[0], lambda x: tf.linalg.qr(x)[0]])
def test_derivatives_that_are_not_there_say_so(factor):
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = factor(x)
    with pytest.raises(NotImplementedError, match="its derivative is not available. Take tf.linalg"):
        tape.gradient(y, x)


SQUARE = tf.ones((2, 3, 3))


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: tf.linalg.inv(SQUARE), "not invertible"),
        (lambda: tf.linalg.solve(SQUARE, tf.ones((2, 3, 1))), "not invertible"),
        (lambda: tf.linalg.cholesky(-SQUARE), "not positive definite"),
        (lambda: tf.linalg.inv(tf.ones((2, 3))), "expected square matrices"),
        (lambda: tf.linalg.det(tf.ones(3)), "expected square matrices"),
        (lambda: tf.linalg.solve(SQUARE, tf.ones((2, 4, 1))), "do not fit matrices"),
        (lambda: tf.linalg.trace(tf.ones(3)), "expected matrices"),
        (lambda: tf.linalg.diag(1.0), "at least a vector"),
        (lambda: tf.linalg.diag([1.0, 2.0], num_rows=5, num_cols=5), "do not fit diagonal 0"),
        (lambda: tf.linalg.diag_part(SQUARE, k=9), "has no diagonal 9"),
        (lambda: tf.linalg.diag_part(SQUARE, k=(0, 1)), "k must be one number"),
        (lambda: tf.linalg.set_diag(SQUARE, tf.ones((2, 2))), r"has shape \(2, 3\), received"),
        (lambda: tf.linalg.tensor_diag_part(tf.ones((2, 3))), "both halves"),
        (lambda: tf.linalg.cross(tf.ones(2), tf.ones(2)), r"two tensors \[..., 3\]"),
        (lambda: tf.linalg.lstsq(SQUARE, SQUARE, fast=False), "fast=False"),
        (lambda: tf.einsum("ij,jk->ik", SQUARE), "is for 2 tensors, 1 were given"),
        (lambda: tf.einsum("ij->i", SQUARE), "does not fit the shape"),
        (lambda: tf.einsum("ijk->il", SQUARE), "has no size"),
        (lambda: tf.einsum("ijk->ii", SQUARE), "twice in the output"),
        (lambda: tf.einsum("ii->i", tf.ones((2, 3))), "'i' has sizes 2 and 3"),
        (lambda: tf.einsum("ij,jk->ik", tf.ones((2, 3)), tf.ones((2, 3))), "'j' has sizes 3 and 2"),
    ],
)
def test_bad_matrices(call, match):
    with pytest.raises(ValueError, match=match):
        call()
    assert issubclass(InvalidArgumentError, ValueError)


def test_a_compiled_function_refuses_singular_matrices_too():
    compiled = Function(tf.linalg.inv)
    assert compiled(tf.eye(3)[None]).shape == (1, 3, 3)
    with pytest.raises(InvalidArgumentError, match="not invertible"):
        compiled(tf.ones((1, 3, 3)))


def test_unknown_arguments_of_einsum():
    with pytest.raises(TypeError, match="unexpected keyword arguments: \\['optimise'\\]"):
        tf.einsum("ij", tf.ones((2, 2)), optimise=True)
