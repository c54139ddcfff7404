import gc

import numpy as np
import pytest

from distkeras.kernels import gemm
from tests.kernels import guarded
from tests.kernels import naive_gemm as naive

TOLERANCE = {np.float32: 2e-6, np.float64: 1e-14}

# m, n, k: ragged, unit and empty sizes around the widths of vectors (4, 8, 16) and the heights of tiles (6, 8, 12).
SIZES = [
    (1, 1, 1),
    (2, 3, 4),
    (7, 10, 5),
    (13, 16, 31),
    (6, 64, 8),
    (33, 77, 9),
    (25, 81, 3),
    (1, 130, 40),
    (40, 1, 33),
    (50, 33, 1),
    (1, 1, 300),
    (9, 20, 200),
    (5, 9, 0),
    (0, 4, 3),
    (4, 0, 3),
]


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def _operands(random, m, n, k, dtype, transpose_a=False, transpose_b=False, leading=()):
    a = guarded.normal(random, (*leading, *((k, m) if transpose_a else (m, k))), dtype)
    b = guarded.normal(random, (*leading, *((n, k) if transpose_b else (k, n))), dtype)
    return a, b, guarded.empty((*leading, m, n), dtype)


def _assert_close(actual, expected, k, dtype):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * (4 + k))


@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize(("m", "n", "k"), SIZES)
def test_matmul(m, n, k, transpose_a, transpose_b, dtype):
    random = np.random.default_rng(m + 100 * n + k)
    a, b, out = _operands(random, m, n, k, dtype, transpose_a, transpose_b)
    bias = guarded.normal(random, (n,), dtype)
    flags = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    for epilogue in ({}, {"bias": bias}, {"relu": True}, {"bias": bias, "relu": True}):
        result = guarded.run_twice(gemm.matmul, a, b, out=out, **flags, **epilogue)
        _assert_close(result, naive.matmul(a, b, **flags, **epilogue), k, dtype)


@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("leading", [(3,), (2, 2), (0,), (1,)], ids=str)
@pytest.mark.parametrize(("m", "n", "k"), [(5, 19, 7), (9, 1, 6), (1, 9, 6), (5, 9, 130)])
def test_batched_matmul(leading, m, n, k, transpose_a, transpose_b, dtype):
    random = np.random.default_rng(1)
    a, b, out = _operands(random, m, n, k, dtype, transpose_a, transpose_b, leading)
    flags = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    result = guarded.run_twice(gemm.batched_matmul, a, b, out=out, **flags, relu=True)
    _assert_close(result, naive.matmul(a, b, **flags, relu=True), k, dtype)


@pytest.mark.parametrize(("n", "k"), [(10, 500), (70, 40), (100, 700)])
def test_a_row_does_not_depend_on_how_many_there_are(n, k, dtype):
    random = np.random.default_rng(3)
    a, b, out = _operands(random, 120, n, k, dtype)
    with gemm.rows_alike():
        whole = guarded.run_twice(gemm.matmul, a, b, out=out, relu=True)
        for rows in (3, 30):
            part = guarded.empty((rows, n), dtype)
            result = guarded.run_twice(gemm.matmul, a[:rows], b, out=part, relu=True)
            np.testing.assert_array_equal(result, whole[:rows])


# Sizes at which operands are rearranged, sums cut in blocks, or BLAS takes over; too large for the naive twin.
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize(("m", "n", "k"), [(35, 70, 1027), (300, 1024, 100), (200, 1030, 600), (90, 40, 200)])
def test_large_products(m, n, k, transpose_a, transpose_b, dtype):
    random = np.random.default_rng(2)
    a, b, out = _operands(random, m, n, k, dtype, transpose_a, transpose_b)
    bias = guarded.normal(random, (n,), dtype)
    flags = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    left = (a.T if transpose_a else a).astype(np.float64)
    plain = left @ (b.T if transpose_b else b).astype(np.float64)
    _assert_close(guarded.run_twice(gemm.matmul, a, b, out=out, **flags), plain, k, dtype)
    result = guarded.run_twice(gemm.matmul, a, b, out=out, bias=bias, relu=True, **flags)
    _assert_close(result, np.maximum(plain + bias, 0), k, dtype)


def test_batched_long_sum(dtype):
    random = np.random.default_rng(3)
    a, b, out = _operands(random, 6, 20, 700, dtype, leading=(3,))
    result = guarded.run_twice(gemm.batched_matmul, a, b, out=out)
    _assert_close(result, a.astype(np.float64) @ b, 700, dtype)


@pytest.mark.parametrize(("m", "n", "k"), [(9, 20, 5), (9, 1, 5), (9, 20, 600)])
def test_nan_and_infinity_pass(m, n, k, dtype):
    a, b, out = _operands(np.random.default_rng(4), m, n, k, dtype)
    a[2, 1], a[3, k - 1], a[5, 0] = np.nan, np.inf, -np.inf
    b[0] = b[k - 1] = 1
    result = guarded.run_twice(gemm.matmul, a, b, out=out, relu=True)
    assert np.isnan(result[2]).all()
    assert (result[3] == np.inf).all()
    assert (result[5] == 0).all()
    assert np.isfinite(np.delete(result, [2, 3, 5], axis=0)).all()


def test_calls_keep_their_operands_alive(dtype):
    expected = np.full((40, 40), 40, dtype)
    out = np.empty_like(expected)
    ones = np.ones_like(expected)
    calls = gemm.matmul(ones.copy(), ones.copy(), out, transpose_b=True, bias=np.zeros(40, dtype), scratch=np.empty)
    gc.collect()
    waste = [np.full((40, 40), np.nan, dtype) for _ in range(20)]
    for function, arguments in calls:
        function(*arguments)
    assert len(waste) == 20
    np.testing.assert_array_equal(out, expected)


def test_errors():
    a, b, out = np.ones((2, 3), np.float32), np.ones((4, 5), np.float32), np.ones((2, 5), np.float32)
    with pytest.raises(ValueError, match=r"cannot multiply \(2, 3\) and \(4, 5\)"):
        gemm.matmul(a, b, out, scratch=np.empty)
    with pytest.raises(ValueError, match="float32', 'float64"):
        gemm.matmul(a, b[:3].astype(np.float64), out, scratch=np.empty)
    with pytest.raises(ValueError, match="int64"):
        gemm.matmul(a.astype(int), b[:3].astype(int), out.astype(int), scratch=np.empty)
    with pytest.raises(ValueError, match="C-contiguous"):
        gemm.matmul(np.ones((3, 2), np.float32).T, b[:3], out, scratch=np.empty)
    with pytest.raises(ValueError, match="bias"):
        gemm.matmul(a, b[:3], out, bias=np.ones(4, np.float32), scratch=np.empty)
    with pytest.raises(ValueError, match="expects matrices"):
        gemm.matmul(a[None], b[:3], out, scratch=np.empty)
    with pytest.raises(ValueError, match="leading"):
        gemm.batched_matmul(a[None], b[:3], out[None], scratch=np.empty)
