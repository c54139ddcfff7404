import itertools

import numpy as np
import pytest

from distkeras.kernels import amx_gemm, contraction, conv, gemm, simd
from tests.kernels import guarded, naive_conv, naive_split

only_with_the_unit = pytest.mark.skipif(not simd.HOST.matrix_unit, reason="these instructions have no matrix unit")

# m, n, k: whole and ragged blocks, one and two tiles, sums in several pieces, either operand the larger one, and a
# panel that is done in parts.
SIZES = [(32, 128, 128), (45, 200, 90), (16, 544, 32), (300, 64, 300), (37, 260, 784), (1, 130, 140), (700, 700, 33)]


def _normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _run(calls, out):
    for function, arguments in calls:
        function(*arguments)
    return out


def _by_tiles(a, b):
    out = np.empty((len(a), b.shape[1]), np.float32)
    product = gemm._Product.of(a, b, out)
    return _run(gemm._tiles(product, np.empty), out)


def _split(a, b, out, scratch=np.empty, bias=None, relu=False):
    return amx_gemm.SplitProduct(gemm._contraction(gemm._Product.of(a, b, out, False, False, bias, relu))).calls(
        scratch
    )


def _by_parts(a, b, **options):
    out = np.empty((len(a), b.shape[1]), np.float32)
    return _run(_split(a, b, out, **options), out)


def _done_again(calls):
    """How many rows tiles have computed after the matrix unit."""
    after = [call[1][1] for before, call in itertools.pairwise(calls) if before[0].__name__ == "multiply_split"]
    return sum(job[contraction.ROWS] for job in after)


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1.0, 7e8, 3e38])
def test_parts_add_up_to_the_number(scale):
    x = np.clip(_normal(10000) * np.float32(scale / 5), -3.38e38, 3.38e38)
    first, second, third = naive_split.split(x)
    for part in (first, second, third):
        assert not (part.view(np.uint32) & 0xFFFF).any()
    np.testing.assert_array_equal(first.astype(np.float64) + second + third, x)


def test_what_is_left_out_of_a_product_is_below_the_last_digit():
    a, b = _normal(100000, 1), _normal(100000, 2)
    exact = a.astype(np.float64) * b
    left_out = naive_split.product(a, b, np.multiply) / exact - 1
    assert abs(left_out).max() < 2.0**-24
    assert np.sqrt(np.mean(left_out**2)) < 2.0**-27
    assert abs(left_out.mean()) < 2.0**-33


@only_with_the_unit
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products(size):
    m, n, k = size
    a, b, bias = guarded.normal(np.random.default_rng(k), (m, k), np.float32), _normal((k, n)), _normal(n)
    exact = naive_split.product(a, b)
    for options, expected in (({}, exact), ({"bias": bias, "relu": True}, np.maximum(exact + bias, 0))):
        out = guarded.empty((m, n), np.float32)
        calls = _split(a, b, out, guarded.Scratch(), **options)
        np.testing.assert_allclose(_run(calls, out), expected, rtol=0, atol=2e-7 * (4 + k))
        assert not _done_again(calls)


def _scaled(shape, axis, low=-20, high=20):
    scales = 10.0 ** np.random.default_rng(5).uniform(low, high, shape[axis])
    return (_normal(shape) * np.expand_dims(scales, 1 - axis)).astype(np.float32)


def _cancelling():
    a, b = _normal((40, 512)), _normal((512, 96), 1)
    a[:, 256:], b[256:] = a[:, :256], -b[:256] * np.float32(1 + 1e-5)
    return a, b


OPERANDS = {
    "normal": lambda: (_normal((64, 784)), _normal((784, 96), 1)),
    "positive": lambda: (abs(_normal((64, 2000))), abs(_normal((2000, 96), 1))),
    "rows scaled": lambda: (_scaled((64, 300), 0), _normal((300, 96), 1)),
    "columns scaled": lambda: (_normal((64, 300)), _scaled((300, 96), 1)),
    "both scaled": lambda: (_scaled((64, 300), 0, -10, 17), _scaled((300, 96), 1, -10, 17)),
    "terms scaled": lambda: (_scaled((64, 300), 1), _normal((300, 96), 1)),
    "cancelling": _cancelling,
}


@only_with_the_unit
@pytest.mark.parametrize("name", OPERANDS)
def test_errors_are_those_of_tiles(name):
    a, b = OPERANDS[name]()
    exact, size = a.astype(np.float64) @ b, abs(a).astype(np.float64) @ abs(b)
    by_parts, by_tiles = (np.sqrt(np.mean(((way(a, b) - exact) / size) ** 2)) for way in (_by_parts, _by_tiles))
    # A sum that is one large term has been rounded six times, not once.
    assert by_parts <= (2 if name == "terms scaled" else 1.2) * by_tiles


@only_with_the_unit
def test_what_is_not_finite_is_done_by_tiles():
    a, b = _normal((70, 300)), _normal((300, 100), 1)
    a[3, 7], a[40, 299], a[69, 0], a[5, 5] = np.nan, np.inf, -np.inf, np.finfo(np.float32).max
    a[20, :2] = 3e38  # both terms are finite, and their sum is not
    b[:2] = abs(b[:2]) + 1
    troubled = [3, 5, 20, 40, 69]
    out = np.empty((70, 100), np.float32)
    calls = _split(a, b, out)
    _run(calls, out)
    assert _done_again(calls) == len(troubled)
    result, expected = _by_parts(a, b, relu=True), np.maximum(_by_tiles(a, b), 0)
    np.testing.assert_array_equal(result[troubled], expected[troubled])
    others = np.delete(np.arange(70), troubled)
    np.testing.assert_array_equal(result[others], _by_parts(a[others], b, relu=True))
    b[4, 4] = np.inf
    np.testing.assert_array_equal(_by_parts(a, b), _by_tiles(a, b))


@only_with_the_unit
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("transpose_a", [False, True])
def test_products_are_lowered_to_it(transpose_a, transpose_b):
    m, n, k = 48, 160, 290
    a, b = _normal((k, m) if transpose_a else (m, k)), _normal((n, k) if transpose_b else (k, n), 1)
    left, right = (a.T if transpose_a else a), (b.T if transpose_b else b)
    out = guarded.empty((m, n), np.float32)
    flags = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    calls = gemm.matmul(a, b, out, scratch=np.empty, **flags)
    assert any(function is amx_gemm.multiply_split[np.float32] for function, _ in calls)
    result = guarded.run_twice(gemm.matmul, a, b, out=out, **flags)
    np.testing.assert_allclose(result, naive_split.product(left, right), rtol=0, atol=4e-5)
    with gemm.rows_alike():  # 3 rows are too few to be faster so
        result, few = guarded.run_twice(gemm.matmul, a, b, out=out, **flags), guarded.empty((3, n), np.float32)
        part = np.ascontiguousarray(a[:, :3] if transpose_a else a[:3])
        np.testing.assert_array_equal(guarded.run_twice(gemm.matmul, part, b, out=few, **flags), result[:3])


@only_with_the_unit
@pytest.mark.parametrize("depth", [40, 600])
def test_rows_computed_in_pieces_are_those_of_the_whole(depth):
    a, b = _normal((depth, 100)), _normal((depth, 420), 1)
    whole = guarded.run_twice(gemm.matmul, a, b, out=np.empty((100, 420), np.float32), transpose_a=True)
    first, rows_from = gemm.matmul_by_rows(a, b, transpose_a=True, scratch=np.empty)
    _run(first, None)
    for start, stop in ((0, 40), (40, 77), (77, 100)):
        block = guarded.empty((stop - start, 420), np.float32)
        calls = rows_from(block, start)
        np.testing.assert_array_equal(_run(calls, block), whole[start:stop])
        assert not _done_again(calls)


# images, kernel, strides, padding: images taken together and one by one, borders that are pieces of their own, strides.
CONVOLUTIONS = {
    "small": ((3, 9, 10, 32), (3, 3, 32, 64), (1, 1), ((0, 0), (0, 0))),
    "large, with borders": ((2, 18, 20, 64), (3, 3, 64, 44), (1, 1), ((1, 1), (1, 1))),
    "strides": ((2, 50, 41, 32), (3, 4, 32, 160), (2, 2), ((0, 1), (1, 1))),
}


def _convolved(name, kind):
    """Images, and calls of the convolution and of the gradient by the images, with their results."""
    shape, kernel, strides, padding = CONVOLUTIONS[name]
    x, w, bias = _normal(shape).astype(kind), _normal(kernel, 1).astype(kind), _normal(kernel[3], 2).astype(kind)
    sizes = [
        (n + sum(ends) - k) // step + 1 for n, ends, k, step in zip(shape[1:], padding, kernel, strides, strict=False)
    ]
    out, dx = np.empty((shape[0], *sizes, kernel[3]), kind), np.empty(shape, kind)
    options = {"strides": strides, "padding": padding, "scratch": np.empty}
    forward = conv.conv2d_forward(x, w, out, bias=bias, **options)
    return x, (forward, out), (conv.conv2d_input_gradient(out, w, dx, **options), dx)


@only_with_the_unit
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name):
    (_, *singles), (_, *doubles) = _convolved(name, np.float32), _convolved(name, np.float64)
    for (calls, out), (more, expected) in zip(singles, doubles, strict=True):
        _run(more, expected)
        np.testing.assert_allclose(_run(calls, out), expected, rtol=0, atol=1e-6 * abs(expected).max())
        is_split = any(function is amx_gemm.multiply_split[np.float32] for function, _ in calls)
        assert is_split == (out.shape[3] != 64 or name != "large, with borders")  # 44 filters make no whole blocks
        assert not _done_again(calls)


@only_with_the_unit
@pytest.mark.parametrize("name", ["small", "large, with borders"])
def test_what_is_not_finite_reaches_the_windows_that_hold_it(name):
    x, (calls, out), _ = _convolved(name, np.float32)
    expected = _run(calls, out).copy()
    x[1, 4, 5, 6] = np.inf
    result = _run(calls, out)
    held = np.zeros(out.shape[:3], bool)
    top = CONVOLUTIONS[name][3][0][0]
    held[1, 2 + top : 5 + top, 3 + top : 6 + top] = True
    assert np.isinf(result[held]).all()
    np.testing.assert_array_equal(result[~held], expected[~held])


@only_with_the_unit
def test_borders_of_many_images_are_computed_so_too_unless_rows_are_to_be_alike():
    dy, w = _normal((40, 10, 10, 32)), _normal((3, 3, 64, 32), 1)
    dx = guarded.empty((40, 12, 12, 64), np.float32)
    options = {"strides": (1, 1), "padding": ((0, 0), (0, 0))}

    def split_pieces():
        calls = conv.conv2d_input_gradient(dy, w, dx, scratch=np.empty, **options)
        return sum(function is amx_gemm.multiply_split[np.float32] for function, _ in calls)

    assert split_pieces() == 9  # the inside, and lines of 8 pixels along its edges
    with gemm.rows_alike():
        assert split_pieces() == 1
    result = guarded.run_twice(conv.conv2d_input_gradient, dy, w, out=dx, **options)
    expected = naive_conv.input_gradient(dy, w, dx.shape, dilations=(1, 1), **options)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6 * abs(expected).max())
