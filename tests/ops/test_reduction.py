from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras._errors import InvalidArgumentError
from distkeras.graph.function import Function
from distkeras.testing import check_grads
from tests.ops.compare import check, gradient

X = np.random.default_rng(5).standard_normal((2, 3, 4)).astype(np.float32)
REDUCTIONS = {
    "reduce_sum": np.sum, "reduce_mean": np.mean, "reduce_prod": np.prod, "reduce_max": np.max, "reduce_min": np.min,
    "reduce_variance": np.var, "reduce_std": np.std,
    "reduce_logsumexp": lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
}  # fmt: skip


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (1, 2), ()])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_are_numpys(name, axis, keepdims):
    expected = np.asarray(REDUCTIONS[name](X, axis=axis, keepdims=keepdims))
    check(getattr(ops, name)(X, axis, keepdims), expected, rtol=1e-5, atol=1e-6)


def test_reductions_are_the_same_compiled():
    axes = [None, 0, -1, (0, 2), ()]
    compiled = Function(lambda x: {(name, axis): getattr(ops, name)(x, axis) for name in REDUCTIONS for axis in axes})
    for x in (X, 2 * X):
        for (name, axis), result in compiled(x).items():
            expected = REDUCTIONS[name](x, axis=axis, keepdims=False)
            np.testing.assert_allclose(result.numpy(), expected, 1e-5, 1e-6, err_msg=f"{name} {axis}")


@pytest.mark.parametrize("name", REDUCTIONS)
def test_derivatives_of_reductions(name):
    check_grads(lambda x: getattr(ops, name)(x, (0, 2)), X)


@pytest.mark.parametrize("compile", [False, True])
def test_integers(compile):
    def reduce(x):
        return [
            ops.reduce_sum(x, 0),
            ops.reduce_prod(x, 0),
            ops.reduce_max(x, 1),
            ops.reduce_min(x),
            ops.reduce_mean(x),
        ]

    x = np.int32([[1, -2], [-5, 3]])
    expected = [np.int32([-4, 1]), np.int32([-5, -6]), np.int32([1, 3]), np.int32(-5), np.int32(0)]
    for got, want in zip((Function(reduce) if compile else reduce)(x), expected, strict=True):
        check(got, want)


def test_the_mean_of_integers_is_cut_towards_zero():
    check(ops.reduce_mean([-1, -2]), np.int32(-1))
    check(ops.reduce_mean([1, 2]), np.int32(1))


@pytest.mark.parametrize("count", [3, 41, 47, 49, 1000])
def test_the_mean_of_ones_is_one(count):
    check(ops.reduce_mean(ops.ones(count)), 1.0, rtol=0)
    check(Function(ops.reduce_mean)(ops.ones(count)), 1.0, rtol=0)


@pytest.mark.parametrize("compile", [False, True])
def test_any_and_all(compile):
    def reduce(x):
        return [ops.reduce_any(x, 0), ops.reduce_all(x, -1), ops.reduce_any(x), ops.reduce_all(x, keepdims=True)]

    x = np.array([[True, False], [True, True]])
    expected = [x.any(0), x.all(-1), x.any(), x.all(keepdims=True)]
    for got, want in zip((Function(reduce) if compile else reduce)(x), expected, strict=True):
        check(got, np.asarray(want))


@pytest.mark.parametrize("compile", [False, True])
def test_no_elements(compile):
    def reduce(x):
        return [
            ops.reduce_sum(x, 0), ops.reduce_prod(x, 0), ops.reduce_mean(x, 0), ops.reduce_sum(x),
            ops.reduce_max(x, 1), ops.reduce_any(x > 0, 0), ops.reduce_all(x > 0, 0), ops.cumsum(x),
        ]  # fmt: skip

    x = np.zeros((0, 3), np.float32)
    expected = [
        np.zeros(3), np.ones(3), np.full(3, np.nan), np.zeros(()), np.zeros(0), np.zeros(3, bool), np.ones(3, bool), x,
    ]  # fmt: skip
    for got, want in zip((Function(reduce) if compile else reduce)(ops.constant(x)), expected, strict=True):
        check(got, want if want.dtype == bool else want.astype(np.float32))


@pytest.mark.parametrize("reduce", [tf.reduce_sum, tf.reduce_mean, tf.reduce_max])
def test_booleans_are_no_numbers(reduce):
    with pytest.raises(tf.errors.InvalidArgumentError, match="received dtype bool: cast it first"):
        reduce([True, False])


def test_extrema_of_no_elements_are_refused():
    with pytest.raises(InvalidArgumentError, match="no extremum of no elements"):
        ops.reduce_max(ops.zeros((0, 3)), 0)
    with pytest.raises(InvalidArgumentError, match="dimension 0 .* is empty"):
        ops.argmax(ops.zeros((0, 3)))
    with pytest.raises(InvalidArgumentError, match="no mean over no elements"):
        ops.reduce_mean(ops.zeros((0,), "int32"))


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("name", ["reduce_sum", "reduce_mean", "reduce_prod", "reduce_max", "reduce_min"])
def test_nan_passes_through(name, compile):
    function = Function(getattr(ops, name)) if compile else getattr(ops, name)
    assert np.isnan(function(np.float32([1.0, np.nan, 3.0])).numpy())


def test_gradients_of_extrema_are_shared_between_equals():
    assert gradient(lambda x: ops.reduce_max(x, 1), [[1.0, 2.0, 2.0], [3.0, 1.0, 0.0]]) == [
        [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]
    ]


def test_the_gradient_of_a_product_is_right_at_zeros():
    assert gradient(lambda x: ops.reduce_prod(x, 1), [[2.0, 0.0, 3.0], [0.0, 0.0, 5.0]]) == [
        [[0.0, 6.0, 0.0], [0.0, 0.0, 0.0]]
    ]
    check_grads(ops.reduce_prod, [0.0, 2.0, 0.0, 3.0], order=3)


def test_logsumexp_of_infinities():
    check(ops.reduce_logsumexp([-np.inf, -np.inf]), -np.inf)
    check(ops.reduce_logsumexp([np.inf, 1.0]), np.inf)
    check(ops.reduce_logsumexp([1000.0, 1000.0]), np.float32(1000 + np.log(2)))


def test_moments_and_count_nonzero():
    mean, variance = ops.moments(X, [0, 1])
    check(mean, X.mean((0, 1)), rtol=1e-5, atol=1e-6)
    check(variance, X.var((0, 1)), rtol=1e-5)
    check(ops.count_nonzero([[0, 3], [5, 0]]), np.int64(2))
    check(ops.count_nonzero([[0.0, 3.0], [5.0, 1.0]], 0, dtype="int32"), np.int32([1, 2]))


@pytest.mark.parametrize("compile", [False, True])
def test_argmax_and_argmin_give_the_first(compile):
    def find(x):
        return [ops.argmax(x), ops.argmin(x, -1), ops.argmax(x, 1, tf.int32), ops.argmax(x, 2)]

    x = np.float32([[[1, 7, 7], [0, 0, 5]], [[1, 8, 2], [9, 0, 0]]])
    expected = [x.argmax(0), x.argmin(-1), x.argmax(1).astype(np.int32), x.argmax(2)]
    for got, want in zip((Function(find) if compile else find)(x), expected, strict=True):
        check(got, want)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumsum(exclusive, reverse):
    x = np.float32([[1, 2, 3], [4, 5, 6]])
    flip = slice(None, None, -1 if reverse else 1)
    expected = np.cumsum(x[:, flip], 1)
    expected = (expected - x[:, flip] if exclusive else expected)[:, flip]
    check(ops.cumsum(x, 1, exclusive, reverse), expected)
    check_grads(lambda x: ops.cumsum(x * x, 1, exclusive, reverse), x)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: ops.reduce_sum(X, 3), "Axis 3 is out of range for a tensor of 3 dimensions"),
        (lambda: ops.reduce_sum(X, (0, -3)), "An axis is given twice"),
        (lambda: ops.reduce_any(ops.constant(X)), "requested dtype bool"),
        (lambda: ops.argmax(X, -4), "Axis -4 is out of range"),
    ],
)
def test_bad_arguments(make, match):
    with pytest.raises(ValueError, match=match):
        make()
