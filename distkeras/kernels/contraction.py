"""Tiled sums of products over strided memory: the one loop nest behind matrix products and convolutions.

A `Contraction` says where its operands lie and how to step through them; `call()` turns it into a kernel and an int64
array of addresses, sizes and strides. It is built once, when a plan is built, and replayed with a single cheap call:

    for outer:                            images, matrices of a batch, blocks of a long sum
      for inner:                          lines of an image, blocks of a sum
        for blocks of rows:               so that a's rows stay in the cache while b's columns pass
          for up to 4 vectors of columns:
            for tiles of rows:            compute_tile
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
from distkeras.kernels.tile import compute_tile

# The job's int64 fields after those that tiles read (tile.DEPTH to tile.B_TAPS).
FIRST = tile.B_TAPS + 1
A, B, C, BIAS, FLAGS, ROWS, COLUMNS, ROW_BLOCK = range(FIRST, FIRST + 8)
A_ROW, A_TABLE_ROW, A_TABLE, C_ROW, C_TABLE_ROW, C_TABLE = range(FIRST + 8, FIRST + 14)
OUTER, A_OUTER, B_OUTER, C_OUTER, INNER, A_INNER, B_INNER, C_INNER = range(FIRST + 14, FIRST + 22)

VECTOR_BYTES, MAX_VECTORS, MASKED = HOST.vector_bytes, HOST.max_vectors, HOST.masked
TILE_ROWS = np.array(HOST.tile_rows, np.int64)
ACCUMULATE = tile.ACCUMULATE

# Rows of a and out done before the next columns: near 256 kB of both, which stay in a second-level cache of 1 to 2 MB.
ROW_BLOCK_BYTES, LEAST_ROW_BLOCK = 1 << 18, 48
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
        row_bytes = (taps_a.size * self.depth + self.columns) * self.out.itemsize
        a_rows, a_table = _row_steps(self.a_row, self.a_rows)
        out_rows, out_table = _row_steps(self.out_row, self.out_rows)
        numbers = [
            *(self.depth, taps_a.size, self.a_step, self.b_step, address(taps_a), address(taps_b)),
            *(address(self.a) + self.a_start, address(self.b) + self.b_start, address(self.out) + self.out_start),
            0 if self.bias is None else address(self.bias),
            tile.ACCUMULATE * self.accumulate + tile.RELU * self.relu,
            *(self.rows, self.columns, max(LEAST_ROW_BLOCK, ROW_BLOCK_BYTES // max(1, row_bytes))),
            *(*a_rows, *out_rows, *self.outer, *self.inner),
        ]
        buffers = (self.a, self.b, self.out, self.bias, a_table, out_table, taps_a, taps_b)
        return keeping(numbers, buffers)


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
                flags, bias = flags & ACCUMULATE, 0
            if (sum_outer and outer > 0) or (sum_inner and inner > 0):
                flags |= ACCUMULATE
            _contract_once(out, job, a, b, c, bias, flags)


@inlined
def _contract_once(out, job, a, b, c, bias, flags):
    size, width = out.itemsize, VECTOR_BYTES // out.itemsize
    for start in range(0, job[ROWS], job[ROW_BLOCK]):
        rows = min(job[ROWS] - start, job[ROW_BLOCK])
        column = 0
        while column < job[COLUMNS]:
            vectors, lanes, count = _next_columns(job[COLUMNS] - column, width)
            shift = column * size
            # Heights differ by one at most: a last tile of one or two rows would run at a fraction of the speed.
            tiles = (rows + TILE_ROWS[vectors] - 1) // TILE_ROWS[vectors]
            height, higher = rows // tiles, rows % tiles
            row = start
            for index in range(tiles):
                here = height + 1 if index < higher else height
                tile_a, a_rows = a + row * job[A_ROW], job[A_TABLE] + row * job[A_TABLE_ROW]
                tile_c, c_rows = c + row * job[C_ROW] + shift, job[C_TABLE] + row * job[C_TABLE_ROW]
                tile_bias = bias + shift if bias != 0 else 0
                fixed = job.ctypes.data
                compute_tile(
                    out, here, vectors, fixed, tile_a, a_rows, b + shift, tile_c, c_rows, tile_bias, lanes, flags
                )
                row += here
            column += count


@inlined
def _next_columns(left, width):
    """The tile for the next columns: its vectors, the lanes of its last one, and the columns it covers."""
    vectors = (left + width - 1) // width if MASKED else left // width
    if vectors == 0:
        return 0, 1, 1
    panels = (vectors + MAX_VECTORS - 1) // MAX_VECTORS
    vectors = (vectors + panels - 1) // panels
    lanes = min(width, left - (vectors - 1) * width)
    return vectors, lanes, (vectors - 1) * width + lanes
