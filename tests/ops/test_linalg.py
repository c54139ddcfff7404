from __future__ import annotations

import numpy as np
import pytest

from distkeras import ops
from distkeras._errors import InvalidArgumentError
from distkeras.graph.function import Function
from distkeras.testing import check_grads
from tests.ops.compare import check, gradient

_rng = np.random.default_rng(11)


def _normal(*shape, dtype="float32"):
    return _rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize(
    "left, right",
    [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (6, 4, 5)), ((0, 4), (4, 5)),
     ((3, 0), (0, 5)), ((3, 4), (2, 4, 5))],
)  # fmt: skip
def test_matmul_is_numpys(left, right, dtype):
    a, b = (10 * _normal(*left)).astype(dtype), (10 * _normal(*right)).astype(dtype)
    check(ops.matmul(a, b), a @ b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
@pytest.mark.parametrize("flags", [(True, False), (False, True), (True, True)])
def test_matmul_of_transposes(shape, flags):
    a, b = _normal(*shape), _normal(*shape[:-2], 4, 5)
    left, right = (np.swapaxes(m, -1, -2).copy() if flag else m for m, flag in zip((a, b), flags, strict=True))
    check(ops.matmul(left, right, *flags), a @ b, rtol=1e-5, atol=1e-5)
    check(ops.matmul(left, right, adjoint_a=flags[0], adjoint_b=flags[1]), a @ b, rtol=1e-5, atol=1e-5)


def test_derivatives_of_broadcast_products():
    check_grads(ops.matmul, _normal(2, 3, 4), _normal(4, 2))
    check_grads(ops.matmul, _normal(3, 4), _normal(2, 4, 2))
    check_grads(lambda a, b: ops.matmul(a, b, transpose_a=True, transpose_b=True), _normal(2, 4, 3), _normal(2, 2, 4))


@pytest.mark.parametrize(
    "axes, left, right",
    [
        (0, (2,), (3,)),
        (1, (2, 3), (3, 4)),
        (2, (5, 2, 3), (2, 3, 4)),
        ([[0, 2], [1, 0]], (2, 3, 4), (4, 2)),
        ([1, 1], (2, 3, 4), (4, 3)),
        ([[-1], [-2]], (2, 3, 4), (4, 3)),
    ],
)
def test_tensordot(axes, left, right):
    a, b = _normal(*left), _normal(*right)
    check(ops.tensordot(a, b, axes), np.tensordot(a, b, axes), rtol=1e-5, atol=1e-5)
    check_grads(lambda a, b: ops.tensordot(a, b, axes), a, b)


def test_norms():
    x = _normal(3, 4)
    check(ops.norm(x), np.linalg.norm(x), rtol=1e-6)
    check(ops.norm(x, axis=1, keepdims=True), np.linalg.norm(x, axis=1, keepdims=True), rtol=1e-6)
    check(ops.norm(x, 1, axis=0), np.abs(x).sum(0), rtol=1e-6)
    check(ops.norm(x, np.inf, axis=0), np.abs(x).max(0))
    check(ops.norm(x, axis=[0, 1]), np.linalg.norm(x), rtol=1e-6)
    with pytest.raises(ValueError, match="of matrices, ord must be 'euclidean', 'fro', 1, 2 or np.inf, received 3"):
        ops.norm(x, 3, axis=(0, 1))
    for order in ("fro", 0.5, "nuc", None):
        with pytest.raises(ValueError, match="ord must be"):
            ops.norm(x, order)


def test_l2_normalize():
    x = _normal(3, 4)
    check(ops.l2_normalize(x, 1), x / np.linalg.norm(x, axis=1, keepdims=True), rtol=1e-6)
    check(ops.l2_normalize(np.zeros(2, np.float32)), np.zeros(2, np.float32))


def test_clipping_by_norm():
    check(ops.clip_by_norm([3.0, 4.0], 1.0), np.float32([0.6, 0.8]))
    check(ops.clip_by_norm([3.0, 4.0], 10.0), np.float32([3, 4]))
    check(ops.clip_by_norm([[3.0, 4.0], [0.3, 0.4]], 1.0, axes=[1]), np.float32([[0.6, 0.8], [0.3, 0.4]]))
    assert gradient(lambda x: ops.clip_by_norm(x, 1.0), [0.0, 0.0]) == [[1.0, 1.0]]
    check_grads(lambda x: ops.clip_by_norm(x, 1.0, axes=[1]), [[3.0, 4.0], [0.3, 0.4]])


def test_clipping_by_the_global_norm():
    clipped, length = ops.clip_by_global_norm([ops.constant([3.0]), None, ops.constant([4.0])], 1.0)
    check(length, 5.0)
    check(clipped[0], np.float32([0.6]))
    check(clipped[2], np.float32([0.8]))
    assert clipped[1] is None
    (zero,), _ = ops.clip_by_global_norm([ops.constant([0.0])], 1.0)
    check(zero, np.float32([0]))


def test_a_global_norm_that_is_not_finite_makes_all_nan():
    clipped, _ = ops.clip_by_global_norm([ops.constant([np.inf, 1.0]), ops.constant([2.0])], 1.0)
    assert np.isnan(clipped[0].numpy()).all() and np.isnan(clipped[1].numpy()).all()


def test_bias_add():
    x, b = _normal(2, 3, 4), _normal(4)
    check(ops.bias_add(x, b), x + b)
    check(ops.bias_add(x, b[:3], "NCHW"), x + b[:3, None])
    with pytest.raises(InvalidArgumentError, match="3 biases do not fit dimension 2"):
        ops.bias_add(x, b[:3])
    with pytest.raises(InvalidArgumentError, match="must have one dimension"):
        ops.bias_add(x, x)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: ops.matmul(_normal(3, 4), _normal(3, 4)), r"In\[0\]: \(3, 4\), In\[1\]: \(3, 4\)"),
        (lambda: ops.matmul(_normal(4), _normal(4, 3)), "at least 2 dimensions"),
        (lambda: ops.matmul(_normal(2, 3, 4), _normal(3, 4, 5)), "the leading dimensions of"),
        (lambda: ops.matmul(ops.ones((3, 4)), ops.ones((4, 3), "float64")), "one element type"),
        (lambda: ops.matmul(_normal(3, 4), _normal(4, 3), True, adjoint_a=True), "Only one of transpose and adjoint"),
        (lambda: ops.tensordot(_normal(2, 3), _normal(2, 3), 1), "differ in size"),
    ],
)
def test_bad_arguments(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_bias_and_relu_join_the_product_only_where_nothing_else_needs_it():
    def used_once(x, w, b):
        return ops.relu(ops.matmul(x, w) + b)

    def used_twice(x, w, b):
        product = ops.matmul(x, w)
        total = product + b
        return ops.relu(total), product, total

    arguments = _normal(4, 3), _normal(3, 8), _normal(8)
    for function, primitives in ((used_once, {"affine"}), (used_twice, {"matmul", "add", "relu"})):
        compiled = Function(function)
        version = compiled.get_concrete_function(*map(ops.constant, arguments))
        assert {equation.primitive.name for equation in version.plan.graph.equations} == primitives
        results, expected = compiled(*arguments), function(*map(ops.constant, arguments))
        results, expected = (r if isinstance(r, tuple) else (r,) for r in (results, expected))
        for got, want in zip(results, expected, strict=True):
            check(got, want.numpy(), rtol=1e-5, atol=1e-6)
