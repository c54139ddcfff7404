"""Contractions of float32 on a matrix unit that multiplies bfloat16: numbers are split in three, as `split` explains.

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

import functools
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
    multiply_blocks,
    split_and_multiply_blocks,
    split_block,
)
from distkeras.kernels.amx_memory import block_memory, copy_part, load_float, load_integer, new_floats, on_a_line
from distkeras.kernels.compile import Calls, Scratch, inlined, kernel
from distkeras.kernels.contraction import Contraction, address, keeping
from distkeras.kernels.simd import HOST
from distkeras.kernels.split import BLOCK, BLOCK_BYTES, FLOATS_ROW

# The job's int64 fields; strides and offsets are in bytes. What is not the panel is split strip by strip: see above.
A, B, C, BIAS, FLAGS, ROWS, COLUMNS, BLOCKS, TAIL, BLOCKS_SUMMED, B_STEP, A_OFFSETS, B_OFFSETS = range(13)
A_ROW, A_TABLE_ROW, A_TABLE, C_ROW, C_TABLE_ROW, C_TABLE = range(13, 19)
OUTER, A_OUTER, C_OUTER, PANEL_IS_B, PANEL, PANEL_LINES, IS_SPLIT, STRIP, PART_TABLE = range(19, 28)

# Sums begin anew after so many blocks of 32 terms, or near.
BLOCKS_SUMMED_NEAR = 8
# A panel in the second-level cache, with room for what passes by.
PANEL_BYTES = 1 << 20
# What is smaller in one of these is not worth the splitting.
LEAST_DEPTH, LEAST_COLUMNS, LEAST_WEIGHTS, LEAST_ROWS = 32, 32, 1 << 14, 16
# With so many rows, less will do: b is split once for all of them.
MANY_ROWS, LEAST_WEIGHTS_OF_MANY = 256, 1 << 11

_TILE, _SIZE = BLOCK // 2, 4


def pays(columns: int, depth: int, dtype: Any, rows: int = LEAST_ROWS) -> bool:
    """Whether products of that many rows with a [depth, columns] are faster so; false where there is no such unit."""
    least = LEAST_WEIGHTS if rows < MANY_ROWS else LEAST_WEIGHTS_OF_MANY
    is_large = depth >= LEAST_DEPTH and columns >= LEAST_COLUMNS and depth * columns >= least and rows >= LEAST_ROWS
    return HOST.matrix_unit and is_large and np.dtype(dtype) == np.float32


@dataclass(frozen=True)
class SplitProduct:
    """A contraction of float32, by the matrix unit.

    Attributes:
        whole: What to compute. Elements of a row of a lie side by side, and so do columns of b; with several taps there
            are whole blocks of 32 terms in each; only `outer` is repeated, with one b, nothing accumulated.
        panel, strip: memory that several products share: see `with_split_b`.
    """

    whole: Contraction
    panel: np.ndarray | None = None
    strip: np.ndarray | None = None

    def with_split_b(self, scratch: Scratch) -> tuple[Calls, SplitProduct]:
        """The call that splits b, and a product that relies on it, perhaps of other rows."""
        whole = self.whole
        panel = block_memory(scratch, _block_count(whole) * _blocks(whole.columns))
        shared = replace(self, panel=panel, strip=block_memory(scratch, blocks_summed(_block_count(whole))))
        return [(split_panel[np.float32], (shared._job(panel, shared.strip, whole.columns),))], shared

    def calls(self, scratch: Scratch) -> Calls:
        """The calls that compute it; `scratch(shape, dtype)` lends memory for their time."""
        whole, panel, strip, lines = self.whole, self.panel, self.strip, self.whole.columns
        if panel is None:
            blocks = blocks_summed(_block_count(whole))
            most = max(1, PANEL_BYTES // (blocks * BLOCK_BYTES))
            lines = BLOCK * min(most, _blocks(min(whole.rows, whole.columns)))
            panel, strip = (block_memory(scratch, blocks * count) for count in (_blocks(lines), 1))
        again, lists = self._again()
        return [
            (multiply_split[np.float32], (self._job(panel, strip, lines), again, lists)),
            (contraction.contract[np.float32], (whole.out.reshape(-1), again)),
        ]

    def _job(self, panel: np.ndarray, strip: np.ndarray, lines: int) -> np.ndarray:
        whole, bias = self.whole, self.whole.bias
        blocks = _block_count(whole)
        flags = BIASED * (bias is not None) + RELU * whole.relu
        offsets_a = _block_offsets(whole.taps_a, whole.depth, FLOATS_ROW)
        offsets_b = _block_offsets(whole.taps_b, whole.depth, BLOCK * whole.b_step)
        a_rows, c_rows, part = (
            _rows(whole.a_row, whole.a_rows),
            _rows(whole.out_row, whole.out_rows),
            _table(FLOATS_ROW),
        )
        count, a_outer, _, c_outer = whole.outer
        numbers = [
            *(address(whole.a) + whole.a_start, address(whole.b) + whole.b_start, address(whole.out) + whole.out_start),
            *(0 if bias is None else address(bias), flags, whole.rows, whole.columns, blocks),
            *(whole.depth - (_blocks(whole.depth) - 1) * BLOCK, blocks_summed(blocks), whole.b_step),
            *(address(offsets_a), address(offsets_b), *a_rows[:2], address(a_rows[2]), *c_rows[:2], address(c_rows[2])),
            *(count, a_outer, c_outer, self.panel is not None or whole.rows > whole.columns),
            *(on_a_line(panel), lines, self.panel is not None, on_a_line(strip), address(part)),
        ]
        buffers = (whole.a, whole.b, whole.out, bias, panel, strip, offsets_a, offsets_b, a_rows[2], c_rows[2], part)
        return keeping(numbers, buffers)

    def _again(self) -> tuple[np.ndarray, np.ndarray]:
        """The job of a contraction for rows yet to be found, and the list of where these lie in a and in out."""
        lists = np.zeros((2, self.whole.rows * self.whole.outer[0]), np.int64)
        rows = replace(self.whole, rows=lists.shape[1], a_rows=lists[0], out_rows=lists[1], outer=(1, 0, 0, 0))
        return rows.job(), lists


def _blocks(count: int) -> int:
    return -(-count // BLOCK)


def _block_count(whole: Contraction) -> int:
    return whole.taps_a.size * _blocks(whole.depth)


def blocks_summed(blocks: int) -> int:
    """After how many of so many blocks of terms sums begin anew."""
    return -(-blocks // max(1, round(blocks / BLOCKS_SUMMED_NEAR)))


def _block_offsets(taps: np.ndarray, depth: int, step: int) -> np.ndarray:
    return np.add.outer(taps, np.arange(_blocks(depth), dtype=np.int64) * step).reshape(-1)


def _rows(stride: int, offsets: np.ndarray | None) -> tuple[int, int, np.ndarray]:
    """Bytes per row; bytes per row in the table of offsets; that table."""
    return (stride, 0, _table(stride)) if offsets is None else (0, 8, offsets)


@functools.lru_cache(maxsize=1024)
def _table(stride: int) -> np.ndarray:
    return np.arange(BLOCK, dtype=np.int64) * stride


@kernel("void(int64[::1])")
def split_panel(job):
    """Split all of b."""
    part = new_floats()
    for first in range(0, job[BLOCKS], job[BLOCKS_SUMMED]):
        _split_panel(job, job[B], 0, job[COLUMNS], first, min(job[BLOCKS] - first, job[BLOCKS_SUMMED]), part)


@kernel("void(int64[::1], int64[::1], int64[:, ::1])")
def multiply_split(job, again, lists):
    """Run a `SplitProduct`'s job; `again` is to do the rows that are not finite, listed in `lists`."""
    begin_tiles()
    sums, part = new_floats(), new_floats()
    lines = job[COLUMNS] if job[PANEL_IS_B] else job[ROWS]
    trouble = 0
    for outer in range(job[OUTER]):
        a, c = job[A] + outer * job[A_OUTER], job[C] + outer * job[C_OUTER]
        for first in range(0, job[BLOCKS], job[BLOCKS_SUMMED]):
            blocks = min(job[BLOCKS] - first, job[BLOCKS_SUMMED])
            for line in range(0, lines, job[PANEL_LINES]):
                here = min(lines - line, job[PANEL_LINES])
                if not job[IS_SPLIT]:
                    _split_panel(job, job[B] if job[PANEL_IS_B] else a, line, here, first, blocks, part)
                trouble |= _multiply_panel(job, a, c, line, here, first, blocks, sums, part)
    end_tiles()
    again[contraction.ROWS] = _list_rows(job, lists) if trouble else 0


@inlined
def _lines(job, is_a, start, line):
    """Where the lines of an operand from `line` on begin: an address, and the table or the stride of its rows.

    A line is a row of a, or a column of b.
    """
    if is_a:
        return start + line * job[A_ROW], job[A_TABLE] + line * job[A_TABLE_ROW]
    return start + _SIZE * line, job[B_STEP]


@inlined
def _panel(job, line, first, blocks):
    """Where parts of the panel's lines from `line` on lie: some blocks of all lines come before the next blocks."""
    before = first * ((job[PANEL_LINES] + BLOCK - 1) // BLOCK) if job[IS_SPLIT] else 0
    return job[PANEL] + (before + line // BLOCK * blocks) * BLOCK_BYTES


@inlined
def _split_panel(job, start, first_line, lines, first, blocks, part):
    is_a = 0 if job[PANEL_IS_B] else 1
    for line in range(0, lines, BLOCK):
        begin, rows = _lines(job, is_a, start, first_line + line)
        target = _panel(job, line, first, blocks)
        _split_lines(job, is_a, begin, rows, min(lines - line, BLOCK), first, blocks, target, part)


@inlined
def _split_lines(job, is_a, begin, rows, lines, first, blocks, target, part):
    """Split some blocks of up to 32 lines of an operand; what is missing is zero."""
    offsets = job[A_OFFSETS] if is_a else job[B_OFFSETS]
    for block in range(first, first + blocks):
        source, terms = begin + load_integer(offsets + 8 * block), _terms(job, block)
        if terms < BLOCK or lines < BLOCK:
            copy_part(is_a, source, rows, lines if is_a else terms, terms if is_a else lines, part)
            split_block(is_a, part, job[PART_TABLE] if is_a else FLOATS_ROW, target)
        else:
            split_block(is_a, source, rows, target)
        target += BLOCK_BYTES


@inlined
def _terms(job, block):
    return job[TAIL] if block == job[BLOCKS] - 1 else BLOCK


@inlined
def _multiply_panel(job, a, c, panel_line, panel_lines, first, blocks, sums, part):
    """Add up some blocks of terms of what all of the other operand gives with the panel; not 0 if one is not finite."""
    is_a = job[PANEL_IS_B]
    start = a if is_a else job[B]
    offsets, step = (job[A_OFFSETS], FLOATS_ROW) if is_a else (job[B_OFFSETS], BLOCK * job[B_STEP])
    offsets += 8 * first
    terms = _terms(job, first + blocks - 1)
    flags = job[FLAGS] if first + blocks == job[BLOCKS] else 0
    if first > 0:
        flags |= ACCUMULATE
    ring = 3 if panel_lines <= BLOCK else -1
    count = job[ROWS] if is_a else job[COLUMNS]
    trouble = 0
    for line in range(0, count, BLOCK):
        lines = min(count - line, BLOCK)
        begin, rows = _lines(job, is_a, start, line)
        last, last_rows = begin + load_integer(offsets + 8 * (blocks - 1)), rows
        if lines < BLOCK:
            _split_lines(job, is_a, begin, rows, lines, first, blocks, job[STRIP], part)
        elif terms < BLOCK:
            copy_part(is_a, last, rows, BLOCK if is_a else terms, terms if is_a else BLOCK, part)
            last, last_rows = part, job[PART_TABLE] if is_a else FLOATS_ROW
        for other in range(0, panel_lines, BLOCK):
            others, panel = min(panel_lines - other, BLOCK), _panel(job, other, first, blocks)
            height, width = (lines, others) if is_a else (others, lines)
            if other == 0 and lines == BLOCK:
                split_and_multiply_blocks(
                    is_a, 2 if others > _TILE else 1, job[STRIP], panel, blocks, sums,
                    begin, rows, offsets, step, last, last_rows, ring,
                )  # fmt: skip
            else:
                left, right = (job[STRIP], panel) if is_a else (panel, job[STRIP])
                multiply_blocks(2 if height > _TILE else 1, 2 if width > _TILE else 1, left, right, blocks, sums)
            row, column = (line, panel_line + other) if is_a else (panel_line + other, line)
            place, out_rows = c + row * job[C_ROW] + _SIZE * column, job[C_TABLE] + row * job[C_TABLE_ROW]
            trouble |= finish_sums(sums, place, out_rows, height, width, job[BIAS] + _SIZE * column, flags)
    return trouble


@inlined
def _list_rows(job, lists):
    """Where the rows that are not finite lie in a and in out; how many they are."""
    count = 0
    for outer in range(job[OUTER]):
        for row in range(job[ROWS]):
            in_a = outer * job[A_OUTER] + row * job[A_ROW] + load_integer(job[A_TABLE] + row * job[A_TABLE_ROW])
            in_c = outer * job[C_OUTER] + row * job[C_ROW] + load_integer(job[C_TABLE] + row * job[C_TABLE_ROW])
            is_finite = True
            for column in range(job[COLUMNS]):
                value = load_float(job[C] + in_c + _SIZE * column)
                is_finite = is_finite and abs(value) <= np.finfo(np.float32).max
            if not is_finite:
                lists[0, count], lists[1, count] = in_a, in_c
                count += 1
    return count
