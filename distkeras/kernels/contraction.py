"""Tiled sums of products over strided memory: the one loop nest behind matrix products and convolutions.

A `Contraction` says where its operands lie and how to step through them; `job()` turns it into the int64 array that
`contract` takes. It is built once, when a plan is built, and replayed with a single cheap call:

    for outer:                        images, matrices of a batch
      for inner:                      rows of an image, blocks
        for blocks of rows:           so that a's rows stay in the cache while b's columns pass
          for up to 4 vectors of columns:
            for tiles of rows:        compute_tile
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, Callable

import numba
import numpy as np

from distkeras.kernels import tile
from distkeras.kernels.compile import kernel
from distkeras.kernels.simd import HOST
from distkeras.kernels.tile import compute_tile

Call = tuple[Callable, tuple]

SHARED = tile.B_TAPS + 1
(A, B, C, BIAS, FLAGS, ROWS, COLUMNS, A_ROW, TABLE_ROW, TABLE, ROW_BLOCK, PANEL_BYTES) = range(SHARED, SHARED + 12)
(OUTER, A_OUTER, B_OUTER, C_OUTER, INNER, A_INNER, B_INNER, C_INNER) = range(PANEL_BYTES + 1, PANEL_BYTES + 9)
FIELDS = C_INNER + 1

VECTOR_BYTES, MAX_VECTORS, MASKED = HOST.vector_bytes, HOST.max_vectors, HOST.masked
TILE_ROWS = np.array(HOST.tile_rows, np.int64)
ACCUMULATE, C_ROW = tile.ACCUMULATE, tile.C_ROW

# A block of a's rows is kept near 512 kB: it stays in a 1 to 2 MB second-level cache beside the columns of b.
ROW_BLOCK_BYTES = 1 << 19


def address(array: np.ndarray) -> int:
    """Where the data of `array` starts."""
    return array.__array_interface__["data"][0]


@dataclass
class Contraction:
    """c[m, n] = sum over taps t, depth k of a[m, t, k] * b[t, k, n], repeated over `outer` x `inner`.

    Strides and offsets are in bytes, counts in elements. An `outer` or `inner` whose c stride is 0 is summed over.

    Attributes:
        a, b, out: the operands, in memory; `out` need not be all written.
        a_start, b_start, out_start: byte offsets of the first element.
        rows, columns, depth: sizes m, n, k.
        a_row: stride of m in a; ignored with `a_rows`.
        a_rows: byte offset in a of every row, int64 [rows].
        a_step, b_step: strides of k.
        taps_a, taps_b: byte offset of each tap, int64 [taps]; both or neither.
        out_row: stride of m in out.
        bias: added to every row, [columns].
        relu: cut at zero after the bias.
        accumulate: add to what `out` holds.
        row_block: rows done before the next columns; 0 chooses.
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
    out_row: int
    a_row: int = 0
    a_rows: np.ndarray | None = None
    taps_a: np.ndarray = field(default_factory=lambda: ONE_TAP)
    taps_b: np.ndarray = field(default_factory=lambda: ONE_TAP)
    a_start: int = 0
    b_start: int = 0
    out_start: int = 0
    bias: np.ndarray | None = None
    relu: bool = False
    accumulate: bool = False
    row_block: int = 0
    panel_bytes: int = 0
    outer: tuple[int, int, int, int] = (1, 0, 0, 0)
    inner: tuple[int, int, int, int] = (1, 0, 0, 0)

    def call(self) -> Call:
        """The call that computes it; its arguments keep the operands alive."""
        return contract[self.out.dtype], (self.out.reshape(-1), self.job())

    def job(self) -> np.ndarray:
        """The int64 array `contract` reads."""
        table = _row_offsets(self.a_row) if self.a_rows is None else self.a_rows
        by_table = self.a_rows is not None
        flags = ACCUMULATE * self.accumulate + tile.RELU * self.relu
        block = self.row_block or max(HOST.max_rows, ROW_BLOCK_BYTES // max(1, self.depth * self.out.itemsize))
        taps_a, taps_b = self.taps_a, self.taps_b
        # The order is that of the field constants: tile.DEPTH to tile.B_TAPS, then A to C_INNER.
        shared = [self.depth, taps_a.size, self.a_step, self.b_step, self.out_row, address(taps_a), address(taps_b)]
        places = [address(self.a) + self.a_start, address(self.b) + self.b_start, address(self.out) + self.out_start]
        sizes = [0 if self.bias is None else address(self.bias), flags, self.rows, self.columns]
        steps = [0 if by_table else self.a_row, 8 if by_table else 0, address(table), block, self.panel_bytes or MAX_VECTORS*VECTOR_BYTES]
        numbers = np.array([*shared, *places, *sizes, *steps, *self.outer, *self.inner], np.int64)
        return np.asarray(_Kept(numbers, (self.a, self.b, self.out, self.bias, table, taps_a, taps_b)))


class _Kept:
    """Lends its array to NumPy as the base of a view, so that the view keeps what the array's addresses point to."""

    def __init__(self, numbers: np.ndarray, buffers: tuple[Any, ...]) -> None:
        self.numbers, self.buffers = numbers, buffers
        self.__array_interface__ = numbers.__array_interface__


ONE_TAP = np.zeros(1, np.int64)


@functools.lru_cache(maxsize=1024)
def _row_offsets(stride: int) -> np.ndarray:
    return np.arange(HOST.max_rows, dtype=np.int64) * stride


@kernel("void({t}[::1], int64[::1])")
def contract(out, job):
    """Run a `Contraction`'s job; `out`, the flat output, gives the element type."""
    for outer in range(job[OUTER]):
        for inner in range(job[INNER]):
            summed = (outer > 0 and job[C_OUTER] == 0) or (inner > 0 and job[C_INNER] == 0)
            a = job[A] + outer * job[A_OUTER] + inner * job[A_INNER]
            b = job[B] + outer * job[B_OUTER] + inner * job[B_INNER]
            c = job[C] + outer * job[C_OUTER] + inner * job[C_INNER]
            _contract_once(out, job, a, b, c, job[FLAGS] | (ACCUMULATE if summed else 0))


@numba.njit(nogil=True)
def _contract_once(out, job, a, b, c, flags):
    width = VECTOR_BYTES // out.itemsize
    rows, columns = job[ROWS], job[COLUMNS]
    here = job.ctypes.data
    for start in range(0, rows, job[ROW_BLOCK]):
        stop = min(rows, start + job[ROW_BLOCK])
        column = 0
        while column < columns:
            left = columns - column
            if MASKED:
                vectors = min(MAX_VECTORS, (left + width - 1) // width)
                lanes = min(width, left - (vectors - 1) * width)
                done = (vectors - 1) * width + lanes
            else:
                vectors = min(MAX_VECTORS, left // width)
                lanes = width
                done = vectors * width if vectors > 0 else 1
            shift = column * out.itemsize
            bias = job[BIAS] + shift if job[BIAS] != 0 else 0
            row = start
            while row < stop:
                height = min(stop - row, TILE_ROWS[vectors])
                compute_tile(
                    out,
                    height,
                    vectors,
                    here,
                    a + row * job[A_ROW],
                    job[TABLE] + row * job[TABLE_ROW],
                    b + (column // (MAX_VECTORS*width)) * job[PANEL_BYTES] + (column % (MAX_VECTORS*width))*out.itemsize,
                    c + row * job[C_ROW] + shift,
                    bias,
                    lanes,
                    flags,
                )
                row += height
            column += done
