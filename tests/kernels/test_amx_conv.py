import numpy as np
import pytest

from distkeras.kernels import amx_conv, conv, conv_gradients, simd
from distkeras.kernels.conv_geometry import Geometry
from tests.kernels import guarded
from tests.kernels import naive_conv as naive

pytestmark = pytest.mark.skipif(not simd.HOST.matrix_unit, reason="these instructions have no matrix unit")

NONE, ONE = ((0, 0), (0, 0)), ((1, 1), (1, 1))

# images, kernel, strides, padding, dilations: pairs of images and one that is left, whole and ragged tiles, one tile of
# channels, several bands of an image, an odd number of them, grids for each phase of a stride, steps within a window.
CASES = [
    ((4, 11, 11, 32), (3, 3, 32, 64), (1, 1), NONE, (1, 1)),
    ((3, 12, 10, 36), (3, 2, 36, 44), (1, 1), ((1, 0), (2, 1)), (1, 1)),
    ((2, 14, 14, 16), (2, 2, 16, 100), (1, 1), NONE, (1, 1)),
    ((3, 40, 37, 16), (3, 3, 16, 33), (1, 1), ONE, (1, 1)),
    ((4, 25, 24, 32), (3, 4, 32, 32), (2, 3), ((0, 1), (1, 2)), (1, 1)),
    ((2, 22, 22, 20), (3, 3, 20, 32), (1, 1), ((3, 3), (3, 3)), (3, 2)),
    ((2, 40, 40, 16), (3, 3, 16, 32), (2, 2), ONE, (3, 2)),
    ((1, 64, 20, 16), (3, 3, 16, 32), (1, 1), ONE, (1, 1)),
]


def _arrays(case):
    x_shape, w_shape, strides, padding, dilations = case
    options = {"strides": strides, "padding": padding, "dilations": dilations}
    random = np.random.default_rng(5)
    dy_shape = naive.out_shape(x_shape, w_shape, **options)
    x, dy = (guarded.normal(random, shape, np.float32) for shape in (x_shape, dy_shape))
    return x, dy, guarded.empty(w_shape, np.float32), options


def _lowered(x, dy, out, scratch, again=None, **options):
    geometry = Geometry.of(x.shape, out.shape, dy.shape, **options)
    again = conv_gradients._by_tiles(x, dy, out, geometry, scratch) if again is None else again
    return amx_conv.weight_gradient(x, dy, out, geometry, again, scratch)


def _is_split(calls):
    return any(function is amx_conv.multiply_pixels[np.float32] for function, _ in calls)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_by_the_kernel(case):
    x, dy, dw, options = _arrays(case)
    result = guarded.run_twice(_lowered, x, dy, out=dw, again=[], **options)
    expected = naive.weight_gradient(x, dy, dw.shape, **options)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6 * abs(expected).max())


@pytest.mark.parametrize("value", [np.nan, np.inf, np.finfo(np.float32).max])
@pytest.mark.parametrize("which", ["images", "gradient", "what no window holds"])
def test_what_cannot_be_split_gives_what_tiles_give(value, which):
    x, dy, dw, options = _arrays(((3, 12, 12, 16), (3, 3, 16, 32), (2, 2), NONE, (1, 1)))
    calls = _lowered(x, dy, dw, np.empty, **options)

    def run():
        for function, arguments in calls:
            function(*arguments)
        return dw.copy()

    before = run()
    place = (dy, (2, 1, 3, 7)) if which == "gradient" else (x, (1, 11, 11, 3) if which != "images" else (1, 4, 5, 3))
    array, index = place
    kept, array[index] = array[index], value
    result = run()
    if which != "what no window holds":
        assert not np.array_equal(result, before, equal_nan=True)
    expected = guarded.empty(dw.shape, np.float32)
    geometry = Geometry.of(x.shape, dw.shape, dy.shape, **options)
    for function, arguments in conv_gradients._by_tiles(x, dy, expected, geometry, np.empty):
        function(*arguments)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=2e-5)
    array[index] = kept
    np.testing.assert_array_equal(run(), before)


@pytest.mark.parametrize(
    "shape, kernel, is_split",
    [
        ((4, 13, 13, 32), (3, 3, 32, 64), True),
        ((4, 5, 5, 32), (3, 3, 32, 64), False),  # small images: most of what is multiplied would be zeros
        ((1, 14, 14, 32), (3, 3, 32, 64), False),  # nothing to pair with
        ((4, 14, 14, 3), (3, 3, 3, 64), False),  # few channels
        ((4, 14, 14, 32), (3, 3, 32, 8), False),  # few filters
    ],
)
def test_what_is_lowered_to_it(shape, kernel, is_split):
    x, dy, dw, options = _arrays((shape, kernel, (1, 1), NONE, (1, 1)))
    assert _is_split(conv.conv2d_weight_gradient(x, dy, dw, scratch=np.empty, **options)) == is_split
