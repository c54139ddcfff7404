import numpy as np
import pytest

from distkeras.kernels import reduce
from tests.kernels import naive_reduce as naive
from tests.kernels.assembly import assert_vectorised
from tests.kernels.lowered import dirty_scratch, run

SHAPES = [
    (1, 1, 1), (3, 7, 1), (2, 300, 1), (1, 9000, 1), (1, 5, 3), (2, 100, 10), (1, 3000, 3), (4, 6, 64), (3, 70, 33),
    (1, 130, 300), (1, 20000, 17), (2, 9, 1000), (0, 4, 3), (3, 4, 0), (0, 5, 1), (2, 1, 5),
]  # fmt: skip
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-14}


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


def _lower(name, x, out):
    run(getattr(reduce, f"lower_{name}")(x, out, dirty_scratch))
    return out


def _empty(x, dtype=None):
    return np.full((x.shape[0], x.shape[2]), 1, dtype or x.dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sum", "max", "min"])
def test_floats(name, shape, dtype):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    expected = naive.reduce(name, x)
    scale = np.abs(x).sum(axis=1, dtype=np.float64) if name == "sum" else 0
    assert (abs(_lower(name, x, _empty(x)) - expected) <= TOLERANCE[dtype] * scale).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_product(shape, dtype):
    x = np.exp(np.random.default_rng(0).normal(size=shape) * 0.01).astype(dtype)
    # Every factor adds a rounding error.
    tolerance = (shape[1] + 1) * np.finfo(dtype).eps
    np.testing.assert_allclose(_lower("prod", x, _empty(x)), naive.reduce("prod", x), rtol=tolerance)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min"])
def test_integers_are_exact_and_wrap_around(name, shape, dtype):
    x = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    np.testing.assert_array_equal(_lower(name, x, _empty(x)), naive.reduce(name, x))


@pytest.mark.parametrize("name", ["any", "all"])
@pytest.mark.parametrize("share", [0.01, 0.99])
def test_booleans(name, shape, share):
    x = np.random.default_rng(0).random(shape) < share
    np.testing.assert_array_equal(_lower(name, x, _empty(x)), naive.reduce(name, x))


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all"])
@pytest.mark.parametrize("inner", [1, 5])
def test_over_nothing_it_is_the_neutral_element(name, inner):
    x = np.empty((2, 0, inner), bool if name in ("any", "all") else np.float32)
    np.testing.assert_array_equal(_lower(name, x, _empty(x)), np.full((2, inner), naive.STARTS[name]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("name", ["max", "min"])
def test_arg(name, shape, dtype):
    x = np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)
    found = _lower(f"arg{name}", x, _empty(x, np.int64))
    np.testing.assert_array_equal(found, naive.arg(name, x))


@pytest.mark.parametrize("inner", [1, 3])
def test_arg_over_nothing_is_refused(inner):
    with pytest.raises(ValueError, match="no extremum"):
        _lower("argmax", np.ones((2, 0, inner)), np.ones((2, inner), np.int64))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("nan", [np.nan, -np.nan])
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "argmax", "argmin"])
@pytest.mark.parametrize(
    "shape, places", [((2, 300, 1), (0, 150, 299)), ((2, 100, 5), (0, 50, 99)), ((2, 5, 300), (4,))]
)
def test_nan_spoils_its_result_and_no_other(name, shape, places, nan, dtype):
    for place in places:
        x = np.random.default_rng(0).normal(size=shape).astype(dtype)
        x[1, place, -1] = nan
        if name.startswith("arg"):
            out = _lower(name, x, _empty(x, np.int64))
            np.testing.assert_array_equal(out, naive.arg(name[3:], x))
            assert out[1, -1] == place
        else:
            out = _lower(name, x, _empty(x))
            assert np.isnan(out[1, -1]) and np.isnan(out).sum() == 1


def test_infinities_are_extrema():
    x = np.array([1, -np.inf, np.inf, 2], np.float32).reshape(1, 4, 1)
    assert _lower("max", x, _empty(x))[0, 0] == np.inf and _lower("min", x, _empty(x))[0, 0] == -np.inf


@pytest.mark.parametrize("shape", [(1, 1_000_000, 1), (1, 1_000_000, 3), (1, 200_000, 16)])
def test_long_float32_sums_are_accurate(shape):
    x = np.random.default_rng(0).random(shape).astype(np.float32)
    np.testing.assert_allclose(_lower("sum", x, _empty(x)), x.sum(axis=1, dtype=np.float64), rtol=5e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 17, 100_003])
def test_sum_of_squares(size, dtype):
    x, out = np.random.default_rng(0).normal(size=size).astype(dtype), np.full(1, 9.0)
    reduce.sum_of_squares[dtype](x, out)
    np.testing.assert_allclose(out[0], (x.astype(np.float64) ** 2).sum(), rtol=1e-12)
    x[size // 2 :] = np.nan
    reduce.sum_of_squares[dtype](x, out)
    assert np.isnan(out[0]) == (size > 0)


@pytest.mark.parametrize(
    "kernel, instruction",
    [
        (reduce._KERNELS[0], "vaddps"),
        (reduce._KERNELS[2], "vmaxps"),
        (reduce._ROW_KERNELS[0], "vaddps"),
        (reduce._ROW_KERNELS[2], "vpmaxsd"),
        (reduce.sum_of_squares, "pd"),
    ],
)
def test_is_vectorised(kernel, instruction):
    assert_vectorised(kernel, instruction)
