"""Depthwise convolutions of images [n, height, width, channels]: each channel with a filter [p, q] of its own.

Like conv.py, without copying windows or padding: pixels whose windows meet the image alike are computed together, from
tables of byte offsets (conv_windows.py tells how they are grouped), by the tile of channel_tile.py.

>>> import numpy as np
>>> x, w = np.ones((1, 3, 3, 1), np.float32), np.ones((3, 3, 1), np.float32)
>>> out = np.empty((1, 3, 3, 1), np.float32)
>>> calls = depthwise_forward(x, w, out, strides=(1, 1), padding=((1, 1), (1, 1)), scratch=np.empty)
>>> for fn, args in calls:
...     fn(*args)
>>> out[0, :, :, 0]
array([[4., 6., 4.],
       [6., 9., 6.],
       [4., 6., 4.]], dtype=float32)
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from distkeras.kernels.channel_tile import multiply_channels
from distkeras.kernels.compile import Calls, Scratch
from distkeras.kernels.contraction import address, keeping
from distkeras.kernels.conv_geometry import Geometry, Padding, Pair, check_types
from distkeras.kernels.conv_groups import forward_groups, gradient_groups
from distkeras.kernels.conv_windows import grid


def depthwise_forward(
    x: np.ndarray,
    w: np.ndarray,
    out: np.ndarray,
    *,
    strides: Pair,
    padding: Padding,
    dilations: Pair = (1, 1),
    scratch: Scratch,
) -> Calls:
    """Lower a depthwise convolution to kernel calls, to be made in order.

    out[n, i, j, c] = sum over p, q of x[n, i*stride + p*dilation - top, j*... + q*... - left, c] * w[p, q, c]

    Args:
        x: [n, height, width, channels], float32 or float64, C-contiguous, as all arrays here.
        w: [kernel_height, kernel_width, channels].
        out: [n, out_height, out_width, channels], written.
        strides, dilations: (vertical, horizontal), at least 1.
        padding: ((top, bottom), (left, right)) rows and columns of zeros around each image.
        scratch: not needed.

    Raises:
        ValueError: shapes or element types do not fit.
    """
    pieces = _pieces(x, w, out, strides, padding, dilations, forward_groups, x.shape, out.shape)
    return _convolve(x, w, out, pieces)


def depthwise_input_gradient(
    dy: np.ndarray,
    w: np.ndarray,
    dx: np.ndarray,
    *,
    strides: Pair,
    padding: Padding,
    dilations: Pair = (1, 1),
    scratch: Scratch,
) -> Calls:
    """Lower the gradient by the images to kernel calls, to be made in order.

    dx[n, h, v, c] = sum over all i, p with i*stride + p*dilation - top = h, and j, q alike, of
                     dy[n, i, j, c] * w[p, q, c]

    Args:
        dy: the gradient by the result [n, out_height, out_width, channels].
        w: [kernel_height, kernel_width, channels].
        dx: [n, height, width, channels], written.
        strides, padding, dilations, scratch: as in `depthwise_forward`.

    Raises:
        ValueError: shapes or element types do not fit.
    """
    pieces = _pieces(dx, w, dy, strides, padding, dilations, gradient_groups, dy.shape, dx.shape)
    return _convolve(dy, w, dx, pieces)


def depthwise_weight_gradient(
    x: np.ndarray,
    dy: np.ndarray,
    dw: np.ndarray,
    *,
    strides: Pair,
    padding: Padding,
    dilations: Pair = (1, 1),
    scratch: Scratch,
) -> Calls:
    """Lower the gradient by the kernel to kernel calls, to be made in order.

    dw[p, q, c] = sum over n, i, j of x[n, i*stride + p*dilation - top, j*... + q*... - left, c] * dy[n, i, j, c]

    Args:
        x: the images [n, height, width, channels].
        dy: the gradient by the result [n, out_height, out_width, channels].
        dw: [kernel_height, kernel_width, channels], written.
        strides, padding, dilations, scratch: as in `depthwise_forward`.

    Raises:
        ValueError: shapes or element types do not fit.
    """
    pieces = _pieces(x, dw, dy, strides, padding, dilations, forward_groups, x.shape, dy.shape)
    return [(dw.fill, (0,)), *_sum_over_places(x, dy, dw, pieces)]


def _pieces(
    x: np.ndarray,
    w: np.ndarray,
    y: np.ndarray,
    strides: Pair,
    padding: Padding,
    dilations: Pair,
    rule: Callable[..., tuple],
    source: tuple,
    target: tuple,
) -> tuple[_Piece, ...]:
    """The pieces of the result `target`, whose places receive from `source` by a rule of conv_windows.py."""
    geometry = Geometry.of(x.shape, (*w.shape, w.shape[-1]), y.shape, strides, padding, dilations)
    check_types(x, w, y)
    return _tables(geometry.groups(rule, source, target), source, w.shape, target, x.itemsize)


@dataclass(frozen=True)
class _Piece:
    """Places of the result that receive through the same taps: byte offsets of both, in an image and the kernel.

    Attributes:
        rows: for each place, of the first element it receives, and of itself.
        taps: for each tap, from that first element on, and in the kernel.
    """

    rows: tuple[np.ndarray, np.ndarray]
    taps: tuple[np.ndarray, np.ndarray]


@functools.lru_cache(maxsize=128)
def _tables(groups: tuple, source: tuple, kernel: tuple, target: tuple, size: int) -> tuple[_Piece, ...]:
    channels = source[3]
    return tuple(
        _Piece(
            rows=(
                grid(down.origins, source[2] * channels, right.origins, channels, size),
                grid(down.places, target[2] * channels, right.places, channels, size),
            ),
            taps=(
                grid(down.shifts, source[2] * channels, right.shifts, channels, size),
                grid(down.elements, kernel[1] * channels, right.elements, channels, size),
            ),
        )
        for down, right in itertools.product(*groups)
    )


def _convolve(a: np.ndarray, w: np.ndarray, out: np.ndarray, pieces: tuple[_Piece, ...]) -> Calls:
    """out[place] = sum over taps of a[place + tap] * w[tap]."""
    if out.size == 0:
        return []
    steps = _image_bytes(a), 0, _image_bytes(out)
    return _call((a, w, out), [(piece.rows, piece.taps) for piece in pieces], steps, 0)


def _sum_over_places(x: np.ndarray, dy: np.ndarray, dw: np.ndarray, pieces: tuple[_Piece, ...]) -> Calls:
    """dw[tap] += sum over places of x[place + tap] * dy[place]."""
    if dw.size == 0 or dy.size == 0:
        return []
    steps = _image_bytes(x), _image_bytes(dy), 0
    return _call((x, dy, dw), [(piece.taps, piece.rows) for piece in pieces], steps, 1)


def _image_bytes(images: np.ndarray) -> int:
    return math.prod(images.shape[1:]) * images.itemsize


def _call(arrays: tuple, tables: list, steps: tuple[int, int, int], accumulate: int) -> Calls:
    """The call of `multiply_channels` with a job for each (rows, taps); its arguments keep the operands alive."""
    images, _, out = arrays
    numbers = [
        [
            *map(address, (*arrays, *rows, *taps)),
            *(rows[0].size, taps[0].size, images.shape[3], accumulate),
            *(images.shape[0], *steps),
        ]
        for rows, taps in tables
    ]
    return [(multiply_channels[out.dtype], (out.reshape(-1), keeping(numbers, (arrays, tables))))]
