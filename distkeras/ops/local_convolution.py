"""Convolution whose every place of the result has filters of its own."""

from __future__ import annotations

import math
from typing import Any

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor
from distkeras.ops._op import op, operands
from distkeras.ops.convolution import directions
from distkeras.ops.linalg import matmul
from distkeras.ops.shape import reshape, transpose
from distkeras.ops.windows import channels_first as to_channels_first
from distkeras.ops.windows import channels_last, spatial, tap_places, taps_as_channels


@op
def local_conv(
    inputs: Any,
    kernel: Any,
    kernel_size: Any,
    strides: Any,
    output_shape: Any,
    channels_first: bool = False,
    name: str | None = None,
) -> Tensor:
    """out[n, place, f] = the window at `place`, as a vector, times kernel[place, :, f].

    Args:
        inputs: [batch, *sizes, channels], or [batch, channels, *sizes].
        kernel: [places, window * channels, filters]; a window's elements come in the order of the inputs' dimensions.
        kernel_size, strides: The window, and its steps, one int or one for each direction.
        output_shape: The number of places in each direction.
        channels_first: Which layout the inputs, and the result, have.

    Raises:
        InvalidArgumentError: The shapes do not fit.
    """
    x, kernel = operands(inputs, kernel)
    rank = directions("local_conv", x)
    window, strides = spatial(kernel_size, rank, "kernel_size"), spatial(strides, rank, "strides")
    counts = spatial(output_shape, rank, "output_shape")
    x = channels_last(x) if channels_first else x
    expected = (math.prod(counts), math.prod(window) * x.shape[-1])
    reach = [(count - 1) * stride + extent for count, stride, extent in zip(counts, strides, window, strict=True)]
    if kernel.ndim != 3 or kernel.shape[:2] != expected or any(map(int.__gt__, reach, tuple(x.shape[1:-1]))):
        raise InvalidArgumentError(
            f"local_conv: {counts} windows of {window}, {strides} apart, over inputs of sizes {tuple(x.shape[1:-1])} "
            f"with {x.shape[-1]} channels need a kernel {list(expected)} x filters and sizes of at least "
            f"{tuple(reach)}, received a kernel {kernel.shape}."
        )
    if channels_first:
        kernel = _taps_before_channels(kernel, x.shape[-1])
    for axis in reversed(range(rank)):
        x = taps_as_channels(x, 1 + axis, tap_places(counts[axis], window[axis], strides[axis]))
    by_place = transpose(reshape(x, (x.shape[0], *expected)), (1, 0, 2))
    y = reshape(transpose(matmul(by_place, kernel), (1, 0, 2)), (x.shape[0], *counts, kernel.shape[2]))
    return to_channels_first(y) if channels_first else y


def _taps_before_channels(kernel: Tensor, channels: int) -> Tensor:
    """[places, channels * window, filters] as [places, window * channels, filters]."""
    places, elements, filters = kernel.shape
    apart = reshape(kernel, (places, channels, elements // channels, filters))
    return reshape(transpose(apart, (0, 2, 1, 3)), (places, elements, filters))
