import math

import numpy as np
import pytest

from distkeras.kernels import rng
from distkeras.kernels.compile import kernel
from tests.kernels import naive_rng as naive
from tests.kernels.assembly import assert_vectorised
from tests.kernels.lowered import dirty_scratch, run

SHAPES = [(0, 5), (3, 0), (1, 1), (4, 3), (3, 8), (2, 21), (2, 64), (1, 2047), (2, 4101)]
DRAWS = {"uniform": rng.uniform, "normal": rng.normal, "truncated_normal": rng.truncated_normal}


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def _state(seed=7, step=0, first_sample=0):
    return np.array([seed, step, first_sample], np.int64)


def _draw(name, shape, dtype=np.float32, stream=5, **state):
    out = np.full(shape, 9, dtype)
    run(DRAWS[name](_state(**state), out, stream=stream, scratch=dirty_scratch))
    return out


def _dropout(x, rate, stream=5, **state):
    out, mask = np.full_like(x, 9), np.full(x.shape, 9, np.uint8)
    run(rng.dropout(x, _state(**state), out, mask, rate=rate, stream=stream, scratch=dirty_scratch))
    return out, mask


@kernel("void({t}[::1], {t}[::1], {t}[::1])")
def _philox(counter, key, words):
    words[0], words[1], words[2], words[3] = rng.philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1])


@pytest.mark.parametrize(
    "counter, key, expected",
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_published_philox_vectors(counter, key, expected):
    words = np.empty(4, np.uint32)
    _philox[np.uint32](*(np.array(numbers, np.uint32) for numbers in (counter, key)), words)
    assert list(words) == expected
    assert naive.philox(counter, key) == expected


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("state", [(7, 0, 0), (2**61 + 3, 2**62 + 11, 5), (-1, 1, 2**32 - 2)], ids=str)
def test_bits(shape, state):
    out = np.full(shape, 9, np.uint32)
    run(rng.random_bits(np.array(state), out, stream=2**40 + 1, scratch=dirty_scratch))
    np.testing.assert_array_equal(out, naive.bits(state, 2**40 + 1, shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_uniform(shape, dtype):
    np.testing.assert_array_equal(_draw("uniform", shape, dtype), naive.uniform(_state(), 5, shape, dtype))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_normal(shape, dtype):
    tolerance = 2e-6 if dtype == np.float32 else 1e-9
    expected = naive.normal(_state(), 5, shape, dtype)
    np.testing.assert_allclose(_draw("normal", shape, dtype), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_truncated_normal_has_the_uniform_numbers_as_its_distribution(shape, dtype):
    """Phi(z), scaled from [Phi(-2), Phi(2)] to [0, 1], is the uniform number z was made from."""
    z, u = _draw("truncated_normal", shape, dtype).astype(np.float64), naive.uniform(_state(), 5, shape, dtype)
    phi = np.vectorize(lambda x: math.erf(x / math.sqrt(2)), otypes=[np.float64])
    np.testing.assert_allclose((phi(z) / math.erf(math.sqrt(2)) + 1) / 2, u, atol=3e-7 if dtype == np.float32 else 1e-8)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rate", [0.0, 0.25, 0.9, 1.0])
def test_dropout(shape, rate, dtype):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    out, mask = _dropout(x, rate)
    expected = naive.dropout_mask(_state(), 5, shape, rate)
    np.testing.assert_array_equal(mask, expected)
    kept = 1 - round(rate * 65536) / 65536
    np.testing.assert_allclose(out, x * expected / (kept or 1), rtol=1e-6)
    dx = np.full_like(x, 9)
    run(rng.dropout_gradient(x, mask, dx, rate=rate))
    np.testing.assert_array_equal(dx, out)


@pytest.mark.parametrize("name", [*DRAWS, "dropout"])
@pytest.mark.parametrize("elements", [1, 6, 77, 5000])
@pytest.mark.parametrize("cuts", [(1,), (3, 3, 5), (2, 7)], ids=str)
def test_a_part_of_a_batch_gets_what_it_would_get_in_the_whole(name, elements, cuts, dtype):
    def rows(first, count):
        if name == "dropout":
            return _dropout(np.ones((count, elements), dtype), 0.4, first_sample=first)[1]
        return _draw(name, (count, elements), dtype, first_sample=first)

    whole = rows(100, 9)
    bounds = [0, *cuts, 9]
    parts = [rows(100 + start, stop - start) for start, stop in zip(bounds, bounds[1:], strict=False)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"step": 1}, {"step": 2**40}, {"first_sample": 4}, {"stream": 6}], ids=str
)
def test_everything_in_the_key_changes_the_numbers(change):
    one, other = _draw("uniform", (4, 300)), _draw("uniform", (4, 300), **change)
    assert (one == other).mean() < 0.01
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1


MOMENTS = {  # mean, variance, skewness, kurtosis, smallest, largest
    "uniform": (0.5, 1 / 12, 0, 1.8, 0, 1),
    "normal": (0, 1, 0, 3, -7, 7),
    "truncated_normal": (0, 0.7737413, 0, 2.3655, -2, 2),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("shape", [(50, 20_000), (250_000, 4)], ids=["long rows", "short rows"])
def test_moments(name, shape, dtype):
    x = _draw(name, shape, dtype).astype(np.float64).ravel()
    mean, variance, skewness, kurtosis, low, high = MOMENTS[name]
    z = (x - x.mean()) / x.std()
    assert abs(x.mean() - mean) < 5 * math.sqrt(variance / x.size)
    assert abs(x.var() / variance - 1) < 5 * math.sqrt(kurtosis / x.size)
    assert abs((z**3).mean() - skewness) < 0.02
    assert abs((z**4).mean() - kurtosis) < 0.04
    assert x.min() >= low and x.max() <= high and (name != "uniform" or x.max() < 1)
    lags = [np.corrcoef(x[:-lag], x[lag:])[0, 1] for lag in (1, 2, 3, 4, 8)]
    assert max(map(abs, lags)) < 5 / math.sqrt(x.size)


@pytest.mark.parametrize("rate", [0.001, 0.5, 0.99])
def test_dropout_keeps_the_share_and_the_mean(rate):
    out, mask = _dropout(np.ones((100, 10_000), np.float32), rate)
    deviation = math.sqrt(rate * (1 - rate) / mask.size)
    assert abs(mask.mean() - (1 - rate)) < 5 * deviation + 1 / 65536
    assert abs(out.mean(dtype=np.float64) - 1) < 5 * deviation / (1 - rate)


def test_dropout_passes_nan_on(dtype):
    out, _ = _dropout(np.full((3, 50), np.nan, dtype), 0.5)
    assert np.isnan(out).all()


@pytest.mark.parametrize("rate", [-0.1, 1.5, math.nan])
def test_wrong_rate_is_refused(rate):
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\]"):
        _dropout(np.ones((1, 1), np.float32), rate)


@pytest.mark.parametrize(
    "kernel, instruction", [(rng._uniform, "vpmuludq"), (rng._normal, "vsqrtps"), (rng._dropout, "vmulps")]
)
def test_is_vectorised(kernel, instruction):
    assert_vectorised(kernel, instruction)
