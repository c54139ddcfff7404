"""The part of `tf.keras.backend` that convolves, pools, pads and enlarges sequences, images and volumes.

Everywhere `data_format` is 'channels_last' or 'channels_first', by default `image_data_format()`, and `padding` is
'valid' or 'same'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distkeras import ops
from distkeras._config import normalize_data_format
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.layers.arguments import ints, op_layout, padding_kind
from distkeras.keras.layers.borders import borders

# --- convolution


def conv1d(
    x: Any,
    kernel: Any,
    strides: int = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int = 1,
) -> Tensor:
    """Convolution of sequences with a kernel [taps, channels, filters]; padding may also be 'causal'."""
    kernel, kind = to_tensor(kernel), padding_kind(padding, ("valid", "same", "causal"))
    pads = (((kernel.shape[0] - 1) * dilation_rate, 0),) if kind == "causal" else kind
    return ops.conv1d(x, kernel, strides, pads, _layout(data_format, 1), dilation_rate)


def conv2d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Tensor:
    """Convolution of images with a kernel [height, width, channels, filters]."""
    return ops.conv2d(x, kernel, strides, padding_kind(padding), _layout(data_format, 2), dilation_rate)


def conv3d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1, 1),
) -> Tensor:
    """Convolution of volumes with a kernel [depth, height, width, channels, filters]."""
    return ops.conv3d(x, kernel, strides, padding_kind(padding), _layout(data_format, 3), dilation_rate)


def conv2d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Tensor:
    """Transposed convolution of images with a kernel [height, width, filters, channels], to `output_shape`."""
    layout = _layout(data_format, 2)
    return ops.conv2d_transpose(x, kernel, output_shape, strides, padding_kind(padding), layout, dilation_rate)


def conv3d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Transposed convolution of volumes with a kernel [depth, height, width, filters, channels], to `output_shape`."""
    return ops.conv3d_transpose(x, kernel, output_shape, strides, padding_kind(padding), _layout(data_format, 3))


def depthwise_conv2d(
    x: Any,
    depthwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Tensor:
    """Convolution of each channel of images with a kernel [height, width, channels, multiplier]."""
    layout = _layout(data_format, 2)
    return ops.depthwise_conv2d(x, depthwise_kernel, strides, padding_kind(padding), layout, dilation_rate)


def separable_conv1d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """`separable_conv2d` of sequences; the kernels have one direction."""
    kernels, layout = (depthwise_kernel, pointwise_kernel), _layout(data_format, 1)
    return ops.separable_conv1d(x, *kernels, strides, padding_kind(padding), layout, dilation_rate)


def separable_conv2d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Tensor:
    """`depthwise_conv2d`, then convolution with a kernel [1, 1, channels * multiplier, filters]."""
    kernels, layout = (depthwise_kernel, pointwise_kernel), _layout(data_format, 2)
    return ops.separable_conv2d(x, *kernels, strides, padding_kind(padding), layout, dilation_rate)


def local_conv1d(inputs: Any, kernel: Any, kernel_size: Any, strides: Any, data_format: str | None = None) -> Tensor:
    """Convolution of sequences, every place with filters of its own: kernel [places, window * channels, filters]."""
    kernel = to_tensor(kernel)
    return ops.local_conv(inputs, kernel, kernel_size, strides, kernel.shape[0], _is_first(data_format))


def local_conv2d(
    inputs: Any, kernel: Any, kernel_size: Any, strides: Any, output_shape: Any, data_format: str | None = None
) -> Tensor:
    """Convolution of images, every place, of output_shape's (rows, columns), with filters of its own."""
    return ops.local_conv(inputs, kernel, kernel_size, strides, output_shape, _is_first(data_format))


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Tensor:
    """x + bias along the channels, or a bias for each place [..., channels], which has no entry for the batch.

    Raises:
        ValueError: The bias has another number of dimensions.
    """
    x, bias = to_tensor(x), to_tensor(bias)
    first = _is_first(data_format) and x.ndim > 2
    if bias.ndim == 1:
        return ops.bias_add(x, bias, data_format="NCHW" if first else "NHWC")
    if bias.ndim != x.ndim - 1:
        raise ValueError(f"bias_add: expected a bias of one dimension or {x.ndim - 1}, received shape {bias.shape}.")
    sizes = tuple(bias.shape)
    return x + ops.reshape(bias, (1, sizes[-1], *sizes[:-1]) if first else (1, *sizes))


# --- pooling


def pool2d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Tensor:
    """The largest element ('max') or the mean ('avg') of each window of images."""
    pool = _pooling(pool_mode, ops.max_pool2d, ops.avg_pool2d)
    return pool(x, pool_size, strides, padding_kind(padding), _layout(data_format, 2))


def pool3d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Tensor:
    """The largest element ('max') or the mean ('avg') of each window of volumes."""
    pool = _pooling(pool_mode, ops.max_pool3d, ops.avg_pool3d)
    return pool(x, pool_size, strides, padding_kind(padding), _layout(data_format, 3))


def _pooling(mode: str, largest: Callable[..., Tensor], mean: Callable[..., Tensor]) -> Callable[..., Tensor]:
    if mode not in ("max", "avg"):
        raise ValueError(f"Invalid pooling mode: expected 'max' or 'avg', received {mode!r}.")
    return largest if mode == "max" else mean


# --- borders and sizes


def temporal_padding(x: Any, padding: Any = (1, 1)) -> Tensor:
    """Zeros before and after sequences [batch, steps, channels]."""
    return ops.pad(x, [(0, 0), *borders(padding, 1, "padding"), (0, 0)])


def spatial_2d_padding(x: Any, padding: Any = ((1, 1), (1, 1)), data_format: str | None = None) -> Tensor:
    """Zeros around images."""
    return _pad(x, borders(padding, 2, "padding"), data_format)


def spatial_3d_padding(x: Any, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None) -> Tensor:
    """Zeros around volumes."""
    return _pad(x, borders(padding, 3, "padding"), data_format)


def _pad(x: Any, pairs: Sequence[tuple[int, int]], data_format: str | None) -> Tensor:
    none = (0, 0)
    return ops.pad(x, [none, none, *pairs] if _is_first(data_format) else [none, *pairs, none])


def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: str | None, interpolation: str = "nearest"
) -> Tensor:
    """Images enlarged by whole factors: 'nearest' repeats pixels, 'bilinear' blends them."""
    factors = ints((height_factor, width_factor), 2, "factor")
    return ops.enlarge(x, factors, 2 if _is_first(data_format) else 1, interpolation)


def resize_volumes(x: Any, depth_factor: int, height_factor: int, width_factor: int, data_format: str | None) -> Tensor:
    """Volumes enlarged by whole factors: every element is repeated in each direction."""
    factors = ints((depth_factor, height_factor, width_factor), 3, "factor")
    return ops.enlarge(x, factors, 2 if _is_first(data_format) else 1)


def _is_first(data_format: str | None) -> bool:
    return normalize_data_format(data_format) == "channels_first"


def _layout(data_format: str | None, rank: int) -> str:
    return op_layout(normalize_data_format(data_format), rank)
