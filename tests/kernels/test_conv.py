import numpy as np
import pytest

from distkeras.kernels import conv
from tests.kernels import guarded
from tests.kernels import naive_conv as naive

NONE = ((0, 0), (0, 0))

# images, kernel, strides, padding, dilations
CASES = [
    ((2, 6, 7, 3), (3, 3, 3, 5), (1, 1), NONE, (1, 1)),
    ((2, 6, 7, 3), (3, 3, 3, 17), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((3, 5, 5, 1), (3, 3, 1, 32), (1, 1), ((0, 1), (2, 0)), (1, 1)),
    ((2, 9, 8, 4), (3, 2, 4, 6), (2, 2), ((0, 1), (0, 1)), (1, 1)),
    ((1, 10, 11, 2), (5, 3, 2, 70), (3, 2), ((2, 2), (1, 1)), (1, 1)),
    ((2, 7, 7, 5), (2, 2, 5, 1), (3, 3), NONE, (1, 1)),
    ((2, 9, 9, 3), (3, 3, 3, 4), (1, 1), ((2, 2), (2, 2)), (2, 2)),
    ((1, 11, 10, 3), (3, 2, 3, 9), (2, 3), ((2, 1), (0, 3)), (2, 3)),
    ((1, 12, 9, 2), (3, 3, 2, 2), (4, 2), ((3, 3), (2, 2)), (2, 4)),
    ((2, 8, 5, 6), (2, 3, 6, 8), (1, 1), ((0, 0), (1, 1)), (3, 1)),
    ((3, 5, 4, 20), (1, 1, 20, 33), (1, 1), NONE, (1, 1)),
    ((3, 5, 5, 4), (1, 1, 4, 7), (2, 2), NONE, (1, 1)),
    ((2, 4, 4, 3), (1, 1, 3, 5), (1, 1), ((1, 0), (0, 2)), (1, 1)),
    ((2, 3, 4, 2), (3, 4, 2, 6), (1, 1), NONE, (1, 1)),
    ((1, 2, 2, 1), (1, 1, 1, 1), (1, 1), NONE, (1, 1)),
    ((2, 18, 17, 2), (3, 3, 2, 18), (1, 1), NONE, (1, 1)),
    ((1, 40, 33, 1), (2, 2, 1, 3), (1, 1), ((0, 0), (1, 0)), (1, 1)),
    ((9, 4, 70, 1), (2, 3, 1, 4), (1, 1), NONE, (1, 1)),
    ((0, 6, 6, 3), (3, 3, 3, 4), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((0, 6, 6, 3), (1, 1, 3, 4), (1, 1), NONE, (1, 1)),
    ((2, 2, 2, 3), (3, 3, 3, 4), (1, 1), NONE, (1, 1)),
]


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(params=CASES, ids=str)
def case(request, dtype):
    x_shape, w_shape, strides, padding, dilations = request.param
    options = {"strides": strides, "padding": padding, "dilations": dilations}
    random = np.random.default_rng(5)
    y_shape = naive.out_shape(x_shape, w_shape, **options)
    x, w, y = (guarded.normal(random, shape, dtype) for shape in (x_shape, w_shape, y_shape))
    return x, w, y, options


def _assert_close(actual, expected):
    unit = 2e-6 if actual.dtype == np.float32 else 1e-14
    scale = 1 + np.abs(expected).max(initial=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=20 * unit * scale)


def test_forward(case):
    x, w, y, options = case
    bias = guarded.normal(np.random.default_rng(6), w.shape[3:], x.dtype)
    for epilogue in ({}, {"bias": bias, "relu": True}):
        result = guarded.run_twice(conv.conv2d_forward, x, w, out=y, **options, **epilogue)
        _assert_close(result, naive.forward(x, w, **options, **epilogue))


def test_weight_gradient(case):
    x, w, dy, options = case
    result = guarded.run_twice(conv.conv2d_weight_gradient, x, dy, out=guarded.empty(w.shape, x.dtype), **options)
    _assert_close(result, naive.weight_gradient(x, dy, w.shape, **options))


def test_input_gradient(case):
    x, w, dy, options = case
    result = guarded.run_twice(conv.conv2d_input_gradient, dy, w, out=guarded.empty(x.shape, x.dtype), **options)
    _assert_close(result, naive.input_gradient(dy, w, x.shape, **options))


def test_nan_reaches_exactly_the_windows_that_hold_it():
    random = np.random.default_rng(7)
    x, w = guarded.normal(random, (1, 6, 6, 2), np.float32), guarded.normal(random, (3, 3, 2, 20), np.float32)
    x[0, 0, 2, 1] = np.nan
    out = guarded.empty((1, 6, 6, 20), np.float32)
    options = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "relu": True}
    result = guarded.run_twice(conv.conv2d_forward, x, w, out=out, **options)
    touched = np.zeros((1, 6, 6, 20), bool)
    touched[0, :2, 1:4] = True
    np.testing.assert_array_equal(np.isnan(result), touched)


def test_errors():
    x, w, y = np.ones((1, 5, 5, 2), np.float32), np.ones((3, 3, 2, 4), np.float32), np.ones((1, 3, 3, 4), np.float32)
    valid = {"strides": (1, 1), "padding": NONE, "scratch": np.empty}
    with pytest.raises(ValueError, match=r"gives \(1, 3, 3, 4\); received 2 channels and \(1, 3, 4, 4\)"):
        conv.conv2d_forward(x, w, np.ones((1, 3, 4, 4), np.float32), **valid)
    with pytest.raises(ValueError, match="needs 2 channels"):
        conv.conv2d_forward(x, np.ones((3, 3, 3, 4), np.float32), y, **valid)
    with pytest.raises(ValueError, match="strides and dilations >= 1"):
        conv.conv2d_forward(x, w, y, strides=(0, 1), padding=NONE, scratch=np.empty)
    with pytest.raises(ValueError, match="bias"):
        conv.conv2d_forward(x, w, y, bias=np.ones(3, np.float32), **valid)
    with pytest.raises(ValueError, match="Cast first"):
        conv.conv2d_weight_gradient(x, y.astype(np.float64), w, **valid)
    with pytest.raises(ValueError, match="C-contiguous"):
        conv.conv2d_input_gradient(np.asfortranarray(y), w, x, **valid)
