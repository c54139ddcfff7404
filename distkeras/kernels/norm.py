"""Normalisation of [rows, channels] over the rows, in steps between which moments can be merged across processes.

    forward    channel_moments -> (merged over ranks, or moments_alone) -> reciprocal_deviation -> normalize_channels
    backward   normalization_gradient_sums -> (sum over ranks) -> normalization_input_gradient

`m2` is the sum of squared deviations from the mean: variance = m2 / count. It is never taken as E[x**2] - E[x]**2,
which in float32 loses everything when the mean is large.

The `lower_...` functions return kernel calls, to be made in order: `for fn, args in calls: fn(*args)`; kernels are
called as `kernel[dtype](...)`. `scratch(shape, dtype)` hands out working memory. Each channel's numbers are
repeated over `lanes`, a multiple of the channels that fills the vector registers however few channels there are.

>>> import numpy as np
>>> x = np.array([[1, 10], [3, 30]], np.float32)
>>> mean, m2 = np.empty(2, np.float32), np.empty(2, np.float32)
>>> for fn, args in lower_channel_moments(x, mean, m2, np.empty):
...     fn(*args)
>>> mean, m2
(array([ 2., 20.], dtype=float32), array([  2., 200.], dtype=float32))

Source: Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983; Ioffe, Szegedy, "Batch
normalization", 2015.
"""

from __future__ import annotations

import math

import numpy as np

from distkeras.kernels import vmath
from distkeras.kernels.compile import Calls, Kernel, Scratch, inlined, kernel

_LANES = 256
_BLOCK = 64  # rows of lanes over which sums run before they are merged


def lower_channel_moments(x: np.ndarray, mean: np.ndarray, m2: np.ndarray, scratch: Scratch) -> Calls:
    """mean[c] and m2[c] = sum_r (x[r, c] - mean[c])**2; zeros over no rows.

    Args:
        x: [rows, channels].
        mean, m2: [channels], written.
        scratch: (shape, dtype) -> working memory.
    """
    return _calls(_channel_moments, x, (x.reshape(-1), _work(3, x, scratch), mean, m2))


def lower_normalize_channels(
    x: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    out: np.ndarray,
    scratch: Scratch,
    relu: bool = False,
) -> Calls:
    """out = (x - mean) * rstd * gamma + beta.

    Args:
        x, out: [rows, channels].
        mean, rstd: [channels]; rstd as `reciprocal_deviation` gives it.
        gamma, beta: [channels], or None for 1 and 0.
        scratch: (shape, dtype) -> working memory.
        relu: Replace what is negative by zero; NaN stays.
    """
    gamma = np.ones_like(mean) if gamma is None else gamma
    beta = np.zeros_like(mean) if beta is None else beta
    channels, floor = (mean, rstd, gamma, beta), x.dtype.type(0 if relu else -np.inf)
    return _calls(_normalize_channels, x, (x.reshape(-1), *channels, floor, _work(3, x, scratch), out.reshape(-1)))


def lower_normalization_gradient_sums(
    x: np.ndarray,
    dy: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    sum_dy: np.ndarray,
    sum_dy_xhat: np.ndarray,
    scratch: Scratch,
) -> Calls:
    """sum_dy[c] = sum_r dy[r, c] and sum_dy_xhat[c] = sum_r dy[r, c] (x[r, c] - mean[c]) rstd[c].

    They are the gradients of beta and gamma, and what the input gradient needs.

    Args:
        x, dy: [rows, channels].
        mean, rstd: [channels].
        sum_dy, sum_dy_xhat: [channels], written.
        scratch: (shape, dtype) -> working memory.
    """
    flat = (x.reshape(-1), dy.reshape(-1))
    return _calls(_gradient_sums, x, (*flat, mean, rstd, _work(3, x, scratch), sum_dy, sum_dy_xhat))


def lower_normalization_input_gradient(
    x: np.ndarray,
    dy: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    gamma: np.ndarray | None,
    sum_dy: np.ndarray,
    sum_dy_xhat: np.ndarray,
    count: np.ndarray,
    dx: np.ndarray,
    scratch: Scratch,
) -> Calls:
    """dx = gamma rstd (dy - sum_dy / count - (x - mean) rstd sum_dy_xhat / count).

    Args:
        x, dy, dx: [rows, channels].
        mean, rstd, sum_dy, sum_dy_xhat: [channels], merged over all processes.
        gamma: [channels], or None for 1.
        count: [1], of x's dtype: the number of rows in all processes, read at every call.
        scratch: (shape, dtype) -> working memory.
    """
    gamma = np.ones_like(mean) if gamma is None else gamma
    channels = (mean, rstd, gamma, sum_dy, sum_dy_xhat)
    flat, work = (x.reshape(-1), dy.reshape(-1)), _work(4, x, scratch)
    return _calls(_input_gradient, x, (*flat, *channels, count, work, dx.reshape(-1)))


def _calls(function: Kernel, x: np.ndarray, arguments: tuple) -> Calls:
    return [(function[x.dtype], arguments)] if x.shape[1] else []


def _work(rows: int, x: np.ndarray, scratch: Scratch) -> np.ndarray:
    channels = x.shape[1]
    return scratch((rows, channels * max(1, _LANES // max(channels, 1))), x.dtype)


# --- kernels ----------------------------------------------------------------------------------------------------------
# x, dy, dx and out are flat here: row r's channel c is at r * channels + c, and lane i belongs to channel i % channels.


@inlined
def _repeat(lanes, channels):
    """lanes[c + channels] = lanes[c + 2 channels] = ... = lanes[c], for each channel."""
    for i in range(channels, lanes.size):
        lanes[i] = lanes[i - channels]


@inlined
def _spread(values, lanes):
    """lanes[i] = values[i % channels]."""
    for c in range(values.size):
        lanes[c] = values[c]
    _repeat(lanes, values.size)


@inlined
def _fold(lanes, channels):
    """lanes[c] = lanes[c] + lanes[c + channels] + ..., for each channel."""
    for start in range(channels, lanes.size, channels):
        for c in range(channels):
            lanes[c] += lanes[start + c]


@inlined
def _clear(x):
    for i in range(x.size):
        x[i] = 0


@inlined
def _deviation_sums(x, center, shift, sums, squares):
    """For each channel the sums of x - center and of its square, in the first lanes of sums and squares."""
    lanes = shift.size
    _spread(center, shift)
    _clear(sums)
    _clear(squares)
    start = 0
    # Two rows at a time: a third would be one pointer too many for LLVM to vectorise the loop.
    while start + 2 * lanes <= x.size:
        row, next_row = x[start : start + lanes], x[start + lanes : start + 2 * lanes]
        for i in range(lanes):
            deviation, next_deviation = row[i] - shift[i], next_row[i] - shift[i]
            sums[i] += deviation + next_deviation
            squares[i] += deviation * deviation + next_deviation * next_deviation
        start += 2 * lanes
    for begin in range(start, x.size, lanes):
        row = x[begin : begin + lanes]
        for i in range(row.size):
            deviation = row[i] - shift[i]
            sums[i] += deviation
            squares[i] += deviation * deviation
    _fold(sums, center.size)
    _fold(squares, center.size)


@kernel("void({t}[::1], {t}[:, ::1], {t}[::1], {t}[::1])")
def _channel_moments(x, work, mean, m2):
    """Block by block, each shifted by the mean so far, the first one by its own.

    With S and Q the sums of d = x - mean and of d**2 over a block, and n rows up to its end, mean += S / n and
    m2 += Q - S**2 / n. What this difference loses is small against what m2 gains from a block whose mean differs.
    """
    channels, to = mean.size, x.dtype.type
    shift, sums, squares = work[0], work[1], work[2]
    block = max(1, _BLOCK * shift.size)
    _clear(mean)
    _clear(m2)
    # At -1 the first block is gone through for its mean alone.
    for index in range(-1, (x.size + block - 1) // block if x.size else -1):
        start = max(index, 0) * block
        stop = min(start + block, x.size)
        _deviation_sums(x[start:stop], mean, shift, sums, squares)
        factor = to(channels) / to(stop)
        for c in range(channels):
            mean[c] += sums[c] * factor
            spread = vmath.maximum(to(0), m2[c] + (squares[c] - sums[c] * sums[c] * factor))
            m2[c] = spread if index >= 0 else to(0)


@kernel("void({t}[::1], int64, {t}[::1])")
def moments_alone(variance, rows, count):
    """variance = m2 / rows, in the place of m2, and count[0] = rows: there are no other rows to merge with."""
    to = variance.dtype.type
    count[0] = to(rows)
    divisor = to(max(rows, 1))
    for c in range(variance.size):
        variance[c] = variance[c] / divisor


@kernel("void({t}[::1], {t}, {t}[::1])")
def reciprocal_deviation(variance, epsilon, rstd):
    """rstd[c] = 1 / sqrt(variance[c] + epsilon)."""
    one = variance.dtype.type(1)
    for c in range(variance.size):
        rstd[c] = one / math.sqrt(variance[c] + epsilon)


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}, {t}[:, ::1], {t}[::1])")
def _normalize_channels(x, mean, rstd, gamma, beta, floor, work, out):
    """out = (x - mean) * (rstd * gamma) + beta, and no less than floor."""
    channels = mean.size
    shift, scale, offset = work[0], work[1], work[2]
    _spread(mean, shift)
    _spread(beta, offset)
    for c in range(channels):
        scale[c] = rstd[c] * gamma[c]
    _repeat(scale, channels)
    for start in range(0, x.size, shift.size):
        row, result = x[start : start + shift.size], out[start : start + shift.size]
        for i in range(row.size):
            value = (row[i] - shift[i]) * scale[i] + offset[i]
            result[i] = floor if value < floor else value


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}[:, ::1], {t}[::1], {t}[::1])")
def _gradient_sums(x, dy, mean, rstd, work, sum_dy, sum_dy_xhat):
    """Sums over blocks of rows, then over the blocks."""
    shift, sums, products = work[0], work[1], work[2]
    _clear(sum_dy)
    _clear(sum_dy_xhat)
    _spread(mean, shift)
    for first in range(0, x.size, _BLOCK * shift.size):
        _clear(sums)
        _clear(products)
        for start in range(first, min(first + _BLOCK * shift.size, x.size), shift.size):
            row, gradient = x[start : start + shift.size], dy[start : start + shift.size]
            for i in range(row.size):
                sums[i] += gradient[i]
                products[i] += gradient[i] * (row[i] - shift[i])
        _fold(sums, mean.size)
        _fold(products, mean.size)
        for c in range(mean.size):
            sum_dy[c] += sums[c]
            sum_dy_xhat[c] += products[c] * rstd[c]


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}[:, ::1], {t}[::1])")
def _input_gradient(x, dy, mean, rstd, gamma, sum_dy, sum_dy_xhat, count, work, dx):
    """dx = a dy + b (x - mean) + d, with a, b and d for each channel."""
    shift, a, b, d = work[0], work[1], work[2], work[3]
    factor = x.dtype.type(1) / max(count[0], x.dtype.type(1))
    for c in range(mean.size):
        scale = gamma[c] * rstd[c]
        shift[c] = mean[c]
        a[c] = scale
        b[c] = -scale * rstd[c] * sum_dy_xhat[c] * factor
        d[c] = -scale * sum_dy[c] * factor
    for k in range(4):
        _repeat(work[k], mean.size)
    for start in range(0, x.size, shift.size):
        row, gradient = x[start : start + shift.size], dy[start : start + shift.size]
        result = dx[start : start + shift.size]
        for i in range(row.size):
            result[i] = a[i] * gradient[i] + (b[i] * (row[i] - shift[i]) + d[i])
