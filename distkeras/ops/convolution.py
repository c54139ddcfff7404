"""Convolution of sequences, images and volumes.

The primitives convolve images [batch, height, width, channels]. A sequence is an image of one row; and a volume's
convolution is that of images whose channels are those of all the slices its filter reaches:

    [batch, depth, height, width, c]  ->  [batch * windows in depth, height, width, taps in depth * c]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import SUM, each_row
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels import conv as kernels
from distkeras.ops._epilogue import epilogue_rewrites
from distkeras.ops._op import op, operands
from distkeras.ops.joining import concat, split
from distkeras.ops.shape import expand_dims, pad, reshape, squeeze, transpose
from distkeras.ops.windows import (
    LAYOUTS,
    channels_first,
    output_sizes,
    resolve_padding,
    tap_places,
    taps_as_channels,
    unified,
)


def product_of_images_and_filters(name: str, forward: Callable, by_images: Callable, by_filters: Callable) -> Primitive:
    """A primitive that is linear in its images and in its filters, with its gradients by both.

    The gradients are linear in what they are made of too, so that all derivatives are made of these three primitives.

    Args:
        name: Its name; the others are `<name>_input_gradient` and `<name>_weight_gradient`.
        forward, by_images, by_filters: What lowers each to kernel calls: (input, input, out, scratch=, **params).
    """
    product, images, filters = (Primitive(name + ending) for ending in ("", "_input_gradient", "_weight_gradient"))
    images.def_shape(lambda g, w, input_shape, **params: TensorSpec(input_shape, g.dtype))
    filters.def_shape(lambda x, g, kernel_shape, **params: TensorSpec(kernel_shape, g.dtype))

    for primitive, lower in ((product, forward), (images, by_images), (filters, by_filters)):
        _lower_by(primitive, lower)
    product.def_cut(each_row(0))
    images.def_cut(each_row(0, sized="input_shape"))
    filters.def_cut(each_row(0, 1, outputs=(SUM,)))

    def to_images(g: Tensor, w: Tensor, x: Tensor, params: dict) -> Callable:
        return lambda: images(g, w, input_shape=tuple(x.shape), **params)

    def to_filters(x: Tensor, g: Tensor, w: Tensor, params: dict) -> Callable:
        return lambda: filters(x, g, kernel_shape=tuple(w.shape), **params)

    @product.def_vjp
    def product_vjp(gradients: tuple, inputs: tuple, outputs: tuple, **params: Any) -> tuple:
        (g,), (x, w) = gradients, inputs
        return to_images(g, w, x, params), to_filters(x, g, w, params)

    @images.def_vjp
    def images_vjp(gradients: tuple, inputs: tuple, outputs: tuple, input_shape: tuple, **params: Any) -> tuple:
        (h,), (g, w) = gradients, inputs
        return lambda: product(h, w, **params), to_filters(h, g, w, params)

    @filters.def_vjp
    def filters_vjp(gradients: tuple, inputs: tuple, outputs: tuple, kernel_shape: tuple, **params: Any) -> tuple:
        (h,), (x, g) = gradients, inputs
        return to_images(g, h, x, params), lambda: product(x, h, **params)

    return product


def _lower_by(primitive: Primitive, lower: Callable) -> None:
    @primitive.def_kernel
    def kernel(inputs: Sequence, outputs: Sequence, scratch: Any, **params: Any) -> Calls:
        geometry = {key: value for key, value in params.items() if key not in ("input_shape", "kernel_shape")}
        return lower(*inputs, outputs[0], scratch=scratch, **geometry)


_conv2d = product_of_images_and_filters(
    "conv2d", kernels.conv2d_forward, kernels.conv2d_input_gradient, kernels.conv2d_weight_gradient
)


@_conv2d.def_shape
def _conv2d_shape(x: TensorSpec, w: TensorSpec, strides: tuple, padding: tuple, dilations: tuple) -> TensorSpec:
    sizes = output_sizes(x.shape[1:3], w.shape[:2], strides, padding, dilations)
    return TensorSpec((x.shape[0], *sizes, w.shape[3]), x.dtype)


# A convolution whose bias and relu are added as its tiles are stored, in registers.

_conv2d_affine = Primitive("conv2d_affine")
_conv2d_affine.def_shape(lambda x, w, bias, relu, **params: _conv2d_shape(x, w, **params))
_conv2d_affine.def_cut(each_row(0))


@_conv2d_affine.def_kernel
def _conv2d_affine_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, **params: Any) -> Calls:
    x, w, bias = inputs
    return kernels.conv2d_forward(x, w, outputs[0], bias=bias, scratch=scratch, **params)


epilogue_rewrites(_conv2d, _conv2d_affine)


def convolve(
    name: str, rank: int, x: Any, w: Any, strides: Any, padding: Any, data_format: str | None, dilations: Any
) -> Tensor:
    """Convolution in `rank` directions; where the filters have fewer channels than x, each group of x's has its own.

    Raises:
        InvalidArgumentError: The shapes do not fit.
        ValueError: padding or data_format is none.
    """
    x, w = operands(x, w)
    x, strides, dilations, first = unified(name, rank, x, strides, dilations, data_format)
    if w.ndim != rank + 2 or x.shape[-1] % max(w.shape[-2], 1) or w.shape[-1] % (x.shape[-1] // max(w.shape[-2], 1)):
        raise InvalidArgumentError(
            f"{name}: expected filters [{rank} sizes, channels, outputs] whose channels are those of the inputs, "
            f"{x.shape[-1]}, or divide them and the outputs into groups, received filters {w.shape}."
        )
    pads = resolve_padding(padding, x.shape[1:-1], w.shape[:rank], strides, dilations, first)
    output_sizes(x.shape[1:-1], w.shape[:rank], strides, pads, dilations)
    groups = x.shape[-1] // w.shape[-2] if w.shape[-2] else 1
    parts = zip(split(x, groups, axis=rank + 1), split(w, groups, axis=rank + 1), strict=True)
    outputs = [_RANKS[rank](*part, strides=strides, padding=pads, dilations=dilations) for part in parts]
    y = concat(outputs, axis=rank + 1) if groups > 1 else outputs[0]
    return channels_first(y) if first else y


def _convolve_sequences(x: Tensor, w: Tensor, **params: Any) -> Tensor:
    return squeeze(_conv2d(expand_dims(x, 1), expand_dims(w, 0), **of_images(**params)), [1])


def of_images(strides: tuple, padding: tuple, dilations: tuple) -> dict[str, tuple]:
    """A sequence's parameters for images of one row."""
    return {"strides": (1, *strides), "padding": ((0, 0), *padding), "dilations": (1, *dilations)}


def _convolve_volumes(x: Tensor, w: Tensor, strides: tuple, padding: tuple, dilations: tuple) -> Tensor:
    batch, _, height, width, channels = x.shape
    depth, *_ = output_sizes(x.shape[1:-1], w.shape[:3], strides, padding, dilations)
    x = pad(x, [(0, 0), padding[0], (0, 0), (0, 0), (0, 0)]) if any(padding[0]) else x
    x = taps_as_channels(x, 1, tap_places(depth, w.shape[0], strides[0], dilations[0]))
    images = reshape(x, (batch * depth, height, width, w.shape[0] * channels))
    y = _conv2d(images, filters_of_taps(w), strides=strides[1:], padding=padding[1:], dilations=dilations[1:])
    return reshape(y, (batch, depth, *y.shape[1:]))


def filters_of_taps(w: Tensor) -> Tensor:
    """[depth, height, width, channels, outputs] as [height, width, depth * channels, outputs]."""
    depth, height, width, channels, outputs = w.shape
    return reshape(transpose(w, (1, 2, 0, 3, 4)), (height, width, depth * channels, outputs))


_RANKS = {1: _convolve_sequences, 2: _conv2d, 3: _convolve_volumes}


@op
def conv1d(
    input: Any,
    filters: Any,
    stride: Any = 1,
    padding: Any = "VALID",
    data_format: str | None = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Convolution of sequences.

    Args:
        input: [batch, steps, channels] ([batch, channels, steps] for data_format 'NCW').
        filters: [taps, channels, outputs].
        stride, dilations: The steps between windows, and between the taps of one.
        padding: 'SAME', 'VALID' or ((before, after),).

    Raises:
        InvalidArgumentError: The shapes do not fit.

    >>> import distkeras as tf
    >>> tf.nn.conv1d(tf.ones((1, 4, 1)), tf.ones((2, 1, 1)), 1, "VALID").numpy().ravel().tolist()
    [2.0, 2.0, 2.0]
    """
    return convolve("conv1d", 1, input, filters, stride, padding, data_format, dilations)


@op
def conv2d(
    input: Any,
    filters: Any,
    strides: Any = 1,
    padding: Any = "VALID",
    data_format: str | None = "NHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Cross-correlation of images with filters, as neural networks call convolution.

    Args:
        input: [batch, height, width, channels] ([batch, channels, height, width] for data_format 'NCHW').
        filters: [filter height, filter width, input channels, output channels].
        strides, dilations: One int, or one for each direction.
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)).

    Raises:
        InvalidArgumentError: The shapes do not fit.

    >>> import distkeras as tf
    >>> tf.nn.conv2d(tf.ones((1, 3, 3, 1)), tf.ones((2, 2, 1, 1)), 1, "VALID").numpy().ravel().tolist()
    [4.0, 4.0, 4.0, 4.0]
    """
    return convolve("conv2d", 2, input, filters, strides, padding, data_format, dilations)


@op
def conv3d(
    input: Any,
    filters: Any,
    strides: Any = 1,
    padding: Any = "VALID",
    data_format: str | None = "NDHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Convolution of volumes.

    Args:
        input: [batch, depth, height, width, channels] ([batch, channels, ...] for data_format 'NCDHW').
        filters: [depth, height, width, input channels, output channels].
        strides, dilations: One int, or one for each direction.
        padding: 'SAME', 'VALID' or three pairs (before, after).

    Raises:
        InvalidArgumentError: The shapes do not fit.

    >>> import distkeras as tf
    >>> tf.nn.conv3d(tf.ones((1, 2, 2, 2, 1)), tf.ones((2, 2, 1, 1, 1)), 1, "VALID").numpy().ravel().tolist()
    [4.0, 4.0]
    """
    return convolve("conv3d", 3, input, filters, strides, padding, data_format, dilations)


@op
def convolution(
    input: Any,
    filters: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`conv1d`, `conv2d` or `conv3d`, by the rank of the input."""
    input = to_tensor(input)
    rank = directions("convolution", input)
    return convolve(
        "convolution", rank, input, filters, 1 if strides is None else strides, padding, data_format, dilations
    )


def directions(name: str, x: Tensor) -> int:
    """How many dimensions x has besides batch and channels: 1, 2 or 3."""
    if x.ndim - 2 not in LAYOUTS:
        raise InvalidArgumentError(f"{name}: expected an input of 3, 4 or 5 dimensions, received shape {x.shape}.")
    return x.ndim - 2


@op
def atrous_conv2d(value: Any, filters: Any, rate: int, padding: Any, name: str | None = None) -> Tensor:
    """`conv2d` with the taps of its filters `rate` apart."""
    return convolve("atrous_conv2d", 2, value, filters, 1, padding, "NHWC", rate)
