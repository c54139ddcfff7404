"""Rows added up in the order of a tree, a few columns at a time, so that no sum of sums is written to memory.

for columns, as many as some registers hold:
  for rows:      load, add what lies on top of a stack as often as sums end with the row, put it on the stack
  store what is left
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.compile import inlined, kernel
from distkeras.kernels.simd import HOST, INT64, POINTER, VectorBuilder

# Vectors that are added up at a time, and room for as many elements: those of a sum that waits.
_VECTORS, BLOCK = 8, 128


def postfix(tree: Any) -> list[tuple[int, int]]:
    """What is added up, in order, and how many sums each is the last of.

    Args:
        tree: A number, or a pair of trees.

    >>> postfix((0, (1, 2)))
    [(0, 0), (1, 0), (2, 2)]
    """
    if isinstance(tree, int):
        return [(tree, 0)]
    *before, (last, ends) = [*postfix(tree[0]), *postfix(tree[1])]
    return [*before, (last, ends + 1)]


def most_waiting(ends: Iterable[int]) -> int:
    """How many sums there are at a time at most, those that wait for their right part and the latest.

    >>> most_waiting([0, 0, 2])
    3
    """
    return max(itertools.accumulate((1 - count for count in ends), initial=0)) + 1


@intrinsic
def _add_columns(typing_context, rows, source, row_step, ends, count, stack, target, size, ahead):
    """Write the sums of some columns; every argument after `rows`, which gives the element type, is an int64.

    Args:
        source, row_step: Where the first row's columns begin, and bytes from row to row.
        ends, count: Where it lies how many sums each row is the last of, and how many rows there are.
        stack: Where sums wait for their right part.
        target: Where the sums are written.
        size: How many columns.
        ahead: Bytes by which columns are asked for ahead.
    """
    signature = types.void(rows, *[types.int64] * 8)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        element = context.get_data_type(signature.args[0].dtype)
        _, source, row_step, ends, count, stack, target, size, ahead = arguments
        source, ends, stack, target = (builder.inttoptr(value, POINTER) for value in (source, ends, stack, target))
        lanes = HOST.vector_bytes // (8 if isinstance(element, ir.DoubleType) else 4)
        places = [source, target]
        for vectors, width in ((_VECTORS, lanes), (1, lanes), (1, 1)):
            emit, columns = VectorBuilder(builder, element, width), INT64(vectors * width)

            def add(
                _: ir.Value, places: Sequence[ir.Value], emit: VectorBuilder = emit, vectors: int = vectors
            ) -> list[ir.Value]:
                _add_vectors(emit, vectors, *places, row_step, ends, count, stack, ahead)
                return [emit.offset(place, INT64(vectors * emit.lanes * emit.element_bytes)) for place in places]

            places = emit.loop(builder.sdiv(size, columns), places, add)
            size = builder.srem(size, columns)
        return context.get_dummy_value()

    return signature, generate


def _add_vectors(
    emit: VectorBuilder, vectors: int, source: ir.Value, target: ir.Value, row_step: ir.Value, ends: ir.Value,
    count: ir.Value, stack: ir.Value, ahead: ir.Value,
) -> None:  # fmt: skip
    build, width = emit.builder, emit.lanes * emit.element_bytes
    places, entry = [INT64(i * width) for i in range(vectors)], INT64(vectors * width)

    def add_waiting(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        top, *sums = carried
        top = emit.offset(top, build.neg(entry))
        waiting = [emit.load(emit.offset(top, place)) for place in places]
        return [top, *(build.fadd(x, y) for x, y in zip(waiting, sums, strict=True))]

    def row(index: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        (top,) = carried
        here = emit.offset(source, build.mul(index, row_step))
        emit.prefetch(emit.offset(here, ahead), vectors * width)
        sums = [emit.load(emit.offset(here, place)) for place in places]
        ending = emit.field(emit.offset(ends, build.mul(index, INT64(8))), 0)
        top, *sums = emit.loop(ending, [top, *sums], add_waiting)
        for value, place in zip(sums, places, strict=True):
            emit.store(value, emit.offset(top, place))
        return [emit.offset(top, entry)]

    emit.loop(count, [stack], row)
    for place in places:
        emit.store(emit.load(emit.offset(stack, place)), emit.offset(target, place))


@inlined
def sum_of_columns(rows, first, ends, room, out, start, size, ahead):
    """out[start:] = the sums of so many columns from the first one on.

    Args:
        rows: [rows, columns].
        first: A column.
        ends: [rows]: how many sums each row is the last of; a sum is of two neighbours, each a row or a sum.
        room: [`most_waiting(ends)`, BLOCK].
        out: The sums.
        start: The place in it of the first one.
        size: How many columns.
        ahead: How many columns further on memory is asked for.
    """
    width = rows.itemsize
    _add_columns(
        rows, rows.ctypes.data + first * width, rows.shape[1] * width, ends.ctypes.data, ends.size, room.ctypes.data,
        out.ctypes.data + start * width, size, ahead * width,
    )  # fmt: skip


@kernel("void({t}[:, ::1], int64, int64[::1], {t}[:, ::1], {t}[::1])")
def add_over_tree(rows, first, ends, room, out):
    """out = the sum of the rows from column `first` on; arguments are those of `sum_of_columns`."""
    sum_of_columns(rows, first, ends, room, out, 0, out.size, 0)
