"""Depthwise and separable convolution of images: each channel with filters of its own, then channels among them."""

from __future__ import annotations

from typing import Any

from distkeras._errors import InvalidArgumentError
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels import depthwise as kernels
from distkeras.ops._op import op, operands
from distkeras.ops.convolution import convolve, product_of_images_and_filters
from distkeras.ops.shape import expand_dims, repeat, reshape, squeeze
from distkeras.ops.windows import channels_first, output_sizes, resolve_padding, unified

# Of images [batch, height, width, channels] and filters [filter height, filter width, channels].
_depthwise = product_of_images_and_filters(
    "depthwise_conv2d",
    kernels.depthwise_forward,
    kernels.depthwise_input_gradient,
    kernels.depthwise_weight_gradient,
)


@_depthwise.def_shape
def _depthwise_shape(x: TensorSpec, w: TensorSpec, strides: tuple, padding: tuple, dilations: tuple) -> TensorSpec:
    sizes = output_sizes(x.shape[1:3], w.shape[:2], strides, padding, dilations)
    return TensorSpec((x.shape[0], *sizes, x.shape[3]), x.dtype)


@op
def depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Convolution of each channel of images with filters of its own.

    Args:
        input: [batch, height, width, channels] ([batch, channels, height, width] for data_format 'NCHW').
        filter: [filter height, filter width, channels, outputs for each channel].
        strides, dilations: One int, or one for each direction.
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)).

    Returns:
        [batch, ..., channels * outputs for each channel], all of the first channel first.

    Raises:
        InvalidArgumentError: The shapes do not fit.

    >>> import distkeras as tf
    >>> y = tf.nn.depthwise_conv2d(tf.ones((1, 2, 2, 3)), tf.ones((2, 2, 3, 2)), [1, 1, 1, 1], "VALID")
    >>> y.numpy().ravel().tolist()
    [4.0, 4.0, 4.0, 4.0, 4.0, 4.0]
    """
    x, w = operands(input, filter)
    x, strides, dilations, first = unified("depthwise_conv2d", 2, x, strides, dilations, data_format)
    if w.ndim != 4 or w.shape[2] != x.shape[3]:
        raise InvalidArgumentError(
            f"depthwise_conv2d: expected filters [height, width, {x.shape[3]} channels, outputs for each channel], "
            f"received {w.shape}."
        )
    pads = resolve_padding(padding, x.shape[1:3], w.shape[:2], strides, dilations, first)
    height, width, channels, multiplier = w.shape
    x = repeat(x, multiplier, axis=3) if multiplier > 1 else x
    w = reshape(w, (height, width, channels * multiplier))
    y = _depthwise(x, w, strides=strides, padding=pads, dilations=dilations)
    return channels_first(y) if first else y


@op
def separable_conv2d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`depthwise_conv2d`, then the channels that come out of it combined at each place.

    Args:
        input: [batch, height, width, channels] ([batch, channels, height, width] for data_format 'NCHW').
        depthwise_filter: [filter height, filter width, channels, multiplier].
        pointwise_filter: [1, 1, channels * multiplier, outputs].
        strides, padding, dilations: As for `depthwise_conv2d`.

    Raises:
        InvalidArgumentError: The shapes do not fit.
    """
    depthwise, pointwise = to_tensor(depthwise_filter), to_tensor(pointwise_filter)
    made = tuple(depthwise.shape[2:])
    if pointwise.ndim != 4 or len(made) != 2 or tuple(pointwise.shape[:3]) != (1, 1, made[0] * made[1]):
        raise InvalidArgumentError(
            f"separable_conv2d: expected a pointwise_filter [1, 1, channels * multiplier, outputs] for the "
            f"depthwise_filter {depthwise.shape}, received {pointwise.shape}."
        )
    y = depthwise_conv2d(input, depthwise, strides, padding, data_format, dilations)
    return convolve("separable_conv2d", 2, y, pointwise, 1, "VALID", data_format, None)


@op
def separable_conv1d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`separable_conv2d` of sequences, with filters [taps, channels, multiplier] and [1, channels made, outputs]."""
    x, strides, dilations, first = unified("separable_conv1d", 1, to_tensor(input), strides, dilations, data_format)
    depthwise, pointwise = expand_dims(depthwise_filter, 0), expand_dims(pointwise_filter, 0)
    pads = padding if isinstance(padding, str) else ((0, 0), *resolve_padding(padding, (1,), (1,), (1,), first=first))
    y = separable_conv2d(expand_dims(x, 1), depthwise, pointwise, (1, *strides), pads, "NHWC", (1, *dilations))
    return channels_first(squeeze(y, [1])) if first else squeeze(y, [1])
