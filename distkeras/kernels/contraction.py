"""Tiled sums of products over strided memory: the one loop nest behind matrix products and convolutions.

A `Contraction` says where its operands lie and how to step through them; `call()` turns it into a kernel and an int64
array of addresses, sizes and strides. It is built once, when a plan is built, and replayed with a single cheap call:

    for outer:                            images, matrices of a batch
      for inner:                          lines of an image
        for blocks of rows:               so that a's rows stay in the cache while b's columns pass
          for up to 4 vectors of columns:
            for blocks of a long sum:     copy_panel, where many rows share these columns of b
              for tiles of rows:          compute_tile
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from distkeras.kernels import tile
from distkeras.kernels.compile import inlined, kernel
from distkeras.kernels.simd import HOST
from distkeras.kernels.tile import A_STEP, B_STEP, compute_tile, copy_panel, new_panel

# The job's int64 fields after those that tiles read (tile.DEPTH to tile.B_TAPS).
FIRST = tile.B_TAPS + 1
A, B, C, BIAS, FLAGS, ROWS, COLUMNS, DEPTH, ROW_BLOCK, DEPTH_BLOCK = range(FIRST, FIRST + 10)
A_ROW, A_TABLE_ROW, A_TABLE, C_ROW, C_TABLE_ROW, C_TABLE = range(FIRST + 10, FIRST + 16)
OUTER, A_OUTER, B_OUTER, C_OUTER, INNER, A_INNER, B_INNER, C_INNER = range(FIRST + 16, FIRST + 24)

VECTOR_BYTES, MAX_VECTORS, MASKED = HOST.vector_bytes, HOST.max_vectors, HOST.masked
TILE_ROWS = np.array(HOST.tile_rows, np.int64)
ACCUMULATE, COPIED = tile.ACCUMULATE, tile.COPIED

# Rows of a done before the next columns: near 512 kB, which are read in order.
ROW_BLOCK_BYTES, LEAST_ROW_BLOCK = 1 << 19, 48
# A sum is cut into blocks of near this many rows of b, which then stay in the cache. It must not be up to how many rows
# of a there are: that would change how results are rounded.
SUMMED_ROWS = tile.PANEL_BYTES * 3 // (8 * tile.PANEL_ROW)
ONE_TAP = np.zeros(1, np.int64)


def address(array: np.ndarray) -> int:
    """Where the data of `array` starts."""
    return array.ctypes.data


@dataclass
class Contraction:
    """out[m, n] = sum over taps t, depth k of a[m, t, k] * b[t, k, n], repeated over `outer` x `inner`.

    Strides and offsets are in bytes, counts in elements. An `outer` or `inner` whose stride in `out` is 0 is summed
    over. With no taps or no depth the sum is zero.

    Attributes:
        a, b, out: the operands, all of one element type; only `out` must be contiguous.
        rows, columns, depth: the sizes of m, n, k.
        a_step, b_step: strides of k.
        a_row, out_row: strides of m.
        a_rows, out_rows: instead of strides, the byte offset of each row, int64 [rows].
        taps_a, taps_b: byte offset in a and b of each tap, int64 [taps].
        a_start, b_start, out_start: byte offset of the first element.
        bias: added to every row, [columns].
        relu: cut at zero, after the bias.
        accumulate: add to what `out` holds.
        outer, inner: (count, stride in a, stride in b, stride in out).
    """

    a: np.ndarray
    b: np.ndarray
    out: np.ndarray
    rows: int
    columns: int
    depth: int
    a_step: int
    b_step: int
    a_row: int = 0
    out_row: int = 0
    a_rows: np.ndarray | None = None
    out_rows: np.ndarray | None = None
    taps_a: np.ndarray = field(default_factory=lambda: ONE_TAP)
    taps_b: np.ndarray = field(default_factory=lambda: ONE_TAP)
    a_start: int = 0
    b_start: int = 0
    out_start: int = 0
    bias: np.ndarray | None = None
    relu: bool = False
    accumulate: bool = False
    outer: tuple[int, int, int, int] = (1, 0, 0, 0)
    inner: tuple[int, int, int, int] = (1, 0, 0, 0)

    def call(self) -> tuple[Callable, tuple]:
        """The call that computes it; its arguments keep the operands alive."""
        return contract[self.out.dtype], (self.out.reshape(-1), self.job())

    def job(self) -> np.ndarray:
        """The int64 array `contract` reads, in the order of the field constants."""
        taps_a, taps_b = self.taps_a, self.taps_b
        row_bytes = taps_a.size * self.depth * self.out.itemsize
        a_rows, a_table = _row_steps(self.a_row, self.a_rows)
        out_rows, out_table = _row_steps(self.out_row, self.out_rows)
        numbers = [
            *(taps_a.size, self.a_step, self.b_step, address(taps_a), address(taps_b)),
            *(address(self.a) + self.a_start, address(self.b) + self.b_start, address(self.out) + self.out_start),
            0 if self.bias is None else address(self.bias),
            ACCUMULATE * self.accumulate + tile.RELU * self.relu + COPIED * self._copies,
            *(self.rows, self.columns, self.depth),
            *(max(LEAST_ROW_BLOCK, ROW_BLOCK_BYTES // max(1, row_bytes)), self._depth_block),
            *(*a_rows, *out_rows, *self.outer, *self.inner),
        ]
        buffers = (self.a, self.b, self.out, self.bias, a_table, out_table, taps_a, taps_b)
        return keeping(numbers, buffers)

    @property
    def _depth_block(self) -> int:
        blocks = max(1, round(self.depth * self.taps_a.size / SUMMED_ROWS))
        return max(1, -(-self.depth // blocks))

    @property
    def _copies(self) -> bool:
        """Whether the columns of b that tiles share are copied first: not where all of b stays in the cache."""
        fits = self._depth_block * self.taps_a.size * tile.PANEL_ROW <= tile.PANEL_BYTES
        is_large = self.depth * self.taps_a.size * self.b_step > tile.PANEL_BYTES // 2
        return fits and is_large and self.rows >= HOST.copy_rows and self.b_step > tile.PANEL_ROW


def keeping(numbers: Sequence, buffers: tuple[Any, ...]) -> np.ndarray:
    """`numbers` as an int64 array that keeps alive the buffers whose addresses are among them."""
    return np.asarray(_Kept(np.array(numbers, np.int64), buffers))


class _Kept:
    """Lends its array to NumPy as the base of a view, so that the view keeps alive what its addresses point to."""

    def __init__(self, numbers: np.ndarray, buffers: tuple[Any, ...]) -> None:
        self.numbers, self.buffers = numbers, buffers
        self.__array_interface__ = numbers.__array_interface__


def _row_steps(stride: int, offsets: np.ndarray | None) -> tuple[tuple[int, int, int], np.ndarray]:
    """(bytes per row, bytes per row in the table of offsets, that table's address), and the table.

    With a stride every tile uses the same offsets from its first row; with a table each starts further down in it.
    """
    if offsets is not None:
        return (0, 8, address(offsets)), offsets
    table, place = _row_offsets(stride)
    return (stride, 0, place), table


@functools.lru_cache(maxsize=1024)
def _row_offsets(stride: int) -> tuple[np.ndarray, int]:
    table = np.arange(HOST.max_rows, dtype=np.int64) * stride
    return table, address(table)


@kernel("void({t}[::1], int64[::1])")
def contract(out, job):
    """Run a `Contraction`'s job; `out`, the flat output, gives the element type."""
    sum_outer, sum_inner = job[C_OUTER] == 0, job[C_INNER] == 0
    for outer in range(job[OUTER]):
        for inner in range(job[INNER]):
            a = job[A] + outer * job[A_OUTER] + inner * job[A_INNER]
            b = job[B] + outer * job[B_OUTER] + inner * job[B_INNER]
            c = job[C] + outer * job[C_OUTER] + inner * job[C_INNER]
            flags, bias = job[FLAGS], job[BIAS]
            if (sum_outer and outer < job[OUTER] - 1) or (sum_inner and inner < job[INNER] - 1):
                flags, bias = flags & (ACCUMULATE | COPIED), 0
            if (sum_outer and outer > 0) or (sum_inner and inner > 0):
                flags |= ACCUMULATE
            _contract_once(out, job, a, b, c, bias, flags)


@inlined
def _contract_once(out, job, a, b, c, bias, flags):
    size, width = out.itemsize, VECTOR_BYTES // out.itemsize
    fixed, panel = job.ctypes.data, new_panel()
    for start in range(0, job[ROWS], job[ROW_BLOCK]):
        rows = min(job[ROWS] - start, job[ROW_BLOCK])
        column = 0
        while column < job[COLUMNS]:
            vectors, lanes, count = next_columns(job[COLUMNS] - column, width)
            shift = column * size
            # Where there is no depth, one block of none writes the zeros.
            for first in range(0, max(job[DEPTH], 1), job[DEPTH_BLOCK]):
                depth = min(job[DEPTH] - first, job[DEPTH_BLOCK])
                here, here_bias = flags, bias + shift if bias != 0 else 0
                if first > 0:
                    here |= ACCUMULATE
                if first + depth < job[DEPTH]:
                    here, here_bias = here & (ACCUMULATE | COPIED), 0
                block_a, block_b = a + first * job[A_STEP], b + first * job[B_STEP] + shift
                if vectors == 0:
                    here &= ~COPIED
                if here & COPIED:
                    copy_panel(out, vectors, fixed, depth, block_b, panel, lanes)
                    block_b = panel
                block = (start, rows, depth, vectors, lanes, here)
                _contract_columns(out, job, block, block_a, block_b, c + shift, here_bias)
            column += count


@inlined
def _contract_columns(out, job, block, a, b, c, bias):
    """The tiles of some rows, of as many columns as a tile has."""
    start, rows, depth, vectors, lanes, flags = block
    # Heights differ by one at most: a last tile of one or two rows would run at a fraction of the speed.
    tiles = (rows + TILE_ROWS[vectors] - 1) // TILE_ROWS[vectors]
    height, higher = rows // tiles, rows % tiles
    row = start
    for index in range(tiles):
        here = height + 1 if index < higher else height
        tile_a, a_rows = a + row * job[A_ROW], job[A_TABLE] + row * job[A_TABLE_ROW]
        tile_c, c_rows = c + row * job[C_ROW], job[C_TABLE] + row * job[C_TABLE_ROW]
        compute_tile(
            out, here, vectors, job.ctypes.data, depth, tile_a, a_rows, b, tile_c, c_rows, bias, lanes, flags
        )  # fmt: skip
        row += here


@inlined
def next_columns(left, width):
    """The tile for the next columns: its vectors, the lanes of its last one, and the columns it covers."""
    vectors = (left + width - 1) // width if MASKED else left // width
    if vectors == 0:
        return 0, 1, 1
    panels = (vectors + MAX_VECTORS - 1) // MAX_VECTORS
    vectors = (vectors + panels - 1) // panels
    lanes = min(width, left - (vectors - 1) * width)
    return vectors, lanes, (vectors - 1) * width + lanes
