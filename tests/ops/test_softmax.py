from __future__ import annotations

import numpy as np
import pytest

from distkeras import ops
from distkeras._errors import InvalidArgumentError
from distkeras.testing import check_compiled, check_grads
from tests.ops.compare import check, gradient

X = np.random.default_rng(2).standard_normal((2, 3, 5)).astype(np.float32)


def _log_softmax(x, axis=-1):
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_softmax_and_its_logarithm(axis):
    check(ops.softmax(X, axis), np.exp(_log_softmax(X, axis)), rtol=1e-5)
    check(ops.log_softmax(X, axis), _log_softmax(X, axis), rtol=1e-5, atol=1e-6)
    check_grads(lambda x: (ops.softmax(x, axis), ops.log_softmax(x, axis)), X)


def test_large_logits_do_not_overflow():
    check(ops.softmax([1e4, 0.0]), np.float32([1, 0]))
    check(ops.log_softmax([1e4, 0.0]), np.float32([0, -1e4]))
    check(ops.softmax_cross_entropy_with_logits([0.0, 1.0], [1e4, 0.0]), np.float32(1e4))


def test_empty_and_vectors():
    check(ops.softmax(np.zeros((0, 3), np.float32)), np.zeros((0, 3), np.float32))
    check(ops.softmax([0.0, 0.0]), np.float32([0.5, 0.5]))
    check(ops.sparse_softmax_cross_entropy_with_logits(np.zeros(0, int), np.zeros((0, 3), np.float32)), np.float32([]))


@pytest.mark.parametrize("axis", [-1, 1])
def test_cross_entropy(axis):
    labels = np.random.default_rng(3).random(X.shape).astype(np.float32)
    check(
        ops.softmax_cross_entropy_with_logits(labels, X, axis), -(labels * _log_softmax(X, axis)).sum(axis), rtol=1e-5
    )
    check_grads(lambda labels, x: ops.softmax_cross_entropy_with_logits(labels, x, axis), labels, X)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_sparse_cross_entropy(dtype):
    labels = np.array([[0, 4, 2], [1, 1, 3]], dtype)
    expected = -np.take_along_axis(_log_softmax(X), labels[..., None].astype(int), -1)[..., 0]
    check(ops.sparse_softmax_cross_entropy_with_logits(labels, X), expected, rtol=1e-5)
    check_grads(lambda x: ops.sparse_softmax_cross_entropy_with_logits(labels, x), X)


def test_a_label_that_is_no_class_gives_nan():
    assert np.isnan(ops.sparse_softmax_cross_entropy_with_logits([7], X[0, :1]).numpy()).all()


def test_second_derivatives_are_compiled_too():
    def hessian_times_ones(labels, x):
        import distkeras as tf

        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = ops.softmax_cross_entropy_with_logits(labels, x)
            first = inner.gradient(loss, x)
            target = ops.reduce_sum(first * first)
        return outer.gradient(target, x)

    check_compiled(hessian_times_ones, np.eye(5, dtype=np.float32)[:3], X[0], gradients=False)


def test_sigmoid_cross_entropy():
    x = np.float32([0.0, 10.0, -10.0, 100.0, -100.0])
    check(
        ops.sigmoid_cross_entropy_with_logits(np.ones(5, np.float32), x),
        np.float32([0.6931472, 4.5398901e-05, 10.000046, 0.0, 100.0]),
        rtol=1e-5,
        atol=1e-40,
    )
    check_grads(ops.sigmoid_cross_entropy_with_logits, [0.2, 1.0, 0.7], [1.5, -2.0, 0.3])


@pytest.mark.parametrize(
    "function, numpy",
    [
        (ops.elu, lambda x: np.where(x > 0, x, np.expm1(x))),
        (ops.selu, lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
        (ops.leaky_relu, lambda x: np.where(x > 0, x, 0.2 * x)),
        (lambda x: ops.relu6(4 * x), lambda x: np.clip(4 * x, 0, 6)),
        (ops.softsign, lambda x: x / (1 + np.abs(x))),
    ],
)
def test_activations(function, numpy):
    check(function(X), numpy(X).astype(np.float32), rtol=1e-5, atol=1e-7)
    assert np.isnan(function(np.float32([np.nan])).numpy()).all()
    check_grads(function, X)


def test_the_gradient_of_softsign_at_zero():
    assert gradient(ops.softsign, [0.0]) == [[1.0]]


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: ops.softmax([1, 2]), "expected floating-point tensors"),
        (lambda: ops.softmax(1.0), "at least 1 dimension"),
        (lambda: ops.softmax_cross_entropy_with_logits(X[0], X), "must have one shape"),
        (lambda: ops.sparse_softmax_cross_entropy_with_logits([0.5], X[0, :1]), "labels must be integers"),
        (lambda: ops.sparse_softmax_cross_entropy_with_logits([0, 1], X[0]), "without the last dimension"),
    ],
)
def test_bad_arguments(make, match):
    with pytest.raises(InvalidArgumentError, match=match):
        make()


def test_weighted_cross_entropy():
    x = np.float32([-100, -1, 0, 1, 100])
    t, weight = np.float32([0, 0.3, 1, 0, 1]), 3.0
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-x.astype(np.float64)))
    expected = -(weight * t * np.log(p + 1e-300) + (1 - t) * np.log1p(-np.minimum(p, 1 - 1e-16)))
    check(ops.weighted_cross_entropy_with_logits(t, x, weight), expected.astype(np.float32), rtol=1e-5, atol=1e-6)
    plain = ops.sigmoid_cross_entropy_with_logits(t, x).numpy()
    check(ops.weighted_cross_entropy_with_logits(t, x, 1.0), plain, rtol=1e-5, atol=1e-6)
    large = ops.weighted_cross_entropy_with_logits([1.0, 0.0], [-1e4, 1e4], weight)
    check(large, np.float32([3e4, 1e4]))
    check_grads(lambda x: ops.weighted_cross_entropy_with_logits([0.2, 1.0, 0.7], x, weight), [1.5, -2.0, 0.3])
