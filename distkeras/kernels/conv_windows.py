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
from dataclasses import dataclass

import numpy as np

from distkeras.kernels import amx_images
from distkeras.kernels.amx_gemm import MANY_ROWS, SplitProduct, pays
from distkeras.kernels.compile import Calls, Scratch
from distkeras.kernels.contraction import Contraction
from distkeras.kernels.conv_groups import Group
from distkeras.kernels.gemm import are_rows_alike
from distkeras.kernels.split import BLOCK

# Images of fewer pixels are taken together, lest each leave a tile half full.
SMALL_IMAGE = 256


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
    pieces = _pieces(groups, source.shape, kernel.shape, out.shape, source.itemsize)
    wholes = [_contraction(piece, source, kernel, out, bias, relu) for piece in pieces]
    calls: Calls = []
    by_images = _chosen_by_images(wholes, pieces, len(source))
    tables = None
    if by_images and kernel.shape[2] % BLOCK == 0:
        tables = amx_images.tables(groups, by_images, source.shape, kernel.shape, out.shape)
    if tables is not None:
        calls = amx_images.convolve_images(source, kernel, out, tables, [wholes[i] for i in by_images], scratch)
        pieces, wholes = ([given[i] for i in range(len(given)) if i not in by_images] for given in (pieces, wholes))
    for piece, whole in zip(pieces, wholes, strict=True):
        calls += _lower(whole, piece.pixels, scratch)
    return calls


def _contraction(
    piece: _Piece, source: np.ndarray, kernel: np.ndarray, out: np.ndarray, bias: np.ndarray | None, relu: bool
) -> Contraction:
    return Contraction(
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


def _chosen_by_images(wholes: list[Contraction], pieces: tuple[_Piece, ...], images: int) -> tuple[int, ...]:
    """Which pieces the matrix unit may compute for many images at a time."""
    if not amx_images.pays(images):
        return ()
    return tuple(i for i, whole in enumerate(wholes) if _pays(whole, pieces[i].pixels, MANY_ROWS))


def _pays(whole: Contraction, pixels: int, rows: int) -> bool:
    """Whether the matrix unit is faster, if there is one, for so many rows that share a kernel.

    If all rows are to be rounded alike, it is up to the pixels of one image, however many images there are.
    """
    depth, rows = whole.depth * whole.taps_a.size, pixels if are_rows_alike() else rows
    return whole.depth % BLOCK == 0 and pays(whole.columns, depth, whole.out.dtype, rows)


def _lower(whole: Contraction, pixels: int, scratch: Scratch) -> Calls:
    """By the matrix unit, if it pays."""
    if not _pays(whole, pixels, whole.rows):
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
