"""`tf.nn`'s ops that are made of others: activations, moments, normalisation over channels, losses."""

from __future__ import annotations

import math
from typing import Any

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import axes_of, op, operands
from distkeras.ops.elementwise import (
    cast,
    divide_no_nan,
    equal,
    exp,
    log,
    negative,
    ones_of,
    pow,
    relu,
    rsqrt,
    sigmoid,
    square,
    where,
    zeros_of,
)
from distkeras.ops.joining import concat
from distkeras.ops.reduction import reduce_mean, reduce_sum
from distkeras.ops.shape import broadcast_to, pad, reshape, transpose


@op
def swish(features: Any) -> Tensor:
    """x * sigmoid(x).

    Source: Ramachandran, Zoph and Le 2017, "Searching for Activation Functions".
    """
    x = to_tensor(features)
    return x * sigmoid(x)


@op
def crelu(features: Any, axis: int = -1, name: str | None = None) -> Tensor:
    """relu(x) and relu(-x), joined along `axis`.

    Source: Shang et al. 2016, "Understanding and Improving CNNs via Concatenated Rectified Linear Units".
    """
    x = to_tensor(features)
    return relu(concat([x, negative(x)], axis))


@op
def l2_loss(t: Any, name: str | None = None) -> Tensor:
    """Half the sum of squares."""
    return reduce_sum(square(t)) * 0.5


@op
def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """The fraction of elements that are 0."""
    x = to_tensor(value)
    return reduce_mean(cast(equal(x, zeros_of(x)), "float32"))


@op
def log_poisson_loss(targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None) -> Tensor:
    """exp(log_input) - targets * log_input; with `compute_full_loss` plus Stirling's term where targets > 1."""
    z, x = operands(targets, log_input)
    loss = exp(x) - z * x
    if not compute_full_loss:
        return loss
    large = where(z > 1.0, z, ones_of(z))
    stirling = large * log(large) - large + 0.5 * log(2.0 * math.pi * large)
    return loss + where(z > 1.0, stirling, zeros_of(z))


# --- normalisation


@op
def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any, name: str | None = None
) -> Tensor:
    """(x - mean) / sqrt(variance + variance_epsilon) * scale + offset, broadcast; scale and offset may be None.

    Source: Ioffe and Szegedy 2015, "Batch Normalization".
    """
    factor = rsqrt(to_tensor(variance) + variance_epsilon)
    factor = factor if scale is None else factor * scale
    shift = -mean * factor if offset is None else offset - mean * factor
    return to_tensor(x) * factor + shift


@op
def local_response_normalization(
    input: Any, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5, name: str | None = None
) -> Tensor:
    """x / (bias + alpha * s) ** beta, s being the sum of squares over the channels at most `depth_radius` away.

    Source: Krizhevsky, Sutskever and Hinton 2012, section 3.3.
    """
    x = to_tensor(input)
    if x.ndim != 4:
        raise InvalidArgumentError(f"local_response_normalization: expected 4 dimensions, received shape {x.shape}.")
    radius, channels = min(int(depth_radius), x.shape[-1]), x.shape[-1]
    padded = pad(square(x), [(0, 0)] * 3 + [(radius, radius)])
    total = padded[..., :channels]
    for start in range(1, 2 * radius + 1):
        total = total + padded[..., start : start + channels]
    return x / pow(total * alpha + bias, beta)


@op
def sufficient_statistics(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None
) -> tuple[Tensor, Tensor, Tensor, Any]:
    """The number of elements over `axes`, the sum and the sum of squares of x - shift, and the shift."""
    x = to_tensor(x)
    count = math.prod(x.shape[i] for i in axes_of(axes, x.ndim))
    moved = x if shift is None else x - shift
    sums = reduce_sum(moved, axes, keepdims), reduce_sum(square(moved), axes, keepdims)
    return to_tensor(float(count), x.dtype), *sums, None if shift is None else to_tensor(shift)


@op
def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance from what `sufficient_statistics` gives."""
    counts, sums = operands(counts, mean_ss)
    moved = sums / counts
    mean = moved if shift is None else moved + shift
    return mean, variance_ss / counts - square(moved)


@op
def weighted_moments(
    x: Any, axes: Any, frequency_weights: Any, keepdims: bool = False, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance over `axes`, each element counted with its weight."""
    x, weights = operands(x, frequency_weights)
    weights = broadcast_to(weights, x.shape)
    total = reduce_sum(weights, axes, True)
    mean = divide_no_nan(reduce_sum(x * weights, axes, True), total)
    variance = divide_no_nan(reduce_sum(square(x - mean) * weights, axes, True), total)
    if keepdims:
        return mean, variance
    kept = [n for i, n in enumerate(x.shape) if i not in axes_of(axes, x.ndim)]
    return reshape(mean, kept), reshape(variance, kept)


# --- blocks of images


def _blocks(input: Any, block_size: int, data_format: str, function: str) -> tuple[Tensor, int]:
    x, block = to_tensor(input), int(block_size)
    if data_format != "NHWC":
        raise ValueError(f"{function}: data_format must be 'NHWC', received {data_format!r}: transpose the images.")
    if x.ndim != 4 or block < 2:
        raise InvalidArgumentError(f"{function}: expected [n, h, w, c] and blocks of at least 2, received {x.shape}.")
    return x, block


@op
def space_to_depth(input: Any, block_size: int, data_format: str = "NHWC", name: str | None = None) -> Tensor:
    """Blocks of pixels moved into the channels: [n, h, w, c] to [n, h / b, w / b, b * b * c]."""
    x, b = _blocks(input, block_size, data_format, "space_to_depth")
    n, h, w, c = x.shape
    if h % b or w % b:
        raise InvalidArgumentError(f"space_to_depth: {h} x {w} pixels are not divisible into blocks of {b}.")
    parts = transpose(reshape(x, (n, h // b, b, w // b, b, c)), (0, 1, 3, 2, 4, 5))
    return reshape(parts, (n, h // b, w // b, b * b * c))


@op
def depth_to_space(input: Any, block_size: int, data_format: str = "NHWC", name: str | None = None) -> Tensor:
    """Channels moved into blocks of pixels: the inverse of `space_to_depth`."""
    x, b = _blocks(input, block_size, data_format, "depth_to_space")
    n, h, w, c = x.shape
    if c % (b * b):
        raise InvalidArgumentError(f"depth_to_space: {c} channels are not divisible by {b * b}.")
    parts = transpose(reshape(x, (n, h, w, b, b, c // (b * b))), (0, 1, 3, 2, 4, 5))
    return reshape(parts, (n, h * b, w * b, c // (b * b)))
