"""The derivatives of a convolution by its kernel and by its images.

By the kernel: element (p, q, c, f) sums, over all output pixels, window element (p, q, c) times dy[f]. That is the
product of the transposed window matrix with dy, and like in conv.py the window matrix is only addressed, never formed.

By the images: an input pixel collects from the outputs whose windows hold it. With strides (s, t) its place modulo
(s, t), its phase, decides which elements of the kernel those are: each of the s*t phases is a convolution of dy (padded
by zeros) with a part of the kernel, of stride 1, written to every s-th line and t-th column. No work is spent on zeros
between the elements of dy.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np

from distkeras.kernels.compile import Calls, Scratch
from distkeras.kernels.contraction import Contraction
from distkeras.kernels.conv_geometry import SMALL_IMAGE, Geometry, Padding, Pair, as_matrix, check_types, pad
from distkeras.kernels.gemm import matmul
from distkeras.kernels.transpose_matrices import transpose_matrices

# Output pixels summed before the sums go back to memory: enough to hide that, few enough for dy to stay in the cache.
SUMMED_PIXELS = 256


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
    calls, images = pad(x, padding, scratch)
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
    phases = [
        (vertical, horizontal)
        for vertical in _phases(dx.shape[1], geometry, 0)
        for horizontal in _phases(dx.shape[2], geometry, 1)
    ]
    borders = tuple(_border([pair[axis] for pair in phases], dy.shape[1 + axis]) for axis in (0, 1))
    calls, gradients = pad(dy, borders, scratch)
    turned = scratch((math.prod(geometry.kernel), geometry.filters, geometry.channels), w.dtype)
    calls.append((transpose_matrices[w.dtype], (w.reshape(-1, *w.shape[2:]), turned)))
    start = (borders[0][0], borders[1][0])
    contractions = [_phase_contraction(gradients, turned, dx, geometry, phase, start) for phase in phases]
    return calls + [contraction.call() for contraction in contractions]


@dataclass(frozen=True)
class _Phase:
    """The input places first, first + stride, ... along one axis: which kernel elements reach them, and from where.

    `origins[k]` is the place in dy from which kernel element `elements[k]` reaches the first of them; the next place is
    reached from the next place in dy.
    """

    first: int
    count: int
    elements: tuple[int, ...]
    origins: tuple[int, ...]


def _phases(extent: int, geometry: Geometry, axis: int) -> list[_Phase]:
    stride, dilation, before = geometry.strides[axis], geometry.dilations[axis], geometry.padding[axis][0]
    phases = []
    for first in range(min(stride, extent)):
        reach = [(k, first + before - k * dilation) for k in range(geometry.kernel[axis])]
        exact = [(k, place // stride) for k, place in reach if place % stride == 0]
        elements, origins = tuple(k for k, _ in exact), tuple(origin for _, origin in exact)
        phases.append(_Phase(first, -(-(extent - first) // stride), elements, origins))
    return phases


def _border(phases: list[_Phase], extent: int) -> Pair:
    """How many zeros dy needs before and after its `extent` for all phases to stay within."""
    lowest = min((origin for phase in phases for origin in phase.origins), default=0)
    highest = max((origin + phase.count - 1 for phase in phases for origin in phase.origins), default=0)
    return max(0, -lowest), max(0, highest - (extent - 1))


def _phase_contraction(
    gradients: np.ndarray,
    turned: np.ndarray,
    dx: np.ndarray,
    geometry: Geometry,
    phase: tuple[_Phase, _Phase],
    start: Pair,
) -> Contraction:
    """The convolution of padded `gradients`, whose borders begin at -start, that gives the pixels of one phase."""
    vertical, horizontal = phase
    size, filters, channels = dx.itemsize, geometry.filters, geometry.channels
    line = gradients.shape[2] * filters
    rows = [(start[0] + origin) * line for origin in vertical.origins]
    columns = [(start[1] + origin) * filters for origin in horizontal.origins]
    elements = np.add.outer(
        np.array(vertical.elements, np.int64) * geometry.kernel[1], np.array(horizontal.elements, np.int64)
    )
    taps_a = np.add.outer(np.array(rows, np.int64), np.array(columns, np.int64)).ravel()
    contraction = Contraction(
        a=gradients,
        b=turned,
        out=dx,
        rows=horizontal.count,
        columns=channels,
        depth=filters,
        a_row=filters * size,
        a_step=size,
        b_step=channels * size,
        out_row=geometry.strides[1] * channels * size,
        taps_a=taps_a * size,
        taps_b=elements.ravel() * (filters * channels * size),
        out_start=(vertical.first * dx.shape[2] + horizontal.first) * channels * size,
        outer=(dx.shape[0], gradients[0].size * size, 0, dx[0].size * size),
        inner=(vertical.count, line * size, 0, geometry.strides[0] * dx.shape[2] * channels * size),
    )
    if geometry.strides != (1, 1):
        return contraction
    return _as_rows_of_images(contraction)


def _as_rows_of_images(lines: Contraction) -> Contraction:
    """The same with all lines of an image, or of all small images, as rows of one product: the result has no gaps."""
    pixels = np.arange(lines.rows, dtype=np.int64) * lines.a_row
    rows = np.add.outer(np.arange(lines.inner[0], dtype=np.int64) * lines.inner[1], pixels).ravel()
    outer = lines.outer
    if rows.size < SMALL_IMAGE:
        rows = np.add.outer(np.arange(outer[0], dtype=np.int64) * outer[1], rows).ravel()
        outer = (1, 0, 0, 0)
    return replace(lines, rows=rows.size, a_rows=rows, outer=outer, inner=(1, 0, 0, 0))
