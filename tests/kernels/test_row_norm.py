import numpy as np
import pytest

from distkeras.kernels import row_norm
from tests.kernels import naive_row_norm as naive
from tests.kernels.assembly import assert_vectorised

EPSILON = 1e-3
SHAPES = [(1, 1), (5, 1), (3, 2), (70, 3), (9, 64), (130, 37), (2, 1000), (0, 4), (3, 0)]


def _values(shape, dtype):
    random = np.random.default_rng(0)
    x, dy = random.normal(size=(2, *shape)).astype(dtype)
    gamma, beta = random.normal(size=(2, shape[1])).astype(dtype)
    return x, dy, gamma, beta


def _normalized(x, gamma, beta):
    mean, rstd, out = np.full(len(x), 9, x.dtype), np.full(len(x), 9, x.dtype), np.full_like(x, 9)
    row_norm.normalize_rows[x.dtype](x, gamma, beta, x.dtype.type(EPSILON), mean, rstd, out)
    return mean, rstd, out


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_and_their_gradients(shape, dtype):
    x, dy, gamma, beta = _values(shape, dtype)
    mean, rstd, out = _normalized(x, gamma, beta)
    tolerance = {"rtol": 1e-4, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-11}
    if not x.size:
        assert (rstd != 9).all()
    else:
        np.testing.assert_allclose(out, naive.normalize_rows(x, gamma, beta, EPSILON), **tolerance)
    dx, dgamma, dbeta = np.full_like(x, 9), np.full_like(gamma, 9), np.full_like(gamma, 9)
    work = np.full((2, shape[1]), 9, dtype)
    row_norm.normalize_rows_gradient[dtype](x, dy, gamma, mean, rstd, work, dx, dgamma, dbeta)
    if shape[1]:
        expected = naive.normalize_rows_gradient(x, dy, gamma, EPSILON)
        for actual, wanted in zip((dx, dgamma, dbeta), expected, strict=True):
            np.testing.assert_allclose(actual, wanted, **tolerance)


def test_variance_survives_a_large_mean():
    x = (np.random.default_rng(1).normal(size=(4, 20000)) + 1e4).astype(np.float32)
    mean, rstd, _ = _normalized(x, np.ones(20000, np.float32), np.zeros(20000, np.float32))
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(1), rtol=1e-7)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(exact.var(1) + EPSILON), rtol=1e-4)


@pytest.mark.parametrize("kernel", [row_norm.normalize_rows, row_norm.normalize_rows_gradient])
def test_loops_are_vectorised(kernel):
    assert_vectorised(kernel, "mulps")
    assert_vectorised(kernel, "addps")
