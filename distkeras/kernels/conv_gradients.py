"""The derivatives of a convolution by its kernel and by its images.

By the kernel: element (p, q, c, f) sums, over all output pixels, window element (p, q, c) times dy[f]. That is the
product of the transposed window matrix with dy, and like in conv.py the window matrix is only addressed, never formed.
A matrix unit takes it otherwise: see amx_image_sums.py, or for few images amx_conv.py.

By the images: an input pixel collects from the outputs whose windows hold it. With a stride s its place modulo s
decides which elements of the kernel those are; each such group of pixels is a convolution of dy with a part of the
kernel, its matrices transposed. No work is spent on zeros between the elements of dy, and mostly none on those around.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np

from distkeras.kernels import amx_conv, amx_image_sums
from distkeras.kernels.compile import Calls, Scratch
from distkeras.kernels.contraction import Contraction
from distkeras.kernels.conv_geometry import MOST_PIECES, Geometry, Padding, Pair, check_types, pad
from distkeras.kernels.conv_groups import gradient_groups
from distkeras.kernels.conv_windows import convolve
from distkeras.kernels.gemm import as_matrix, matmul
from distkeras.kernels.transpose_matrices import transpose_matrices

# Output pixels summed before the sums go back to memory: enough to hide that, few enough for them and their windows to
# stay in the first-level cache.
SUMMED_PIXELS = 128


def conv2d_weight_gradient(
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

    dw[p, q, c, f] = sum over n, i, j of x[n, i*stride + p*dilation - top, j*... + q*... - left, c] * dy[n, i, j, f]

    Args:
        x: the images [n, height, width, channels].
        dy: the gradient by the result [n, out_height, out_width, filters].
        dw: [kernel_height, kernel_width, channels, filters], written.
        strides, padding, dilations, scratch: as in `conv2d_forward`.

    Raises:
        ValueError: shapes or element types do not fit.
    """
    geometry = Geometry.of(x.shape, dw.shape, dy.shape, strides, padding, dilations)
    check_types(x, dy, dw)
    if geometry.pointwise:
        operands = map(as_matrix, (x, dy, dw))
        return matmul(*operands, transpose_a=True, scratch=scratch)
    if dw.size == 0:
        return []
    tables = amx_image_sums.tables(geometry, x.shape, dy.shape) if x.dtype == np.float32 else None
    if tables is not None:
        return amx_image_sums.weight_gradient(x, dy, dw, tables, _by_tiles(x, dy, dw, geometry, scratch), scratch)
    if amx_conv.pays(geometry, x.shape[0], x.dtype):
        again = _by_tiles(x, dy, dw, geometry, scratch)
        return amx_conv.weight_gradient(x, dy, dw, geometry, again, scratch)
    return _by_tiles(x, dy, dw, geometry, scratch)


def _by_tiles(x: np.ndarray, dy: np.ndarray, dw: np.ndarray, geometry: Geometry, scratch: Scratch) -> Calls:
    calls, images = pad(x, geometry.padding, scratch)
    size, filters = x.itemsize, geometry.filters
    whole = Contraction(
        a=images,
        b=dy,
        out=dw,
        rows=geometry.channels * math.prod(geometry.kernel),
        columns=filters,
        depth=geometry.out[1],
        a_rows=_element_offsets(geometry, size),
        a_step=geometry.strides[1] * geometry.channels * size,
        b_step=filters * size,
        out_row=filters * size,
    )
    return calls + _sum_over_lines(whole, geometry, x.shape[0], size)


def _sum_over_lines(whole: Contraction, geometry: Geometry, count: int, size: int) -> Calls:
    """Sum over the lines of all output images in blocks: some lines of one image, or all lines of some images."""
    lines, pixels = geometry.out
    if count * lines * pixels == 0:
        return [replace(whole, depth=0).call()]
    strides = geometry.image * size, geometry.pixels * geometry.filters * size
    if lines * pixels >= SUMMED_PIXELS:
        down = geometry.strides[0] * geometry.line * size, pixels * geometry.filters * size
        taps = _line_offsets(geometry, size, min(lines, max(1, SUMMED_PIXELS // pixels)), 1)
        return _blocks_of_taps(replace(whole, outer=(count, *strides, 0)), taps, lines, 1, down)
    taps = _line_offsets(geometry, size, lines, min(count, -(-SUMMED_PIXELS // (lines * pixels))))
    return _blocks_of_taps(whole, taps, count, lines, strides)


def _blocks_of_taps(whole: Contraction, taps: tuple, units: int, taps_per_unit: int, strides: Pair) -> Calls:
    """Sum over `units` (lines or images) as many at a time as `taps` holds, then over those that are left."""
    taps_a, taps_b = taps
    together = taps_a.size // taps_per_unit
    blocks, extra = divmod(units, together)
    steps = [together * stride for stride in strides]
    calls = [replace(whole, taps_a=taps_a, taps_b=taps_b, inner=(blocks, *steps, 0)).call()]
    if extra:
        part = slice(extra * taps_per_unit)
        starts = {"a_start": blocks * steps[0], "b_start": blocks * steps[1]}
        calls.append(replace(whole, taps_a=taps_a[part], taps_b=taps_b[part], accumulate=True, **starts).call())
    return calls


@functools.lru_cache(maxsize=256)
def _line_offsets(geometry: Geometry, size: int, lines: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Byte offsets in x and dy of the first `lines` output lines of each of `images` images."""
    down = np.arange(lines, dtype=np.int64) * (geometry.strides[0] * geometry.line)
    in_x = np.add.outer(np.arange(images, dtype=np.int64) * geometry.image, down).ravel()
    line = geometry.out[1] * geometry.filters
    in_dy = np.add.outer(np.arange(images, dtype=np.int64) * (geometry.out[0] * line), np.arange(lines) * line).ravel()
    return in_x * size, in_dy * size


@functools.lru_cache(maxsize=256)
def _element_offsets(geometry: Geometry, size: int) -> np.ndarray:
    """The byte offset in a window of each of its elements (p, q, c)."""
    (high, wide), (down, right) = geometry.kernel, geometry.dilations
    lines = np.arange(high, dtype=np.int64) * (down * geometry.line)
    columns = np.arange(wide, dtype=np.int64) * (right * geometry.channels)
    channels = np.arange(geometry.channels, dtype=np.int64)
    return np.add.outer(np.add.outer(lines, columns), channels).ravel() * size


def conv2d_input_gradient(
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

    dx[n, h, v, c] = sum over f, all i, p with i*stride + p*dilation - top = h, and j, q alike, of
                     dy[n, i, j, f] * w[p, q, c, f]

    Args:
        dy: the gradient by the result [n, out_height, out_width, filters].
        w: the kernel [kernel_height, kernel_width, channels, filters].
        dx: [n, height, width, channels], written.
        strides, padding, dilations, scratch: as in `conv2d_forward`.

    Raises:
        ValueError: shapes or element types do not fit.
    """
    geometry = Geometry.of(dx.shape, w.shape, dy.shape, strides, padding, dilations)
    check_types(dy, w, dx)
    if geometry.pointwise:
        operands = map(as_matrix, (dy, w, dx))
        return matmul(*operands, transpose_b=True, scratch=scratch)
    if dx.size == 0:
        return []
    kind, (high, wide) = w.dtype, geometry.kernel
    turned = scratch((high, wide, geometry.filters, geometry.channels), kind)
    matrices = (high * wide, geometry.channels, geometry.filters), (high * wide, geometry.filters, geometry.channels)
    calls: Calls = [(transpose_matrices[kind], (w.reshape(matrices[0]), turned.reshape(matrices[1])))]
    groups = geometry.groups(gradient_groups, dy.shape, dx.shape)
    if len(groups[0]) * len(groups[1]) <= MOST_PIECES:
        return calls + convolve(dy, turned, dx, groups, scratch=scratch)
    borders, shifted = _borders(geometry, dx.shape, dy.shape)
    padding_calls, gradients = pad(dy, borders, scratch)
    groups = shifted.groups(gradient_groups, gradients.shape, dx.shape)
    return calls + padding_calls + convolve(gradients, turned, dx, groups, scratch=scratch)


def _borders(geometry: Geometry, dx: tuple, dy: tuple) -> tuple[Padding, Geometry]:
    """The zeros around dy with which every window lies within it, and the geometry relative to dy so padded."""
    borders = []
    for axis in (0, 1):
        stride, before = geometry.strides[axis], geometry.padding[axis][0]
        reach = geometry.dilations[axis] * (geometry.kernel[axis] - 1)
        lowest, highest = (before - reach) // stride, (dx[1 + axis] - 1 + before) // stride
        borders.append((max(0, -lowest), max(0, highest - dy[1 + axis] + 1)))
    moved = [
        (pair[0] + border[0] * stride, 0)
        for pair, border, stride in zip(geometry.padding, borders, geometry.strides, strict=True)
    ]
    vertical, horizontal = borders
    return (vertical, horizontal), replace(geometry, padding=(moved[0], moved[1]))
