"""Convolving without padding: pixels whose windows meet the image alike are computed together.

Along one axis, the places of the result fall into few groups: those whose windows lie wholly within the image, and, at
each border, those that lack the same elements. (For the gradient by the images, where stride s spreads what a place
receives over every s-th element, also by their remainder modulo s.) Each pair of a vertical and a horizontal group is
one `Contraction` over the elements that are there: no zeros are stored and none are multiplied.

                  columns   0      1 .. w-2    w-1
    same padding,         +------+-----------+------+
    3 x 3 kernel:  row 0  | 2x2  |    2x3    | 2x2  |    elements of the window that are used
                  1 .. h-2| 3x2  |    3x3    | 3x2  |
                     h-1  | 2x2  |    2x3    | 2x2  |
                          +------+-----------+------+
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from distkeras.kernels.amx_gemm import SplitProduct, pays
from distkeras.kernels.compile import Calls, Scratch
from distkeras.kernels.contraction import Contraction
from distkeras.kernels.gemm import are_rows_alike
from distkeras.kernels.split import BLOCK

# Images of fewer pixels are taken together, lest each leave a tile half full.
SMALL_IMAGE = 256


@dataclass(frozen=True)
class Group:
    """Places of the result along one axis whose windows hold the same elements of the kernel.

    Attributes:
        places: the places.
        origins: for each place, where in the source the first of these elements falls.
        elements: the elements of the kernel, ascending; none if nothing reaches these places.
        shifts: where each element falls, from where the first does.
    """

    places: tuple[int, ...]
    origins: tuple[int, ...]
    elements: tuple[int, ...]
    shifts: tuple[int, ...]


@functools.lru_cache(maxsize=512)
def forward_groups(count: int, extent: int, kernel: int, stride: int, dilation: int, before: int) -> tuple[Group, ...]:
    """Groups of the `count` places of a convolution's result.

    Place i meets the image, of `extent` places, at i*stride + k*dilation - before for each element k.
    """
    meetings = ([(k, i * stride + k * dilation - before) for k in range(kernel)] for i in range(count))
    return _grouped(meetings, extent)


@functools.lru_cache(maxsize=512)
def gradient_groups(count: int, extent: int, kernel: int, stride: int, dilation: int, before: int) -> tuple[Group, ...]:
    """Groups of the `count` places of the images.

    Place h receives from place (h + before - k*dilation) / stride, a whole number, of `extent` places, for each k.
    """
    meetings = ([(k, *divmod(h + before - k * dilation, stride)) for k in range(kernel)] for h in range(count))
    whole = ([(k, place) for k, place, rest in pairs if rest == 0] for pairs in meetings)
    return _grouped(whole, extent)


def _grouped(meetings: Iterable[list[tuple[int, int]]], extent: int) -> tuple[Group, ...]:
    """Groups of places, given for each place its pairs (element, place in the source); sources outside do not count."""
    found: dict[tuple, tuple[list[int], list[int]]] = {}
    for place, pairs in enumerate(meetings):
        inside = [(k, at) for k, at in pairs if 0 <= at < extent]
        origin = inside[0][1] if inside else 0
        key = tuple(k for k, _ in inside), tuple(at - origin for _, at in inside)
        places, origins = found.setdefault(key, ([], []))
        places.append(place)
        origins.append(origin)
    return tuple(Group(tuple(places), tuple(origins), *key) for key, (places, origins) in found.items())


def convolve(
    source: np.ndarray,
    kernel: np.ndarray,
    out: np.ndarray,
    groups: tuple[tuple[Group, ...], tuple[Group, ...]],
    bias: np.ndarray | None = None,
    relu: bool = False,
    *,
    scratch: Scratch,
) -> Calls:
    """Calls that compute a convolution by groups of places.

    Args:
        source: [n, ..., ..., c].
        kernel: [p, q, c, f].
        out: [n, height, width, f], written.
        groups: the vertical and the horizontal groups; they cover `out`.
        bias, relu, scratch: as in `conv2d_forward`.
    """
    calls: Calls = []
    for piece in _pieces(groups, source.shape, kernel.shape, out.shape, source.itemsize):
        whole = Contraction(
            a=source,
            b=kernel,
            out=out,
            rows=piece.a_rows.size,
            columns=kernel.shape[3],
            depth=piece.depth,
            a_rows=piece.a_rows,
            out_rows=piece.out_rows,
            a_step=source.itemsize,
            b_step=kernel.shape[3] * source.itemsize,
            taps_a=piece.taps_a,
            taps_b=piece.taps_b,
            bias=bias,
            relu=relu,
            outer=piece.outer,
        )
        calls += _lower(whole, piece.pixels, scratch)
    return calls


def _lower(whole: Contraction, pixels: int, scratch: Scratch) -> Calls:
    """By the matrix unit, if there is one and it pays.

    If all rows are to be rounded alike, it is up to the pixels of one image, however many images there are.
    """
    depth, rows = whole.depth * whole.taps_a.size, pixels if are_rows_alike() else whole.rows
    if whole.depth % BLOCK or not pays(whole.columns, depth, whole.out.dtype, rows):
        return [whole.call()]
    calls, shared = SplitProduct(whole).with_split_b(scratch)
    return [*calls, *shared.calls(scratch)]


@dataclass(frozen=True)
class _Piece:
    """The tables of one contraction, byte offsets; over what to repeat it; how many pixels of an image it gives."""

    depth: int
    a_rows: np.ndarray
    out_rows: np.ndarray
    taps_a: np.ndarray
    taps_b: np.ndarray
    outer: tuple[int, int, int, int]
    pixels: int


@functools.lru_cache(maxsize=128)
def _pieces(groups: tuple, source: tuple, kernel: tuple, out: tuple, size: int) -> tuple[_Piece, ...]:
    return tuple(
        _piece(vertical, horizontal, source, kernel, out, size) for vertical in groups[0] for horizontal in groups[1]
    )


def _piece(vertical: Group, horizontal: Group, source: tuple, kernel: tuple, out: tuple, size: int) -> _Piece:
    channels = source[3]
    depth, columns, shifts = channels, horizontal.elements, horizontal.shifts
    if columns and shifts == tuple(range(len(columns))) and columns == tuple(range(columns[0], columns[-1] + 1)):
        # Neighbours in the image and in the kernel alike: one run.
        depth, columns, shifts = channels * len(columns), columns[:1], shifts[:1]
    a_rows = grid(vertical.origins, source[2] * channels, horizontal.origins, channels, size)
    out_rows = grid(vertical.places, out[2] * out[3], horizontal.places, out[3], size)
    image, out_image = (math.prod(shape[1:]) * size for shape in (source, out))
    outer = (source[0], image, 0, out_image)
    if a_rows.size < SMALL_IMAGE:
        images = np.arange(source[0], dtype=np.int64)
        a_rows = np.add.outer(images * image, a_rows).ravel()
        out_rows = np.add.outer(images * out_image, out_rows).ravel()
        outer = (1, 0, 0, 0)
    taps_a = grid(vertical.shifts, source[2] * channels, shifts, channels, size)
    matrix = channels * kernel[3]
    taps_b = grid(vertical.elements, kernel[1] * matrix, columns, matrix, size)
    return _Piece(depth, a_rows, out_rows, taps_a, taps_b, outer, len(vertical.places) * len(horizontal.places))


def grid(rows: tuple[int, ...], row_step: int, columns: tuple[int, ...], column_step: int, size: int) -> np.ndarray:
    """The byte offsets rows[i] * row_step + columns[j] * column_step, in order of (i, j)."""
    down, right = (np.array(indices, np.int64) for indices in (rows, columns))
    return np.add.outer(down * (row_step * size), right * (column_step * size)).ravel()
