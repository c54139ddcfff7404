import numpy as np
import pytest

from distkeras.kernels import norm
from tests.kernels import naive_norm as naive
from tests.kernels.assembly import assert_vectorised
from tests.kernels.lowered import dirty_scratch, run

SHAPES = [(1, 1), (5, 1), (300, 1), (2, 3), (700, 3), (65, 10), (130, 64), (9, 257), (200, 300), (0, 4), (3, 0)]


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def _normal(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def _close(actual, expected, dtype, scale=1.0):
    tolerance = (3e-6 if dtype == np.float32 else 1e-13) * scale
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def _moments(x):
    mean, m2 = np.full((2, x.shape[1]), 9, x.dtype)
    run(norm.lower_channel_moments(x, mean, m2, dirty_scratch))
    return mean, m2


def _rstd(m2, count, epsilon=1e-3):
    rstd = np.empty_like(m2)
    norm.reciprocal_deviation[m2.dtype](m2 / m2.dtype.type(max(count, 1)), m2.dtype.type(epsilon), rstd)
    return rstd


def test_channel_moments(shape, dtype):
    x = _normal(shape, dtype) + 3
    mean, m2 = _moments(x)
    expected_mean, expected_m2 = naive.channel_moments(x)
    _close(mean, expected_mean, dtype)
    _close(m2, expected_m2, dtype, scale=max(1, shape[0]) ** 0.5)


def test_moments_of_one_part(shape, dtype):
    x, count = _normal(shape, dtype) + 3, np.full(1, 9, dtype)
    variance = _moments(x)[1]
    norm.moments_alone[x.dtype](variance, shape[0], count)
    assert count == shape[0]
    _close(variance, naive.channel_moments(x)[1] / max(shape[0], 1), dtype)


@pytest.mark.parametrize("offset", [1e3, -1e4])
@pytest.mark.parametrize("shape", [(50, 3), (5000, 64), (40000, 1)])
def test_variance_survives_a_large_mean(offset, shape):
    """E[x**2] - E[x]**2 would have no correct digit here."""
    x = (_normal(shape, np.float64) + offset).astype(np.float32)
    np.testing.assert_allclose(_moments(x)[1], naive.channel_moments(x)[1], rtol=1e-4)


@pytest.mark.parametrize("rows", [20, 300, 30000])
def test_variance_survives_an_untypical_start(rows):
    x = _normal((rows, 5), np.float32) + np.float32(1000)
    x[:4] = 0
    np.testing.assert_allclose(_moments(x)[1], naive.channel_moments(x)[1], rtol=1e-5)


def test_constant_channels_have_no_variance(dtype):
    x = np.full((1000, 7), 0.1, dtype)
    mean, m2 = _moments(x)
    _close(mean, 0.1, dtype)
    assert (m2 >= 0).all() and (m2 < 1e-9).all()


@pytest.mark.parametrize("affine", [True, False])
def test_normalize(shape, dtype, affine):
    x = _normal(shape, dtype) + 3
    mean, m2 = (value.astype(dtype) for value in naive.channel_moments(x))
    rstd = _rstd(m2, shape[0])
    np.testing.assert_allclose(rstd, 1 / np.sqrt(m2 / max(shape[0], 1) + 1e-3), rtol=1e-6)
    gamma, beta = (_normal(shape[1], dtype, 1), _normal(shape[1], dtype, 2)) if affine else (None, None)
    out = np.full_like(x, 9)
    run(norm.lower_normalize_channels(x, mean, rstd, gamma, beta, out, dirty_scratch))
    expected = naive.normalize(x, mean, rstd, 1 if gamma is None else gamma, 0 if beta is None else beta)
    _close(out, expected, dtype, scale=float(rstd.max(initial=1)))
    cut = np.full_like(x, 9)
    run(norm.lower_normalize_channels(x, mean, rstd, gamma, beta, cut, dirty_scratch, relu=True))
    np.testing.assert_array_equal(cut, np.maximum(out, 0))


@pytest.mark.parametrize("affine", [True, False])
def test_gradients(shape, dtype, affine):
    rows, channels = shape
    x, dy = _normal(shape, dtype) + 3, _normal(shape, dtype, 3)
    mean, m2 = (value.astype(dtype) for value in naive.channel_moments(x))
    rstd = _rstd(m2, rows)
    sum_dy, sum_dy_xhat = np.full((2, channels), 9, dtype)
    run(norm.lower_normalization_gradient_sums(x, dy, mean, rstd, sum_dy, sum_dy_xhat, dirty_scratch))
    expected = naive.gradient_sums(x, dy, mean, rstd)
    _close(sum_dy, expected[0], dtype, scale=max(rows, 1) ** 0.5)
    _close(sum_dy_xhat, expected[1], dtype, scale=max(rows, 1) ** 0.5)
    gamma, count, dx = _normal(channels, dtype, 1) if affine else None, np.array([rows], dtype), np.full_like(x, 9)
    run(
        norm.lower_normalization_input_gradient(x, dy, mean, rstd, gamma, sum_dy, sum_dy_xhat, count, dx, dirty_scratch)
    )
    expected_dx = naive.input_gradient(x, dy, np.ones(channels) if gamma is None else gamma, 1e-3)
    _close(dx, expected_dx, dtype, scale=2 * float(rstd.max(initial=1)))


def test_parts_with_merged_sums_give_the_gradient_of_the_whole():
    x, dy, gamma = _normal((50, 4), np.float64), _normal((50, 4), np.float64, 1), _normal(4, np.float64, 2)
    mean, m2 = _moments(x)
    rstd, count, sums = _rstd(m2, 50), np.array([50.0]), np.zeros((2, 4))
    parts = list(zip(np.split(x, [20, 20]), np.split(dy, [20, 20]), strict=True))
    for part_x, part_dy in parts:
        part_sums = np.empty((2, 4))
        run(norm.lower_normalization_gradient_sums(part_x, part_dy, mean, rstd, *part_sums, dirty_scratch))
        sums += part_sums
    results = []
    for part_x, part_dy in parts:
        dx = np.empty_like(part_x)
        run(
            norm.lower_normalization_input_gradient(part_x, part_dy, mean, rstd, gamma, *sums, count, dx, dirty_scratch)
        )
        results.append(dx)
    np.testing.assert_allclose(
        np.concatenate(results), naive.input_gradient(x, dy, gamma, 1e-3), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("row", [0, 37, 299])
def test_nan_spoils_its_channel_and_no_other(row, dtype):
    x = _normal((300, 5), dtype)
    x[row, 2] = np.nan
    for values in _moments(x):
        assert list(np.flatnonzero(np.isnan(values))) == [2]
    out = np.empty_like(x)
    ones = np.ones(5, dtype)
    run(norm.lower_normalize_channels(x, ones, ones, None, None, out, dirty_scratch))
    assert np.isnan(out).sum() == 1 and np.isnan(out[row, 2])


@pytest.mark.parametrize(
    "kernel, instruction",
    [
        (norm._channel_moments, "vfmadd"),
        (norm._normalize_channels, "vfmadd"),
        (norm._gradient_sums, "vfmadd"),
        (norm._input_gradient, "vfmadd"),
    ],
)
def test_is_vectorised(kernel, instruction):
    assert_vectorised(kernel, instruction)
