import numpy as np
import pytest

from distkeras.kernels import pool
from tests.kernels import naive_pool as naive
from tests.kernels.assembly import assert_vectorised
from tests.kernels.lowered import run

# image [N, H, W, C], window, strides, padding
CASES = [
    ((2, 6, 8, 3), (2, 2), (2, 2), ((0, 0), (0, 0))),
    ((2, 7, 5, 17), (2, 2), (2, 2), ((0, 0), (0, 0))),
    ((2, 7, 5, 48), (2, 2), (2, 2), ((0, 0), (0, 0))),
    ((1, 5, 5, 1), (2, 2), (2, 2), ((0, 1), (0, 1))),
    ((3, 9, 7, 16), (3, 3), (2, 2), ((1, 1), (0, 1))),
    ((1, 6, 6, 5), (3, 2), (1, 1), ((1, 1), (0, 1))),
    ((2, 4, 9, 20), (1, 4), (3, 2), ((0, 0), (1, 2))),
    ((1, 5, 4, 2), (5, 4), (1, 1), ((0, 0), (0, 0))),
    ((1, 20, 19, 3), (17, 16), (2, 3), ((0, 0), (2, 1))),
    ((2, 3, 3, 4), (1, 1), (2, 2), ((0, 0), (0, 0))),
    ((0, 6, 6, 3), (2, 2), (2, 2), ((0, 0), (0, 0))),
    ((0, 6, 6, 3), (3, 3), (2, 2), ((1, 0), (0, 1))),
]


@pytest.fixture(params=CASES, ids=str)
def case(request):
    shape, window, strides, padding = request.param
    sizes = [pool.pooled_size(shape[1 + i], window[i], strides[i], padding[i]) for i in range(2)]
    return shape, (shape[0], *sizes, shape[3]), {"window": window, "strides": strides, "padding": padding}


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def _image(shape, dtype, seed=0):
    """Small integers, so that maxima are often shared."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def test_max_pool(case, dtype):
    shape, pooled_shape, where = case
    x = _image(shape, dtype)
    out, values_alone = np.full((2, *pooled_shape), 99, dtype)
    index = np.full(pooled_shape, 99, pool.index_dtype(where["window"]))
    run(pool.max_pool2d(x, out, index, **where))
    run(pool.max_pool2d(x, values_alone, None, **where))
    expected, places = naive.max_pool2d(x, pooled_shape, *where.values())
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(values_alone, expected)
    np.testing.assert_array_equal(index, places)


def test_max_pool_gradient(case, dtype):
    shape, pooled_shape, where = case
    _, places = naive.max_pool2d(_image(shape, dtype), pooled_shape, *where.values())
    index = places.astype(pool.index_dtype(where["window"]))
    dy, dx = _image(pooled_shape, dtype, seed=1), np.full(shape, 99, dtype)
    run(pool.max_pool2d_gradient(dy, index, dx, **where))
    np.testing.assert_array_equal(dx, naive.max_pool2d_gradient(dy, places, shape, *where.values()))


def test_average_pool(case, dtype):
    shape, pooled_shape, where = case
    x, out = _image(shape, dtype), np.full(pooled_shape, 99, dtype)
    run(pool.average_pool2d(x, out, **where))
    tolerance = 1e-6 if dtype == np.float32 else 1e-13
    expected = naive.average_pool2d(x, pooled_shape, *where.values())
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


def test_average_pool_gradient(case, dtype):
    shape, pooled_shape, where = case
    dy, dx = _image(pooled_shape, dtype, seed=1), np.full(shape, 99, dtype)
    run(pool.average_pool2d_gradient(dy, dx, **where))
    tolerance = 1e-6 if dtype == np.float32 else 1e-13
    expected = naive.average_pool2d_gradient(dy, shape, *where.values())
    np.testing.assert_allclose(dx, expected, rtol=tolerance, atol=tolerance * 4)


@pytest.mark.parametrize("window, strides", [((2, 2), (2, 2)), ((3, 3), (2, 2)), ((17, 16), (1, 1))], ids=str)
@pytest.mark.parametrize("place", [(0, 0), (1, 0), (1, 1)])
def test_nan_is_the_maximum_of_its_windows(window, strides, place, dtype):
    x = _image((1, 20, 20, 9), dtype)
    x[0, place[0], place[1], 4] = np.nan
    where = {"window": window, "strides": strides, "padding": ((0, 0), (0, 0))}
    sizes = [pool.pooled_size(20, window[i], strides[i], (0, 0)) for i in range(2)]
    out, alone = np.empty((2, 1, *sizes, 9), dtype)
    index = np.empty(out.shape, pool.index_dtype(window))
    run(pool.max_pool2d(x, out, index, **where))
    run(pool.max_pool2d(x, alone, None, **where))
    expected, places = naive.max_pool2d(x, out.shape, *where.values())
    assert np.isnan(expected).any()
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(alone, expected)
    np.testing.assert_array_equal(index, places)


def test_a_window_of_padding_only_changes_nothing_outside_the_image(dtype):
    where = {"window": (2, 2), "strides": (2, 2), "padding": ((2, 0), (0, 0))}
    x, out, index = _image((1, 2, 2, 3), dtype), np.empty((1, 2, 1, 3), dtype), np.empty((1, 2, 1, 3), np.uint8)
    run(pool.max_pool2d(x, out, index, **where))
    assert (out[0, 0] == -np.inf).all() and (out[0, 1, 0] == x.max(axis=(1, 2))).all()
    dx = np.empty_like(x)
    run(pool.max_pool2d_gradient(np.ones_like(out), index, dx, **where))
    assert dx.sum() == 3
    run(pool.average_pool2d(x, out, **where))
    assert (out[0, 0] == 0).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"window": (0, 2)}, "at least 1"),
        ({"strides": (1, 1)}, "gives float32"),
        ({"padding": ((-1, 0), (0, 0))}, "no negative padding"),
    ],
)
def test_wrong_geometry_is_refused(change, message):
    where = {"window": (2, 2), "strides": (2, 2), "padding": ((0, 0), (0, 0))} | change
    with pytest.raises(ValueError, match=message):
        pool.average_pool2d(np.ones((1, 4, 4, 1), np.float32), np.ones((1, 2, 2, 1), np.float32), **where)


def test_wrong_index_is_refused():
    x, out, index = np.ones((1, 4, 4, 1)), np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 1), np.int32)
    with pytest.raises(ValueError, match="index must be uint8"):
        pool.max_pool2d(x, out, index, window=(2, 2), strides=(2, 2), padding=((0, 0), (0, 0)))


@pytest.mark.parametrize(
    "kernel, instruction",
    [
        (pool._max_pool_two, "vcmp"),
        (pool._max_pool_two_gradient, "vmov"),
        (pool._max_pool, "vcmp"),
        (pool._max_pool_gradient, "vadd"),
        (pool._average_pool, "vadd"),
    ],
)
def test_is_vectorised(kernel, instruction):
    assert_vectorised(kernel, instruction)
