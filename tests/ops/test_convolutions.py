"""Convolution in one to three directions, transposed, depthwise and local, and pooling: by their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import to_tensor
from distkeras.graph.function import function
from distkeras.testing import check_compiled, check_grads
from tests.ops.compare import check

_rng = np.random.default_rng(3)
SIZES = {1: (7,), 2: (5, 4), 3: (4, 5, 3)}
LAYOUTS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}
CONVOLUTIONS = {1: ops.conv1d, 2: ops.conv2d, 3: ops.conv3d}
TRANSPOSED = {1: ops.conv1d_transpose, 2: ops.conv2d_transpose, 3: ops.conv3d_transpose}


def normal(*shape, dtype=np.float32):
    return _rng.standard_normal(shape).astype(dtype)


def naive(x, w, strides, pads, dilations):
    """The sum over taps of the places each meets, times its matrix, in float64."""
    rank = x.ndim - 2
    x = np.pad(x.astype(float), ((0, 0), *pads, (0, 0)))
    counts = [(x.shape[1 + d] - dilations[d] * (w.shape[d] - 1) - 1) // strides[d] + 1 for d in range(rank)]
    y = np.zeros((x.shape[0], *counts, w.shape[-1]))
    for tap in itertools.product(*map(range, w.shape[:rank])):
        starts = [k * dilation for k, dilation in zip(tap, dilations, strict=True)]
        places = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, counts, strides, strict=True)]
        y += x[(slice(None), *places)] @ w[tap].astype(float)
    return y


def same(sizes, window, strides, dilations):
    totals = [
        max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        for n, k, s, d in zip(sizes, window, strides, dilations, strict=True)
    ]
    return [(total // 2, total - total // 2) for total in totals]


def first(x):
    return np.moveaxis(np.asarray(x), -1, 1)


OPTIONS = [(1, "VALID", 1), (2, "SAME", 1), (3, "VALID", 1), (1, "SAME", 2), (2, "SAME", 2), (1, "pairs", 1)]


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding", "dilation"), OPTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_convolution_in_any_number_of_directions(rank, stride, padding, dilation, dtype):
    x, w = normal(2, *SIZES[rank], 3, dtype=dtype), normal(*(2, 3, 2)[:rank], 3, 4, dtype=dtype)
    strides, dilations = (stride,) * rank, (dilation,) * rank
    pads = {"VALID": [(0, 0)] * rank, "SAME": same(SIZES[rank], w.shape[:rank], strides, dilations)}.get(
        padding, [(1, 0), (2, 1), (0, 2)][:rank]
    )
    given = pads if padding == "pairs" else padding
    expected = naive(x, w, strides, pads, dilations).astype(dtype)
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    last, channels_first = LAYOUTS[rank]
    check(CONVOLUTIONS[rank](x, w, stride, given, last, dilation), expected, **tolerance)
    check(
        CONVOLUTIONS[rank](first(x), w, [1, 1, *strides], given, channels_first, dilation), first(expected), **tolerance
    )
    check(ops.convolution(x, w, strides, given, None, dilations), expected, **tolerance)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding", "dilation"), OPTIONS)
def test_transposed_convolution_is_the_adjoint(rank, stride, padding, dilation):
    """<conv(x), g> = <x, conv_transpose(g)> for all x and g."""
    x, w = normal(2, *SIZES[rank], 3, dtype=np.float64), normal(*(2, 3, 2)[:rank], 3, 4, dtype=np.float64)
    given = [(1, 0), (2, 1), (0, 2)][:rank] if padding == "pairs" else padding
    y = CONVOLUTIONS[rank](x, w, stride, given, LAYOUTS[rank][0], dilation).numpy()
    g = normal(*y.shape, dtype=np.float64)
    last, channels_first = LAYOUTS[rank]
    back = TRANSPOSED[rank](g, w, x.shape, stride, given, last, dilation)
    np.testing.assert_allclose((y * g).sum(), (x * back.numpy()).sum(), rtol=1e-10)
    swapped = TRANSPOSED[rank](first(g), w, first(x).shape, stride, given, channels_first, dilation)
    check(swapped, first(back), rtol=1e-12, atol=1e-12)
    check(ops.conv_transpose(g, w, (-1, *x.shape[1:]), stride, given, last, dilation), back.numpy())


@pytest.mark.parametrize("rank", [1, 3])
def test_derivatives_in_one_and_three_directions(rank):
    x, w = normal(1, *(3, 4, 3)[:rank], 2), normal(*(2, 2, 2)[:rank], 2, 2)
    check_grads(lambda x, w: CONVOLUTIONS[rank](x, w, 2, "SAME"), x, w)
    shape = (-1, *(5, 8, 6)[:rank], 2)
    check_grads(lambda x, w: TRANSPOSED[rank](x, w, shape, 2, "SAME"), x, w)
    check_compiled(lambda x, w: CONVOLUTIONS[rank](x, w, 2, "SAME"), x, w, rtol=1e-4, atol=1e-5)
    check_compiled(lambda x, w: TRANSPOSED[rank](x, w, shape, 2, "SAME"), x, w, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_groups_of_channels_have_filters_of_their_own(rank):
    x, w = normal(2, *SIZES[rank], 6), normal(*(2, 3, 2)[:rank], 2, 9)
    parts = [CONVOLUTIONS[rank](x[..., 2 * i : 2 * i + 2], w[..., 3 * i : 3 * i + 3]).numpy() for i in range(3)]
    check(CONVOLUTIONS[rank](x, w), np.concatenate(parts, -1), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="divide them and the outputs into groups"):
        CONVOLUTIONS[rank](x, w[..., :8])


def test_filters_with_holes():
    x, w = normal(2, 7, 6, 3), normal(3, 2, 3, 4)
    check(ops.atrous_conv2d(x, w, 2, "SAME"), ops.conv2d(x, w, 1, "SAME", dilations=2).numpy())
    g = normal(2, 7, 6, 4)
    expected = ops.conv2d_transpose(g, w, x.shape, 1, "SAME", dilations=2)
    check(ops.atrous_conv2d_transpose(g, w, x.shape, 2, "SAME"), expected.numpy())


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_bias_and_relu_become_part_of_a_convolution_of_any_rank(rank):
    x, w, bias = normal(2, *SIZES[rank], 3), normal(*(2, 3, 2)[:rank], 3, 4), normal(4)
    layer = lambda x, w, bias: ops.relu(ops.convolution(x, w) + bias)  # noqa: E731
    graph = function(layer).get_concrete_function(*map(ops.constant, (x, w, bias))).plan.graph
    names = [equation.primitive.name for equation in graph.equations]
    assert names.count("conv2d_affine") == 1 and not {"conv2d", "add", "relu"} & set(names)
    check_compiled(layer, x, w, bias, rtol=1e-4, atol=1e-5, batched=[0])
    check_compiled(lambda *args: layer(*args) + ops.convolution(x, w), x, w, bias, rtol=1e-4, atol=1e-5, batched=[])


# --- depthwise


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize(("stride", "padding", "dilation"), OPTIONS)
def test_depthwise_convolution_is_one_convolution_for_each_channel(multiplier, stride, padding, dilation):
    x, w = normal(2, 5, 4, 3), normal(2, 3, 3, multiplier)
    given = [(1, 0), (2, 1)] if padding == "pairs" else padding
    parts = [ops.conv2d(x[..., i : i + 1], w[:, :, i : i + 1], stride, given, None, dilation).numpy() for i in range(3)]
    expected = np.concatenate(parts, -1)
    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    check(ops.depthwise_conv2d(x, w, [1, stride, stride, 1], given, None, dilation), expected, **tolerance)
    check(ops.depthwise_conv2d(first(x), w, stride, given, "NCHW", dilation), first(expected), **tolerance)


def test_separable_convolution_is_depthwise_then_pointwise():
    x, depthwise, pointwise = normal(2, 5, 4, 3), normal(2, 3, 3, 2), normal(1, 1, 6, 4)
    expected = ops.depthwise_conv2d(x, depthwise, 2, "SAME").numpy() @ pointwise[0, 0]
    check(ops.separable_conv2d(x, depthwise, pointwise, 2, "SAME"), expected, rtol=1e-4, atol=1e-5)
    swapped = ops.separable_conv2d(first(x), depthwise, pointwise, 2, "SAME", "NCHW")
    check(swapped, first(expected), rtol=1e-4, atol=1e-5)
    row = ops.separable_conv1d(x[:, 0], depthwise[0], pointwise[0], 1, [(1, 0)])
    wide = ops.separable_conv2d(x[:, :1], depthwise[:1], pointwise, 1, [(0, 0), (1, 0)])
    check(row, wide.numpy()[:, 0])


def test_derivatives_of_depthwise_convolution_with_a_multiplier():
    x, w = normal(2, 3, 4, 2), normal(2, 2, 2, 2)
    check_grads(lambda x, w: ops.depthwise_conv2d(x, w, 1, "SAME", None, (1, 2)), x, w)
    check_compiled(lambda x, w: ops.depthwise_conv2d(x, w, 2, "SAME"), x, w, rtol=1e-4, atol=1e-5, batched=[0])


# --- local


@pytest.mark.parametrize("channels_first", [False, True])
def test_local_convolution_multiplies_each_window_with_a_matrix_of_its_place(channels_first):
    x, kernel = normal(2, 5, 4, 3), normal(6, 2 * 2 * 3, 4)
    given = first(x) if channels_first else x
    expected = np.zeros((2, 2, 3, 4), np.float32)
    for place, (i, j) in enumerate(np.ndindex(2, 3)):
        rows, columns = slice(3 * i, 3 * i + 2), slice(j, j + 2)
        window = given[:, :, rows, columns] if channels_first else given[:, rows, columns]
        expected[:, i, j] = window.reshape(2, -1) @ kernel[place]
    result = ops.local_conv(given, kernel, 2, (3, 1), (2, 3), channels_first)
    check(result, first(expected) if channels_first else expected, rtol=1e-5, atol=1e-5)


def test_derivatives_of_local_convolution():
    check_grads(lambda x, w: ops.local_conv(x, w, 2, 1, 3), normal(2, 4, 2), normal(3, 4, 2))


# --- pooling


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("window", "stride", "padding"), [(2, 2, "VALID"), (3, 1, "SAME"), (2, 3, "SAME")])
def test_pooling_in_any_number_of_directions(rank, window, stride, padding):
    x = normal(2, *SIZES[rank], 3)
    pads = same(SIZES[rank], (window,) * rank, (stride,) * rank, (1,) * rank) if padding == "SAME" else [(0, 0)] * rank
    padded = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (window,) * rank, tuple(range(1, rank + 1)))
    windows = windows[(slice(None), *[slice(None, None, stride)] * rank)]
    axes = tuple(range(-rank, 0))
    last, channels_first = LAYOUTS[rank]
    for kind, reduce in (("max", np.nanmax), ("avg", np.nanmean)):
        expected = reduce(windows, axes)
        pool, by_rank = getattr(ops, f"{kind}_pool{rank}d"), getattr(ops, f"{kind}_pool")
        check(pool(x, window, stride, padding, last), expected, rtol=1e-5, atol=1e-6)
        check(pool(first(x), window, [1, 1] + [stride] * rank, padding, channels_first), first(expected), rtol=1e-5,
              atol=1e-6)  # fmt: skip
        check(by_rank(x, window, stride, padding), pool(x, window, stride, padding).numpy())
        check(tf.nn.pool(x, window, kind.upper(), stride, padding), pool(x, window, stride, padding).numpy())


def test_a_volumes_maximum_passes_its_gradient_to_the_first_largest_element():
    x = to_tensor(np.zeros((1, 2, 2, 2, 1), np.float32))
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.max_pool3d(x, 2)
    gradient = tape.gradient(y, x).numpy().ravel()
    assert gradient.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("pool", [ops.max_pool3d, ops.avg_pool3d, ops.max_pool1d, ops.avg_pool1d])
def test_derivatives_of_pooling(pool):
    sizes = (3, 2, 3) if pool in (ops.max_pool3d, ops.avg_pool3d) else (5,)
    x = 0.1 * _rng.permutation(2 * int(np.prod(sizes))).reshape(1, *sizes, 2)
    check_grads(lambda x: pool(x, 2, 2, "SAME") ** 2, x)


# --- enlarging


def test_enlarging():
    x = normal(2, 3, 2, 4)
    check(ops.enlarge(x, (2, 3), 1), x.repeat(2, 1).repeat(3, 2))
    row = np.float32([[[0.0], [4.0]]])
    check(ops.enlarge(row, (4,), 1, "bilinear"), np.float32([0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4]).reshape(1, 8, 1))
    check_grads(lambda x: ops.enlarge(x, (2, 1), 2, "bilinear"), x)
