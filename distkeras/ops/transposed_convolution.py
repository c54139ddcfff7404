"""Transposed convolution, which some call deconvolution: the gradient of a convolution by its input, as an op."""

from __future__ import annotations

from typing import Any

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import PRIMITIVES
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op, operands, static_ints
from distkeras.ops.convolution import directions, filters_of_taps, of_images
from distkeras.ops.elementwise import add_n
from distkeras.ops.joining import split
from distkeras.ops.shape import expand_dims, reshape, slice_primitive, squeeze
from distkeras.ops.windows import along, channels_first, output_sizes, resolve_padding, tap_places, unified

_images_from = PRIMITIVES["conv2d_input_gradient"]
_unslice = PRIMITIVES["unslice"]


def convolve_transposed(
    name: str,
    rank: int,
    x: Any,
    w: Any,
    output_shape: Any,
    strides: Any,
    padding: Any,
    data_format: str | None,
    dilations: Any,
) -> Tensor:
    """That of which a convolution with these filters, strides and padding would be as large as x.

    Raises:
        InvalidArgumentError: The shapes do not fit.
        ValueError: padding or data_format is none.
    """
    x, w = operands(x, w)
    x, strides, dilations, first = unified(name, rank, x, strides, dilations, data_format)
    sizes = _output_sizes(name, x, w, output_shape, first)
    pads = resolve_padding(padding, sizes, w.shape[:rank], strides, dilations, first)
    given = output_sizes(sizes, w.shape[:rank], strides, pads, dilations)
    if given != tuple(x.shape[1:-1]):
        raise InvalidArgumentError(
            f"{name}: a convolution with filters {w.shape}, strides {strides} and padding {padding} makes {given} of "
            f"the sizes {sizes} in output_shape, but the input has {tuple(x.shape[1:-1])}."
        )
    shape = (x.shape[0], *sizes, w.shape[-2])
    y = _RANKS[rank](x, w, shape, strides=strides, padding=pads, dilations=dilations)
    return channels_first(y) if first else y


def _output_sizes(name: str, x: Tensor, w: Tensor, output_shape: Any, first: bool) -> tuple[int, ...]:
    """The sizes of the directions in output_shape, once the filters and its other entries are known to fit x."""
    if w.ndim != x.ndim or w.shape[-1] != x.shape[-1]:
        raise InvalidArgumentError(
            f"{name}: expected filters [{x.ndim - 2} sizes, outputs, channels] with the {x.shape[-1]} channels of the "
            f"input, received {w.shape}."
        )
    shape = list(static_ints(output_shape, "output_shape"))
    received = list(shape)
    if len(shape) == x.ndim:
        channels, batch = shape.pop(1 if first else -1), shape.pop(0)
        if channels == w.shape[-2] and batch in (x.shape[0], -1):
            return tuple(shape)
    raise InvalidArgumentError(
        f"{name}: expected an output_shape of {x.ndim} sizes with batch {x.shape[0]} and {w.shape[-2]} channels, for "
        f"filters {w.shape}, received {received}."
    )


def _transpose_of_sequences(x: Tensor, w: Tensor, shape: tuple, **params: Any) -> Tensor:
    wide = (shape[0], 1, *shape[1:])
    y = _images_from(expand_dims(x, 1), expand_dims(w, 0), input_shape=wide, **of_images(**params))
    return squeeze(y, [1])


def _transpose_of_images(x: Tensor, w: Tensor, shape: tuple, **params: Any) -> Tensor:
    return _images_from(x, w, input_shape=shape, **params)


def _transpose_of_volumes(
    x: Tensor, w: Tensor, shape: tuple, strides: tuple, padding: tuple, dilations: tuple
) -> Tensor:
    """What the slices in depth receive through each tap comes as channels of images; it is added where it belongs."""
    batch, depth, *rest = x.shape
    taps, (before, after) = w.shape[0], padding[0]
    params = {"strides": strides[1:], "padding": padding[1:], "dilations": dilations[1:]}
    images = (batch * depth, *shape[2:4], taps * shape[4])
    y = _images_from(reshape(x, (batch * depth, *rest)), filters_of_taps(w), input_shape=images, **params)
    parts = split(reshape(y, (batch, depth, *images[1:])), taps, axis=4)
    padded = (batch, before + shape[1] + after, *shape[2:])
    places = tap_places(depth, taps, strides[0], dilations[0])
    spread = [
        _unslice(part, shape=padded, index=along(padded, 1, place)) for part, place in zip(parts, places, strict=True)
    ]
    return slice_primitive(add_n(spread), along(padded, 1, slice(before, before + shape[1], 1)))


_RANKS = {1: _transpose_of_sequences, 2: _transpose_of_images, 3: _transpose_of_volumes}


@op
def conv1d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str | None = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Transposed convolution of sequences [batch, steps, channels]; arguments as for `conv2d_transpose`."""
    return convolve_transposed(
        "conv1d_transpose", 1, input, filters, output_shape, strides, padding, data_format, dilations
    )


@op
def conv2d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str | None = "NHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Transposed convolution of images: the gradient of `conv2d` by its input.

    Args:
        input: [batch, height, width, channels] ([batch, channels, height, width] for data_format 'NCHW').
        filters: [filter height, filter width, output channels, input channels].
        output_shape: The shape of the result, of which several may fit an input; a batch of -1 is the input's.
        strides, dilations: Those of the convolution, one int or one for each direction.
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)), of the convolution: the result is cut by it.

    Raises:
        InvalidArgumentError: The shapes do not fit.

    >>> import distkeras as tf
    >>> x, filters = tf.ones((1, 2, 2, 1)), tf.ones((2, 2, 1, 1))
    >>> tf.nn.conv2d_transpose(x, filters, (1, 3, 3, 1), 1, "VALID").numpy()[0, :, :, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    return convolve_transposed(
        "conv2d_transpose", 2, input, filters, output_shape, strides, padding, data_format, dilations
    )


@op
def conv3d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str | None = "NDHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Transposed convolution of volumes [batch, depth, height, width, channels]; else as `conv2d_transpose`."""
    return convolve_transposed(
        "conv3d_transpose", 3, input, filters, output_shape, strides, padding, data_format, dilations
    )


@op
def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: int, padding: Any, name: str | None = None
) -> Tensor:
    """`conv2d_transpose` with the taps of its filters `rate` apart."""
    return convolve_transposed("atrous_conv2d_transpose", 2, value, filters, output_shape, 1, padding, "NHWC", rate)


@op
def conv_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`conv1d_transpose`, `conv2d_transpose` or `conv3d_transpose`, by the rank of the input."""
    input = to_tensor(input)
    rank = directions("conv_transpose", input)
    return convolve_transposed(
        "conv_transpose", rank, input, filters, output_shape, strides, padding, data_format, dilations
    )
