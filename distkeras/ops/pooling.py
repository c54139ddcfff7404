"""Pooling of sequences, images and volumes; the primitives pool images [batch, height, width, channels]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core.primitive import PRIMITIVES, Calls, Primitive
from distkeras.core.rows import all_rows, each_row
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels import pool as kernels
from distkeras.ops import elementwise, reduction  # noqa: F401  (their primitives are rewritten here)
from distkeras.ops._op import named, op
from distkeras.ops.convolution import directions
from distkeras.ops.shape import expand_dims, reshape, squeeze
from distkeras.ops.windows import (
    LAYOUTS,
    channels_first,
    channels_last,
    expect_rank,
    is_channels_first,
    output_sizes,
    resolve_padding,
    spatial,
)

_max_pool = Primitive("max_pool2d")
_max_pool_gradient = Primitive("max_pool2d_gradient")
_max_pool_take = Primitive("max_pool2d_take")
_average_pool = Primitive("average_pool2d")
_average_pool_gradient = Primitive("average_pool2d_gradient")


def _pooled_shape(x: TensorSpec, window: tuple, strides: tuple, padding: tuple) -> tuple[int, ...]:
    return (x.shape[0], *output_sizes(x.shape[1:3], window, strides, padding), x.shape[3])


# --- the maximum, and where it was found


@_max_pool.def_shape
def _max_pool_shape(x: TensorSpec, **params: Any) -> tuple[TensorSpec, TensorSpec]:
    shape = _pooled_shape(x, **params)
    return TensorSpec(shape, x.dtype), TensorSpec(shape, kernels.index_dtype(params["window"]))


@_max_pool.def_kernel
def _max_pool_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, **params: Any) -> Calls:
    return kernels.max_pool2d(inputs[0], *outputs, **params)


_max_pool.def_vjp(
    lambda gradients, inputs, outputs, **params: (
        lambda: _max_pool_gradient(gradients[0], outputs[1], input_shape=tuple(inputs[0].shape), **params),
    )
)
_max_pool.def_cut(each_row(0))
_max_pool_gradient.def_cut(each_row(0, 1, sized="input_shape"))
_max_pool_take.def_cut(all_rows)
_average_pool.def_cut(each_row(0))
_average_pool_gradient.def_cut(each_row(0, sized="input_shape"))

_max_pool_gradient.def_shape(lambda g, index, input_shape, **params: TensorSpec(input_shape, g.dtype))
_max_pool_gradient.def_vjp(
    lambda gradients, inputs, outputs, input_shape, **params: (
        lambda: _max_pool_take(gradients[0], inputs[1], **params),
        None,
    )
)


@_max_pool_gradient.def_kernel
def _max_pool_gradient_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Any, *, input_shape: tuple, **params: Any
) -> Calls:
    return kernels.max_pool2d_gradient(*inputs, outputs[0], **params)


_max_pool_take.def_shape(lambda h, index, **params: TensorSpec(index.shape, h.dtype))
_max_pool_take.def_vjp(
    lambda gradients, inputs, outputs, **params: (
        lambda: _max_pool_gradient(gradients[0], inputs[1], input_shape=tuple(inputs[0].shape), **params),
        None,
    )
)


@_max_pool_take.def_kernel
def _max_pool_take_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, **params: Any) -> Calls:
    return [(_take_at, (*inputs, outputs[0], params["window"], params["strides"], params["padding"]))]


def _take_at(h: np.ndarray, index: np.ndarray, out: np.ndarray, window: tuple, strides: tuple, padding: tuple) -> None:
    """out[n, p, q, c] = h at the place in window (p, q) that index names; only second derivatives need this."""
    n, rows, columns, channels = np.ogrid[tuple(slice(size) for size in index.shape)]
    place = index.astype(np.int64)
    row = rows * strides[0] - padding[0][0] + place // window[1]
    column = columns * strides[1] - padding[1][0] + place % window[1]
    out[...] = h[n, row, column, channels]


# The gradient of a maximum goes to one place of each window. So what is done to it place by place, or summed over all
# places, can be done before it is spread out, on a fraction of the memory.


@PRIMITIVES["relu_gradient"].def_rewrite
def _mask_before_spreading(view: Any, inputs: tuple) -> tuple | None:
    """relu_gradient(max_pool_gradient(g), x) = max_pool_gradient(relu_gradient(g, max_pool(x)))."""
    spread = view.producer(inputs[0])
    if spread is None or spread.primitive is not _max_pool_gradient or not view.is_used_once(inputs[0]):
        return None
    g, index = spread.inputs
    pool = view.producer(index)
    if pool is None or pool.primitive is not _max_pool or pool.inputs[0] is not inputs[1]:
        return None
    (masked,) = view.apply(PRIMITIVES["relu_gradient"], (g, pool.outputs[0]))
    return view.apply(_max_pool_gradient, (masked, index), **spread.params)


@PRIMITIVES["reduce_sum"].def_rewrite
def _sum_before_spreading(view: Any, inputs: tuple, axes: tuple, keepdims: bool) -> tuple | None:
    """sum(max_pool_gradient(g)) = sum(g), over samples and places."""
    spread = view.producer(inputs[0])
    if spread is None or spread.primitive is not _max_pool_gradient or not {0, 1, 2} <= set(axes):
        return None
    return view.apply(PRIMITIVES["reduce_sum"], spread.inputs[:1], axes=axes, keepdims=keepdims)


# --- the average


@_average_pool.def_shape
def _average_pool_shape(x: TensorSpec, **params: Any) -> TensorSpec:
    return TensorSpec(_pooled_shape(x, **params), x.dtype)


@_average_pool.def_kernel
def _average_pool_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, **params: Any) -> Calls:
    return kernels.average_pool2d(inputs[0], outputs[0], **params)


_average_pool.def_vjp(
    lambda gradients, inputs, outputs, **params: (
        lambda: _average_pool_gradient(gradients[0], input_shape=tuple(inputs[0].shape), **params),
    )
)
_average_pool_gradient.def_shape(lambda g, input_shape, **params: TensorSpec(input_shape, g.dtype))
_average_pool_gradient.def_vjp(
    lambda gradients, inputs, outputs, input_shape, **params: (lambda: _average_pool(gradients[0], **params),)
)


@_average_pool_gradient.def_kernel
def _average_pool_gradient_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Any, *, input_shape: tuple, **params: Any
) -> Calls:
    return kernels.average_pool2d_gradient(inputs[0], outputs[0], **params)


# --- the public ops


def _pool(
    apply: Callable[..., Tensor],
    name: str,
    rank: int,
    x: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None,
) -> Tensor:
    x = to_tensor(x)
    first = is_channels_first(data_format, rank)
    expect_rank(name, x, rank)
    window = spatial(ksize, rank, "ksize", first)
    strides = window if strides is None else spatial(strides, rank, "strides", first)
    if first:
        x = channels_last(x)
    pads = resolve_padding(padding, x.shape[1:-1], window, strides, first=first)
    output_sizes(x.shape[1:-1], window, strides, pads)
    y = _RANKS[rank](apply, x, window, strides, pads)
    return channels_first(y) if first else y


def _pool_sequences(apply: Callable[..., Tensor], x: Tensor, window: tuple, strides: tuple, pads: tuple) -> Tensor:
    images = expand_dims(x, 1)
    return squeeze(apply(images, window=(1, *window), strides=(1, *strides), padding=((0, 0), *pads)), [1])


def _pool_images(apply: Callable[..., Tensor], x: Tensor, window: tuple, strides: tuple, pads: tuple) -> Tensor:
    return apply(x, window=window, strides=strides, padding=pads)


def _pool_volumes(apply: Callable[..., Tensor], x: Tensor, window: tuple, strides: tuple, pads: tuple) -> Tensor:
    """Within each slice in depth, then over slices.

    A mean of means is the mean, for the slices of a window hold equally many places; the first of the largest of each
    slice's first largest element is the first one in the window, to which its gradient goes.
    """
    batch, depth, height, width, channels = x.shape
    slices = reshape(x, (batch * depth, height, width, channels))
    slices = apply(slices, window=window[1:], strides=strides[1:], padding=pads[1:])
    _, height, width, _ = slices.shape
    columns = reshape(slices, (batch, depth, height * width, channels))
    columns = apply(columns, window=(window[0], 1), strides=(strides[0], 1), padding=(pads[0], (0, 0)))
    return reshape(columns, (batch, columns.shape[1], height, width, channels))


_RANKS = {1: _pool_sequences, 2: _pool_images, 3: _pool_volumes}


def _largest(x: Tensor, **params: Any) -> Tensor:
    return _max_pool(x, **params)[0]


def _of_rank(apply: Callable[..., Tensor], kind: str, rank: int, summary: str) -> Callable[..., Tensor]:
    """An op that pools in so many directions."""
    op_name = f"{kind}{rank}d"

    def function(
        input: Any,
        ksize: Any,
        strides: Any = None,
        padding: Any = "VALID",
        data_format: str | None = LAYOUTS[rank][0],
        name: str | None = None,
    ) -> Tensor:
        return _pool(apply, op_name, rank, input, ksize, strides, padding, data_format)

    return op(named(function, op_name, summary))


def _of_any_rank(apply: Callable[..., Tensor], kind: str) -> Callable[..., Tensor]:
    def function(
        input: Any, ksize: Any, strides: Any, padding: Any, data_format: str | None = None, name: str | None = None
    ) -> Tensor:
        input = to_tensor(input)
        return _pool(apply, kind, directions(kind, input), input, ksize, strides, padding, data_format)

    return op(named(function, kind, f"`{kind}1d`, `{kind}2d` or `{kind}3d`, by the rank of the input."))


max_pool1d = _of_rank(_largest, "max_pool", 1, "`max_pool2d` for sequences [batch, steps, channels].")
max_pool2d = _of_rank(
    _largest,
    "max_pool",
    2,
    """The largest element of each window and channel; padding never wins.

    Args:
        input: [batch, height, width, channels].
        ksize, strides: The window and its steps, one int or two; the steps are the window's size by default.
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)).
    """,
)
max_pool3d = _of_rank(_largest, "max_pool", 3, "`max_pool2d` for volumes [batch, depth, height, width, channels].")
max_pool = _of_any_rank(_largest, "max_pool")
avg_pool1d = _of_rank(_average_pool, "avg_pool", 1, "`avg_pool2d` for sequences [batch, steps, channels].")
avg_pool2d = _of_rank(
    _average_pool,
    "avg_pool",
    2,
    "The mean over each window and channel; padding is not counted. Arguments as for `max_pool2d`.",
)
avg_pool3d = _of_rank(_average_pool, "avg_pool", 3, "`avg_pool2d` for volumes [batch, depth, height, width, channels].")
avg_pool = _of_any_rank(_average_pool, "avg_pool")


@op
def pool(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`max_pool` or `avg_pool`, as pooling_type 'MAX' or 'AVG' says, in steps of 1 by default.

    Raises:
        ValueError: Another pooling_type, or dilations other than 1.
    """
    kinds = {"MAX": max_pool, "AVG": avg_pool}
    if pooling_type not in kinds:
        raise ValueError(f"pool: pooling_type must be 'MAX' or 'AVG', received {pooling_type!r}.")
    if dilations is not None and np.any(np.asarray(dilations) != 1):
        raise ValueError(f"pool: expected windows without gaps, received dilations {dilations!r}. Leave them out.")
    return kinds[pooling_type](input, window_shape, 1 if strides is None else strides, padding, data_format)


@op
def max_pool_with_argmax(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    output_dtype: Any = "int64",
    include_batch_in_index: bool = False,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """`max_pool2d`, and where each largest element is.

    Args:
        input, ksize, strides, padding: As for `max_pool2d`; images have their channels last.
        output_dtype: 'int32' or 'int64'.
        include_batch_in_index: Whether places are counted over the whole batch, not within each image.

    Returns:
        (values, places): a place is (row * width + column) * channels + channel.
    """
    if data_format != "NHWC":
        raise ValueError(f"max_pool_with_argmax: data_format must be 'NHWC', received {data_format!r}.")
    x = to_tensor(input)
    expect_rank("max_pool_with_argmax", x, 2)
    window, steps = spatial(ksize, 2, "ksize", False), spatial(strides, 2, "strides", False)
    pads = resolve_padding(padding, x.shape[1:-1], window, steps)
    values, index = _max_pool(x, window=window, strides=steps, padding=pads)
    images, rows, columns, channels = np.ogrid[tuple(slice(size) for size in values.shape)]
    _, height, width, count = x.shape
    inside = elementwise.cast(index, output_dtype)
    row = inside // window[1] + to_tensor((rows * steps[0] - pads[0][0]).astype(inside.dtype.numpy))
    column = inside % window[1] + to_tensor((columns * steps[1] - pads[1][0]).astype(inside.dtype.numpy))
    if include_batch_in_index:
        row = row + to_tensor((images * height).astype(inside.dtype.numpy))
    return values, (row * width + column) * count + to_tensor(channels.astype(inside.dtype.numpy))
