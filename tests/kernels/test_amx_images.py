import numpy as np
import pytest

from distkeras.kernels import amx_image_sums, amx_images, conv, gemm, image_areas, simd
from tests.kernels import guarded
from tests.kernels import naive_conv as naive

pytestmark = pytest.mark.skipif(not simd.HOST.matrix_unit, reason="these instructions have no matrix unit")

NONE = ((0, 0), (0, 0))

# images, kernel, strides, padding, dilations: images left over that fill a tile, or two in part; borders; several
# blocks of channels and of filters, and a part of one; strides; sums that begin anew; areas cut by lines and columns.
CASES = [
    ((48, 5, 6, 32), (3, 3, 32, 64), (1, 1), NONE, (1, 1)),
    ((25, 7, 5, 64), (3, 2, 64, 32), (1, 1), ((1, 1), (0, 1)), (1, 1)),
    ((57, 4, 4, 32), (3, 3, 32, 44), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((32, 9, 8, 64), (4, 4, 64, 64), (2, 2), ((1, 1), (1, 2)), (1, 1)),
    ((24, 6, 30, 32), (3, 3, 32, 32), (1, 1), ((2, 2), (2, 2)), (2, 2)),
]
WHOLE = [case for case in CASES if case[1][3] % 32 == 0]


def _arrays(case):
    x_shape, w_shape, strides, padding, dilations = case
    options = {"strides": strides, "padding": padding, "dilations": dilations}
    random = np.random.default_rng(7)
    x, w, bias = (guarded.normal(random, shape, np.float32) for shape in (x_shape, w_shape, w_shape[3:]))
    return x, w, bias, naive.out_shape(x_shape, w_shape, **options), options


def _by_images(calls):
    return sum(function is amx_images.convolve_blocks[np.float32] for function, _ in calls)


def _is_summed(calls):
    return any(function is amx_image_sums.sum_images[np.float32] for function, _ in calls)


@pytest.fixture(params=[image_areas.AREA_BLOCKS, 40], ids=["one area", "several"])
def areas(request, monkeypatch):
    monkeypatch.setattr(image_areas, "AREA_BLOCKS", request.param)
    monkeypatch.setattr(image_areas, "LEAST_USES", 1)
    monkeypatch.setattr(image_areas, "COLLIDING_BYTES", 1 << 40)
    for cached in (amx_images.tables, amx_image_sums._tables, image_areas.cut_in_areas):
        cached.cache_clear()
    yield
    for cached in (amx_images.tables, amx_image_sums._tables, image_areas.cut_in_areas):
        cached.cache_clear()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolutions(case, areas):
    x, w, bias, shape, options = _arrays(case)
    out = guarded.empty(shape, np.float32)
    assert _by_images(conv.conv2d_forward(x, w, out, scratch=np.empty, **options)) == 1
    result = guarded.run_twice(conv.conv2d_forward, x, w, out=out, bias=bias, relu=True, **options)
    expected = naive.forward(x, w, bias=bias, relu=True, **options)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6 * abs(expected).max())


@pytest.mark.parametrize("case", WHOLE, ids=str)
def test_gradients_by_the_images(case, areas):
    x, w, _, shape, options = _arrays(case)
    dy, dx = guarded.normal(np.random.default_rng(8), shape, np.float32), guarded.empty(x.shape, np.float32)
    assert _by_images(conv.conv2d_input_gradient(dy, w, dx, scratch=np.empty, **options)) == 1
    result = guarded.run_twice(conv.conv2d_input_gradient, dy, w, out=dx, **options)
    expected = naive.input_gradient(dy, w, x.shape, **options)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6 * abs(expected).max())


@pytest.mark.parametrize("case", [*WHOLE, ((32, 3, 3, 32), (5, 3, 32, 32), (1, 1), ((1, 1), (1, 1)), (1, 1))], ids=str)
def test_gradients_by_the_kernel(case, areas):
    x, w, _, shape, options = _arrays(case)
    dy, dw = guarded.normal(np.random.default_rng(8), shape, np.float32), guarded.empty(w.shape, np.float32)
    assert _is_summed(conv.conv2d_weight_gradient(x, dy, dw, scratch=np.empty, **options))
    result = guarded.run_twice(conv.conv2d_weight_gradient, x, dy, out=dw, **options)
    expected = naive.weight_gradient(x, dy, w.shape, **options)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6 * abs(expected).max())


@pytest.mark.parametrize("lower", [conv.conv2d_forward, conv.conv2d_input_gradient])
def test_few_images_have_the_bits_of_many(lower):
    random = np.random.default_rng(9)
    x, w = (guarded.normal(random, shape, np.float32) for shape in ((48, 9, 9, 64), (3, 3, 64, 64)))
    options = {"strides": (1, 1), "padding": ((1, 1), (1, 1))}
    with gemm.rows_alike():
        many = guarded.run_twice(lower, x, w, out=guarded.empty(x.shape, np.float32), **options)
        assert _by_images(lower(x, w, many, scratch=np.empty, **options)) == 1
        few = guarded.run_twice(lower, x[40:43].copy(), w, out=guarded.empty((3, 9, 9, 64), np.float32), **options)
    np.testing.assert_array_equal(few, many[40:43])


@pytest.mark.parametrize("value", [np.inf, np.nan, np.finfo(np.float32).max])
def test_what_cannot_be_split_reaches_the_windows_that_hold_it(value):
    x, w, bias, shape, options = _arrays(CASES[0])
    out = np.empty(shape, np.float32)
    calls = conv.conv2d_forward(x, w, out, bias=bias, scratch=np.empty, **options)

    def run():
        for function, arguments in calls:
            function(*arguments)
        return out.copy()

    finite = run()
    x[33, 2, 3, 7] = value
    held = np.zeros(shape[:3], bool)
    held[33, 0:3, 1:4] = True
    with np.errstate(all="ignore"):
        result, expected = run(), naive.forward(x, w, bias=bias, **options).astype(np.float32)
    np.testing.assert_array_equal(result[~held], finite[~held])
    np.testing.assert_allclose(result[held], expected[held], rtol=1e-6)


@pytest.mark.parametrize("value", [np.inf, np.nan, np.finfo(np.float32).max])
@pytest.mark.parametrize("which", ["images", "gradient"])
def test_what_cannot_be_split_gives_the_gradient_that_tiles_give(value, which):
    x, w, _, shape, options = _arrays(CASES[1])
    dy, dw = np.random.default_rng(8).standard_normal(shape).astype(np.float32), np.empty_like(w)
    calls = conv.conv2d_weight_gradient(x, dy, dw, scratch=np.empty, **options)
    assert _is_summed(calls)

    def run():
        for function, arguments in calls:
            function(*arguments)
        return dw.copy()

    finite, given = run(), {"images": x, "gradient": dy}[which]
    kept = given[24, 2, 2, 7]
    given[24, 2, 2, 7] = value
    with np.errstate(all="ignore"):
        expected = naive.weight_gradient(x, dy, w.shape, **options).astype(np.float32)
    np.testing.assert_allclose(run(), expected, rtol=1e-5, atol=1e-4)
    given[24, 2, 2, 7] = kept
    np.testing.assert_array_equal(run(), finite)


def test_few_images_and_images_whose_lines_collide_are_left_to_products_of_rows():
    w = np.empty((3, 3, 32, 32), np.float32)

    def is_by_images(*shape):
        x, out = (np.empty(shape, np.float32) for _ in range(2))
        options = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "scratch": np.empty}
        return bool(_by_images(conv.conv2d_forward(x, w, out, **options)))

    assert is_by_images(32, 12, 12, 32)
    assert not is_by_images(16, 12, 12, 32)
    assert not is_by_images(40, 12, 12, 32)  # of 64 rows
    assert not is_by_images(32, 32, 32, 32)
