"""Float32 numbers as sums of three bfloat16, and where a matrix unit wants to find them.

    x = x1 + x2 + x3        8 bits each of the 24 of x: x1 is x rounded, x2 what that leaves, rounded, x3 the rest

A product of two such numbers needs six products of parts; the three that are left out, x2 y3 and smaller ones, are
below 2^-24 of it. Source: Henry, Tang and Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype for
higher-precision computations".

What is not finite, or would not be when rounded, has a part that is NaN.

Numbers are split in blocks of 32 terms of a sum by 32 rows of a or columns of b. The parts lie one after the other,
each as two tiles: rows with pairs of their terms side by side, or for b such pairs one below the other with columns
side by side. A pair is made of terms 16 apart, so that both come from vectors as they lie in memory: a sum may take its
terms in any order, if a and b agree on it.
"""

from __future__ import annotations

from llvmlite import ir

from distkeras.kernels.amx import ROW_BYTES, TILE, TILE_BYTES
from distkeras.kernels.simd import INT32, INT64, POINTER, VectorBuilder

PARTS, BLOCK = 3, 2 * TILE
PART_BYTES = 2 * TILE_BYTES
BLOCK_BYTES = PARTS * PART_BYTES
# Bytes of a block's rows as float32, one after the other.
FLOATS_ROW = 4 * BLOCK

# (part of a, part of b) in the order in which they are added up: small ones first, and one changes at a time.
PRODUCTS = ((0, 2), (0, 1), (1, 1), (1, 0), (2, 0), (0, 0))

_BITS, _KEPT = 16, 0xFFFF0000


class Splitter:
    """Writes the code that splits one block, a pair of vectors at a time, for it to be mixed with other code.

    Args:
        emit: For vectors of 16 float32.
        source: Where the block begins.
        rows: Where its rows are from there: the bytes from one to the next; of rows of a the address of 32 offsets.
        target: Where its parts go, on a cache line.
        by_rows: Its rows are rows of a, with terms side by side; else they are terms, with columns of b side by side.
        ahead: How many bytes further on another block lies that will be split soon (int64); it is prefetched.
    """

    steps = BLOCK

    def __init__(
        self,
        emit: VectorBuilder,
        source: ir.Value,
        rows: ir.Value,
        target: ir.Value,
        by_rows: bool,
        ahead: ir.Value | None = None,
    ) -> None:
        self._emit, self._source, self._rows, self._target = emit, source, rows, target
        self._by_rows, self._ahead = by_rows, ahead

    def step(self, index: int) -> None:
        """Split pair number `index` of `steps`."""
        emit, times = self._emit, self._emit.builder.mul
        if self._by_rows:
            tile, row = divmod(index, TILE)
            table = emit.builder.inttoptr(self._rows, POINTER)
            first = emit.offset(self._source, emit.field(table, index))
            second = emit.offset(first, INT64(FLOATS_ROW // 2))
        else:
            row, tile = divmod(index, 2)
            first = emit.offset(emit.offset(self._source, times(self._rows, INT64(row))), INT64(tile * FLOATS_ROW // 2))
            second = emit.offset(first, times(self._rows, INT64(TILE)))
        if self._ahead is not None:
            for pointer in (first, second):
                emit.prefetch(emit.offset(pointer, self._ahead), FLOATS_ROW // 2)
        place = tile * TILE_BYTES + row * ROW_BYTES
        for part, words in enumerate(split_pair(emit, emit.load(first), emit.load(second))):
            target = emit.offset(self._target, INT64(part * PART_BYTES + place))
            emit.builder.store(words, target, align=ROW_BYTES)
            if self._ahead is not None:  # parts of many lines go beyond the first-level cache: 6 % for whole products
                emit.prefetch(emit.offset(target, INT64(BLOCK_BYTES)), ROW_BYTES, write=True)


def split_pair(emit: VectorBuilder, first: ir.Value, second: ir.Value) -> list[ir.Value]:
    """The parts of two vectors, as vectors of words: bfloat16 of the first in the lower half, of the second above."""
    build, kind = emit.builder, ir.VectorType(INT32, emit.lanes)
    half, shift, kept = (ir.Constant(kind, [bits] * emit.lanes) for bits in (1 << (_BITS - 1), _BITS, _KEPT))
    words = []
    for _ in range(PARTS - 1):
        low, high = (build.add(build.bitcast(value, kind), half) for value in (first, second))
        upper = build.and_(high, kept)
        words.append(build.or_(build.lshr(low, shift), upper))
        first = build.fsub(first, build.bitcast(build.and_(low, kept), emit.vector))
        second = build.fsub(second, build.bitcast(upper, emit.vector))
    # The last part fills no more than the upper half of a float.
    low, high = (build.bitcast(value, kind) for value in (first, second))
    return [*words, build.or_(build.lshr(low, shift), high)]
