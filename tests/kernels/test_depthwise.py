import numpy as np
import pytest

from distkeras.kernels import depthwise
from tests.kernels import guarded
from tests.kernels import naive_conv as naive

NONE = ((0, 0), (0, 0))

# images, kernel, strides, padding, dilations
CASES = [
    ((2, 6, 7, 3), (3, 3), (1, 1), NONE, (1, 1)),
    ((2, 6, 7, 16), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((3, 5, 5, 21), (3, 2), (1, 1), ((0, 1), (2, 0)), (1, 1)),
    ((2, 9, 8, 4), (3, 2), (2, 2), ((0, 1), (0, 1)), (1, 1)),
    ((1, 10, 11, 35), (5, 3), (3, 2), ((2, 2), (1, 1)), (1, 1)),
    ((2, 7, 7, 1), (2, 2), (3, 3), NONE, (1, 1)),
    ((1, 11, 10, 3), (3, 2), (2, 3), ((2, 1), (0, 3)), (2, 3)),
    ((1, 12, 9, 2), (3, 3), (4, 2), ((3, 3), (2, 2)), (2, 4)),
    ((3, 5, 4, 20), (1, 1), (1, 1), NONE, (1, 1)),
    ((2, 4, 4, 3), (1, 1), (1, 1), ((1, 0), (0, 2)), (1, 1)),
    ((2, 20, 19, 2), (3, 3), (1, 1), NONE, (1, 1)),
    ((0, 6, 6, 3), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((2, 2, 2, 3), (3, 3), (1, 1), NONE, (1, 1)),
    ((2, 5, 5, 0), (3, 3), (1, 1), NONE, (1, 1)),
]


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(params=CASES, ids=str)
def case(request, dtype):
    x_shape, window, strides, padding, dilations = request.param
    options = {"strides": strides, "padding": padding, "dilations": dilations}
    random = np.random.default_rng(5)
    y_shape = naive.out_shape(x_shape, (*window, 1, x_shape[3]), **options)
    arrays = (guarded.normal(random, shape, dtype) for shape in (x_shape, (*window, x_shape[3]), y_shape))
    return *arrays, options


def assert_close(actual, expected):
    unit = 2e-6 if actual.dtype == np.float32 else 1e-14
    np.testing.assert_allclose(actual, expected, rtol=0, atol=20 * unit * (1 + np.abs(expected).max(initial=0)))


def test_forward(case):
    x, w, y, options = case
    result = guarded.run_twice(depthwise.depthwise_forward, x, w, out=y, **options)
    assert_close(result, naive.depthwise_forward(x, w, **options))


def test_input_gradient(case):
    x, w, dy, options = case
    result = guarded.run_twice(
        depthwise.depthwise_input_gradient, dy, w, out=guarded.empty(x.shape, x.dtype), **options
    )
    assert_close(result, naive.depthwise_input_gradient(dy, w, x.shape, **options))


def test_weight_gradient(case):
    x, w, dy, options = case
    result = guarded.run_twice(
        depthwise.depthwise_weight_gradient, x, dy, out=guarded.empty(w.shape, x.dtype), **options
    )
    assert_close(result, naive.depthwise_weight_gradient(x, dy, w.shape, **options))


def test_nan_reaches_exactly_the_windows_of_its_channel():
    random = np.random.default_rng(7)
    x, w = guarded.normal(random, (1, 6, 6, 20), np.float32), guarded.normal(random, (3, 3, 20), np.float32)
    x[0, 0, 2, 17] = np.nan
    out = guarded.empty(x.shape, np.float32)
    options = {"strides": (1, 1), "padding": ((1, 1), (1, 1))}
    result = guarded.run_twice(depthwise.depthwise_forward, x, w, out=out, **options)
    touched = np.zeros(x.shape, bool)
    touched[0, :2, 1:4, 17] = True
    np.testing.assert_array_equal(np.isnan(result), touched)


def test_errors():
    x, w, y = np.ones((1, 5, 5, 2), np.float32), np.ones((3, 3, 2), np.float32), np.ones((1, 3, 3, 2), np.float32)
    valid = {"strides": (1, 1), "padding": NONE, "scratch": np.empty}
    with pytest.raises(ValueError, match=r"received 2 channels and \(1, 3, 4, 2\)"):
        depthwise.depthwise_forward(x, w, np.ones((1, 3, 4, 2), np.float32), **valid)
    with pytest.raises(ValueError, match="needs 2 channels"):
        depthwise.depthwise_input_gradient(y, np.ones((3, 3, 3), np.float32), x, **valid)
    with pytest.raises(ValueError, match="Cast first"):
        depthwise.depthwise_weight_gradient(x, y.astype(np.float64), w, **valid)
