"""Float32 products on a matrix unit that multiplies bfloat16: each number is split in three, as `split` explains.

    for blocks of the sum, near 256 terms:      sums begin anew, which keeps rounding errors small
      for panels of the smaller operand:        split once, for all of the other
        for 32 rows or columns of the other:    split while they are multiplied with the panel's first block
          for blocks of the panel:              multiply_blocks, finish_sums

The sum of an element takes its terms in an order that depends on their number alone. Its error is that of the tiles of
`contraction`, or less. What has a NaN, an infinity or a number that bfloat16 cannot hold among its terms comes out as
NaN here, whatever it should be; rows with such sums are computed once more, by tiles. Numbers below 2^-102 keep fewer
digits, as the unit counts what is below 2^-126 as zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from distkeras.kernels import contraction
from distkeras.kernels.amx_block import (
    ACCUMULATE,
    BIASED,
    RELU,
    begin_tiles,
    end_tiles,
    finish_sums,
    load_float,
    multiply_blocks,
    new_floats,
    split_and_multiply_blocks,
    split_block,
    store_float,
)
from distkeras.kernels.compile import Calls, Scratch, inlined, kernel
from distkeras.kernels.contraction import Contraction, address, keeping
from distkeras.kernels.simd import HOST
from distkeras.kernels.split import BLOCK, BLOCK_BYTES, FLOATS_ROW

# The job's int64 fields. Addresses and strides are in bytes; "outer" is the operand that is split block by block.
A, A_ROW, B, B_ROW, C, C_ROW, BIAS, FLAGS, ROWS, COLUMNS, DEPTH, DEPTH_BLOCK = range(12)
OUTER_IS_A, PANEL, PANEL_LINES, IS_SPLIT, STRIP = range(12, 17)

# Sums begin anew after so many terms, or near.
SUMMED_TERMS = 256
# A panel in the second-level cache, with room for what passes by.
PANEL_BYTES = 1 << 20
# What is smaller in one of these is not worth the splitting.
LEAST_DEPTH, LEAST_COLUMNS, LEAST_WEIGHTS, LEAST_ROWS = 32, 32, 1 << 14, 16

_TILE, _LINE = BLOCK // 2, 64


def pays(columns: int, depth: int, dtype: Any) -> bool:
    """Whether products of many rows with a [depth, columns] are faster so; always false where there is no such unit."""
    is_large = depth >= LEAST_DEPTH and columns >= LEAST_COLUMNS and depth * columns >= LEAST_WEIGHTS
    return HOST.matrix_unit and is_large and np.dtype(dtype) == np.float32


@dataclass(frozen=True)
class SplitProduct:
    """out[m, n] = sum over k of a[m, k] * b[k, n], plus a bias, cut at zero: float32, all C-contiguous.

    Attributes:
        a, b, out: [m, k], [k, n], [m, n].
        bias: [n], or None for none.
        relu: cut at zero, after the bias.
        panel, strip: memory that several products share: see `with_split_b`.
    """

    a: np.ndarray
    b: np.ndarray
    out: np.ndarray
    bias: np.ndarray | None = None
    relu: bool = False
    panel: np.ndarray | None = None
    strip: np.ndarray | None = None

    def with_split_b(self, scratch: Scratch) -> tuple[Calls, SplitProduct]:
        """The call that splits b, and the product for some rows of a at a time that relies on it."""
        depth, columns = self.b.shape
        panel = _memory(scratch, _blocks(depth) * _blocks(columns))
        strip = _memory(scratch, _blocks(_depth_block(depth)))
        shared = replace(self, panel=panel, strip=strip)
        return [(split_panel[np.float32], (shared._job(panel, strip, columns),))], shared

    def calls(self, scratch: Scratch) -> Calls:
        """The calls that compute it; `scratch(shape, dtype)` lends memory for their time."""
        (rows, columns), depth = self.out.shape, self.b.shape[0]
        panel, strip, lines, block = self.panel, self.strip, columns, _depth_block(depth)
        if panel is None:
            most = PANEL_BYTES // (_blocks(block) * BLOCK_BYTES)
            lines = BLOCK * max(1, min(most, _blocks(min(rows, columns))))
            panel, strip = (_memory(scratch, _blocks(block) * count) for count in (_blocks(lines), 1))
        job = self._job(panel, strip, lines)
        again, lists = self._again()
        return [
            (multiply_split[np.float32], (self.out, job, again, lists)),
            (contraction.contract[np.float32], (self.out.reshape(-1), again)),
        ]

    def _job(self, panel: np.ndarray, strip: np.ndarray, lines: int) -> np.ndarray:
        a, b, out, bias = self.a, self.b, self.out, self.bias
        rows, columns = out.shape
        flags = BIASED * (bias is not None) + RELU * self.relu
        numbers = [
            *(address(a), a.strides[0], address(b), b.strides[0], address(out), out.strides[0]),
            *(0 if bias is None else address(bias), flags, rows, columns, b.shape[0], _depth_block(b.shape[0])),
            *(self.panel is not None or rows > columns, _on_a_line(panel), lines, self.panel is not None),
            _on_a_line(strip),
        ]
        return keeping(numbers, (a, b, out, bias, panel, strip))

    def _again(self) -> tuple[np.ndarray, np.ndarray]:
        """The job of a contraction for rows yet to be found, and the list of where these lie in a and in out."""
        (rows, columns), depth, size = self.out.shape, self.b.shape[0], self.out.itemsize
        lists = np.zeros((2, rows), np.int64)
        product = Contraction(
            a=self.a,
            b=self.b,
            out=self.out,
            rows=rows,
            columns=columns,
            depth=depth,
            a_step=size,
            b_step=self.b.strides[0],
            a_rows=lists[0],
            out_rows=lists[1],
            bias=self.bias,
            relu=self.relu,
        )
        return product.job(), lists


def _blocks(count: int) -> int:
    return -(-count // BLOCK)


def _depth_block(depth: int) -> int:
    """Terms of a sum before it begins anew: a whole number of blocks."""
    pieces = max(1, round(depth / SUMMED_TERMS))
    return _blocks(-(-depth // pieces)) * BLOCK


def _memory(scratch: Scratch, blocks: int) -> np.ndarray:
    return scratch(((blocks * BLOCK_BYTES + _LINE) // 4,), np.float32)


def _on_a_line(memory: np.ndarray) -> int:
    return -(-address(memory) // _LINE) * _LINE


@kernel("void(int64[::1])")
def split_panel(job):
    """Split all of b."""
    rest = new_floats()
    for k in range(0, job[DEPTH], job[DEPTH_BLOCK]):
        depth = min(job[DEPTH] - k, job[DEPTH_BLOCK])
        _split_panel(job, 0, job[COLUMNS], k, depth, rest)


@kernel("void({t}[:, ::1], int64[::1], int64[::1], int64[:, ::1])")
def multiply_split(out, job, again, lists):
    """Run a `SplitProduct`'s job; `again` is to do the rows that are not finite, listed in `lists`."""
    begin_tiles()
    sums, rest = new_floats(), new_floats()
    count = job[COLUMNS] if job[OUTER_IS_A] else job[ROWS]
    trouble = 0
    for k in range(0, job[DEPTH], job[DEPTH_BLOCK]):
        depth = min(job[DEPTH] - k, job[DEPTH_BLOCK])
        for first in range(0, count, job[PANEL_LINES]):
            lines = min(count - first, job[PANEL_LINES])
            if not job[IS_SPLIT]:
                _split_panel(job, first, lines, k, depth, rest)
            trouble |= _multiply_panel(job, first, lines, k, depth, sums, rest)
    end_tiles()
    again[contraction.ROWS] = _list_rows(out, job, lists) if trouble else 0


@inlined
def _operand(job, is_a):
    """Where an operand lies, the bytes between its rows, and those from one line to the next and one term to the next.

    A line is a row of a, or a column of b.
    """
    if is_a:
        return job[A], job[A_ROW], job[A_ROW], 4
    return job[B], job[B_ROW], 4, job[B_ROW]


@inlined
def _panel(job, line, k, depth):
    """Where parts lie of the panel's lines from `line` on: all of one block of terms, then all of the next."""
    start = k * ((job[PANEL_LINES] + BLOCK - 1) // BLOCK) if job[IS_SPLIT] else 0
    return job[PANEL] + (start + line * ((depth + BLOCK - 1) // BLOCK)) * (BLOCK_BYTES // BLOCK)


@inlined
def _split_panel(job, first, lines, k, depth, rest):
    is_a = 0 if job[OUTER_IS_A] else 1
    source, row, to_line, to_term = _operand(job, is_a)
    for line in range(0, lines, BLOCK):
        begin = source + (first + line) * to_line + k * to_term
        _split_lines(is_a, begin, row, min(lines - line, BLOCK), depth, _panel(job, line, k, depth), rest)


@inlined
def _split_lines(by_rows, source, row, lines, depth, target, rest):
    """Split up to 32 lines of an operand; what is missing of a block is zero."""
    to_block = FLOATS_ROW if by_rows else BLOCK * row
    for term in range(0, depth, BLOCK):
        terms = min(depth - term, BLOCK)
        if terms < BLOCK or lines < BLOCK:
            _copy_part(source, row, lines if by_rows else terms, terms if by_rows else lines, rest)
            split_block(by_rows, rest, FLOATS_ROW, target)
        else:
            split_block(by_rows, source, row, target)
        source += to_block
        target += BLOCK_BYTES


@inlined
def _copy_part(source, row, rows, columns, target):
    """Copy what there is of a block; zeros fill it up."""
    for i in range(BLOCK):
        for j in range(BLOCK):
            value = load_float(source + i * row + 4 * j) if i < rows and j < columns else np.float32(0)
            store_float(value, target + i * FLOATS_ROW + 4 * j)


@inlined
def _multiply_panel(job, first, lines, k, depth, sums, rest):
    """Add up some terms of what all of the outer operand gives with the panel; not 0 if something is not finite."""
    is_a = job[OUTER_IS_A]
    source, row, to_line, to_term = _operand(job, is_a)
    blocks = (depth + BLOCK - 1) // BLOCK
    tail = depth - (blocks - 1) * BLOCK
    flags = job[FLAGS] if k + depth == job[DEPTH] else 0
    if k > 0:
        flags |= ACCUMULATE
    ring = 3 if lines <= BLOCK else -1
    count = job[ROWS] if is_a else job[COLUMNS]
    trouble = 0
    for outer in range(0, count, BLOCK):
        here = min(count - outer, BLOCK)
        begin = source + outer * to_line + k * to_term
        last, last_row = begin + (blocks - 1) * BLOCK * to_term, row
        if here < BLOCK:
            _split_lines(is_a, begin, row, here, depth, job[STRIP], rest)
        elif tail < BLOCK:
            _copy_part(last, row, BLOCK if is_a else tail, tail if is_a else BLOCK, rest)
            last, last_row = rest, FLOATS_ROW
        for line in range(0, lines, BLOCK):
            inner, panel = min(lines - line, BLOCK), _panel(job, line, k, depth)
            rows, columns = (here, inner) if is_a else (inner, here)
            if line == 0 and here == BLOCK:
                split_and_multiply_blocks(
                    is_a, 2 if inner > _TILE else 1, job[STRIP], panel, blocks, sums,
                    begin, row, BLOCK * to_term, last, last_row, ring,
                )  # fmt: skip
            else:
                a, b = (job[STRIP], panel) if is_a else (panel, job[STRIP])
                multiply_blocks(2 if rows > _TILE else 1, 2 if columns > _TILE else 1, a, b, blocks, sums)
            out_row, out_column = (outer, first + line) if is_a else (first + line, outer)
            place = job[C] + out_row * job[C_ROW] + 4 * out_column
            trouble |= finish_sums(sums, place, job[C_ROW], rows, columns, job[BIAS] + 4 * out_column, flags)
    return trouble


@inlined
def _list_rows(out, job, lists):
    """Where the rows that are not finite lie in a and in out; how many they are."""
    count = 0
    for row in range(out.shape[0]):
        is_finite = True
        for column in range(out.shape[1]):
            is_finite = is_finite and abs(out[row, column]) <= np.finfo(np.float32).max
        if not is_finite:
            lists[0, count], lists[1, count] = row * job[A_ROW], row * job[C_ROW]
            count += 1
    return count
