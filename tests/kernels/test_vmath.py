import numpy as np
import pytest

from distkeras.kernels import vmath
from distkeras.kernels.compile import kernel
from tests.kernels.assembly import assert_vectorised
from tests.kernels.naive_vmath import FUNCTIONS

RANGES = {"exp": (-87, 88.5), "expm1": (-30, 88), "log": (1e-38, 1e6), "log1p": (-0.99, 1e4)}
SPECIAL = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 89.0, -110.0, 1e30, -1e30, 1e-30, -1e-30]


def _loop(name):
    function = getattr(vmath, name)

    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    loop.__qualname__ = loop.__name__ = f"{name}_loop"
    return kernel("void({t}[::1], {t}[::1])")(loop)


LOOPS = {name: _loop(name) for name in FUNCTIONS}


def _apply(name, x):
    out = np.empty_like(x)
    LOOPS[name][x.dtype](x, out)
    return out


def _arguments(name, dtype):
    low, high = RANGES.get(name, (-20, 20))
    generator = np.random.default_rng(1)
    near = generator.uniform(-1, 1, 20_000) * 10.0 ** generator.uniform(-6, 0, 20_000)
    x = np.concatenate([np.linspace(low, high, 50_001), near[near > low]]).astype(dtype)
    return x[(x >= low) & (x <= high)]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 4e-7), (np.float64, 4e-15)])
def test_is_accurate(name, dtype, tolerance):
    x = _arguments(name, dtype)
    expected = FUNCTIONS[name](x.astype(np.float64))
    error = abs(_apply(name, x) - expected) / np.maximum(abs(expected), np.finfo(dtype).tiny)
    assert error.max() < tolerance, f"{error.max():.2g} at {x[error.argmax()]!r}"


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("copies", [1, 40])
def test_special_values_in_the_vector_body_and_its_remainder(name, dtype, copies):
    x = np.repeat(np.array(SPECIAL, dtype), copies)
    with np.errstate(all="ignore"):
        expected = FUNCTIONS[name](x.astype(np.float64)).astype(dtype)
    tiny = np.finfo(np.float32).tiny
    np.testing.assert_allclose(_apply(name, x), expected, rtol=4e-7, atol=tiny)
    assert np.isnan(_apply(name, np.full(50, np.nan, dtype))).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_loop_is_vectorised(name):
    assert_vectorised(LOOPS[name], "vfmadd")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_called_from_python_it_is_the_same_function(name):
    x = np.float64(0.7)
    assert getattr(vmath, name)(x) == pytest.approx(FUNCTIONS[name](x), rel=1e-14)


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1])")
def _extremes(x, y, larger, smaller):
    for i in range(x.size):
        larger[i] = vmath.maximum(x[i], y[i])
        smaller[i] = vmath.minimum(x[i], y[i])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_maximum_and_minimum(dtype):
    values = [0, 1, -1, 7] if dtype == np.int64 else [0.0, 1.0, -1.0, np.nan, np.inf, -np.inf]
    x, y = (np.ascontiguousarray(grid.ravel()) for grid in np.meshgrid(*2 * [np.repeat(np.array(values, dtype), 5)]))
    larger, smaller = np.empty_like(x), np.empty_like(x)
    _extremes[dtype](x, y, larger, smaller)
    np.testing.assert_array_equal(larger, np.maximum(x, y))
    np.testing.assert_array_equal(smaller, np.minimum(x, y))


@kernel("void({t}[::1], int64[::1], {t}[::1])")
def _there_and_back(x, keys, back):
    for i in range(x.size):
        keys[i] = vmath.order(x[i])
        back[i] = vmath.from_order(vmath.order(x[i]), x[i])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("python", [False, True])
def test_order_sorts_as_floats_do(dtype, python):
    function = _there_and_back.python if python else _there_and_back[dtype]
    x = np.array([-np.inf, -1e30, -1.5, -1e-40, -0.0, 0.0, 1e-40, 1.0, 1e30, np.inf, np.nan], dtype)
    keys, back = np.empty(x.shape, np.int64), np.empty_like(x)
    function(x, keys, back)
    assert list(keys) == sorted(set(keys.tolist()))
    np.testing.assert_array_equal(back, x)
