"""Two-dimensional convolution over [batch, height, width, channels] images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor
from distkeras.kernels import conv as kernels
from distkeras.ops._epilogue import epilogue_rewrites
from distkeras.ops._op import op, operands
from distkeras.ops.shape import transpose
from distkeras.ops.windows import output_sizes, pair, resolve_padding

_conv2d = Primitive("conv2d")
_input_gradient = Primitive("conv2d_input_gradient")
_weight_gradient = Primitive("conv2d_weight_gradient")


@_conv2d.def_shape
def _conv2d_shape(x: TensorSpec, w: TensorSpec, strides: tuple, padding: tuple, dilations: tuple) -> TensorSpec:
    sizes = output_sizes(x.shape[1:3], w.shape[:2], strides, padding, dilations)
    return TensorSpec((x.shape[0], *sizes, w.shape[3]), x.dtype)


@_conv2d.def_kernel
def _conv2d_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, **params: Any) -> Calls:
    return kernels.conv2d_forward(*inputs, outputs[0], scratch=scratch, **params)


@_conv2d.def_vjp
def _conv2d_vjp(gradients: tuple, inputs: tuple, outputs: tuple, **params: Any) -> tuple:
    (g,), (x, w) = gradients, inputs
    return (
        lambda: _input_gradient(g, w, input_shape=tuple(x.shape), **params),
        lambda: _weight_gradient(x, g, kernel_shape=tuple(w.shape), **params),
    )


# A convolution whose bias and relu are added as its tiles are stored, in registers.

_conv2d_affine = Primitive("conv2d_affine")
_conv2d_affine.def_shape(lambda x, w, bias, relu, **params: _conv2d_shape(x, w, **params))


@_conv2d_affine.def_kernel
def _conv2d_affine_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, **params: Any) -> Calls:
    x, w, bias = inputs
    return kernels.conv2d_forward(x, w, outputs[0], bias=bias, scratch=scratch, **params)


epilogue_rewrites(_conv2d, _conv2d_affine)
_input_gradient.def_shape(lambda g, w, input_shape, **params: TensorSpec(input_shape, g.dtype))
_weight_gradient.def_shape(lambda x, g, kernel_shape, **params: TensorSpec(kernel_shape, g.dtype))


@_input_gradient.def_kernel
def _input_gradient_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Any, *, input_shape: tuple, **params: Any
) -> Calls:
    return kernels.conv2d_input_gradient(*inputs, outputs[0], scratch=scratch, **params)


@_weight_gradient.def_kernel
def _weight_gradient_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Any, *, kernel_shape: tuple, **params: Any
) -> Calls:
    return kernels.conv2d_weight_gradient(*inputs, outputs[0], scratch=scratch, **params)


# Convolution is linear in each operand, so its gradients are linear too, and their derivatives are the same three ops.


@_input_gradient.def_vjp
def _input_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple, input_shape: tuple, **params: Any) -> tuple:
    (h,), (g, w) = gradients, inputs
    return lambda: _conv2d(h, w, **params), lambda: _weight_gradient(h, g, kernel_shape=tuple(w.shape), **params)


@_weight_gradient.def_vjp
def _weight_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple, kernel_shape: tuple, **params: Any) -> tuple:
    (h,), (x, g) = gradients, inputs
    return lambda: _input_gradient(g, h, input_shape=tuple(x.shape), **params), lambda: _conv2d(x, h, **params)


@op
def conv2d(
    input: Any,
    filters: Any,
    strides: Any = 1,
    padding: Any = "VALID",
    data_format: str = "NHWC",
    dilations: Any = 1,
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
    x, w = operands(input, filters)
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError(f"data_format must be 'NHWC' or 'NCHW', received {data_format!r}.")
    if data_format == "NCHW":
        swap = lambda value: value if isinstance(value, int) or len(value) != 4 else [value[i] for i in (0, 2, 3, 1)]  # noqa: E731
        y = conv2d(transpose(x, (0, 2, 3, 1)), w, swap(strides), padding, "NHWC", swap(dilations))
        return transpose(y, (0, 3, 1, 2))
    if x.ndim != 4 or w.ndim != 4 or x.shape[3] != w.shape[2]:
        raise InvalidArgumentError(
            f"conv2d: expected images [batch, height, width, channels] and filters [height, width, channels, outputs] "
            f"with equal channels, received {x.shape} and {w.shape}."
        )
    strides, dilations = pair(strides, "strides"), pair(dilations, "dilations")
    pads = resolve_padding(padding, x.shape[1:3], w.shape[:2], strides, dilations)
    return _conv2d(x, w, strides=strides, padding=pads, dilations=dilations)
