"""Update rules that take sums of gradients: these are made a few at a time, and used up while they are in the cache.

rows        |  ..  |==|==|==|  ..  |      what is added up, in memory of the node, which stays as it is
                    |  sum, rule          block by block, in one call
parameters         |==|==|==|             what this rank updates
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels import update
from distkeras.kernels.compile import Kernel, inlined
from distkeras.kernels.copy import copy_flat
from distkeras.kernels.simd import VectorBuilder
from distkeras.kernels.tree_sum import BLOCK, most_waiting, sum_of_columns

# Bytes that are asked for ahead, of all arrays together: enough to hide how far the third-level cache is, and so few
# that they are still in the first one when they are used.
_AHEAD = 20 << 10

# A processor by itself reads ahead of so many arrays too late. What is to be written is asked for as one's own: all
# ranks have read the parameters, so that otherwise the others would be asked twice, to read and again to write.
_SOURCE = """
def {name}_of_sums(rows, pieces, ends, room, parameters, gradients, {slots}{scalars}):
    line = 64 // parameters.itemsize
    ahead = {ahead} // (rows.shape[0] + {written}) // 64 * line
    piece, sums = 0, room[room.shape[0] - 1]
    for start in range(0, parameters.size, {block}):
        stop = min(start + {block}, parameters.size)
        for index in range(start + ahead, min(stop + ahead, parameters.size), line):
            for array in (parameters, {slots}):
                ask_to_write(array, index)
        piece = make_sums(rows, pieces, piece, ends, room, gradients, sums, start, stop, ahead)
        rule(parameters[start:stop], sums[: stop - start], {cut}{scalars})
"""

# Columns of the table of pieces: where a piece begins and ends among what is updated, and its first column in the rows.
_START, _STOP, _COLUMN = range(3)


@intrinsic
def _ask_to_write(typing_context, array, index):
    """Have the cache line of array[index] brought near to be written, while other work is done."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        kind = signature.args[0]
        data = context.make_array(kind)(context, builder, arguments[0]).data
        emit = VectorBuilder(builder, context.get_data_type(kind.dtype), 1)
        place = builder.gep(data, [arguments[1]], source_etype=emit.element)
        emit.prefetch(place, emit.element_bytes, write=True)
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


_copy = inlined(copy_flat.python)


@inlined
def _make_sums(rows, pieces, piece, ends, room, gradients, sums, start, stop, ahead):
    """sums = the gradients from `start` to `stop`; the piece to go on with."""
    place = start
    while place < stop:
        end = stop
        if piece < pieces.shape[0] and pieces[piece, _START] <= place:
            end = min(stop, pieces[piece, _STOP])
            column = pieces[piece, _COLUMN] + place - pieces[piece, _START]
            sum_of_columns(rows, column, ends, room, sums, place - start, end - place, ahead)
            piece += end == pieces[piece, _STOP]
        else:
            if piece < pieces.shape[0]:
                end = min(stop, pieces[piece, _START])
            _copy(gradients[place:end], sums[place - start : end - start])
        place = end
    return piece


def rules() -> list[Kernel]:
    """The kernels of `update` that are rules."""
    kernels = [value for value in vars(update).values() if isinstance(value, Kernel)]
    return [kernel for kernel in kernels if kernel.signature.startswith("void({t}[::1], {t}[::1], ")]


@functools.cache
def of_sums(rule: Kernel) -> Kernel:
    """`rule` for gradients that are sums of rows that the ranks of a node see.

    Args:
        rule: A kernel of `update`: of parameters, gradients, slots and scalars.

    Returns:
        A kernel of rows [rows, columns]; pieces [pieces, 3], for each range of what is updated that is summed where it
        starts and stops and its first column in the rows, in order; `ends` as `tree_sum` takes them and room as there,
        one row longer; and the rule's arguments, whose gradients are taken between the pieces. It does what the rule
        would.

    >>> import numpy as np
    >>> rows, parameters = np.array([[1, 2, 3], [4, 5, 6]], np.float32), np.zeros(3, np.float32)
    >>> pieces, ends, room = np.array([[0, 2, 1]]), np.array([0, 1]), np.empty((2, BLOCK), np.float32)
    >>> sgd, given = of_sums(update.sgd)[np.float32], np.full(3, 100, np.float32)
    >>> sgd(rows, pieces, ends, room, parameters, given, np.float32(0.5))
    >>> parameters
    array([ -3.5,  -4.5, -50. ], dtype=float32)
    """
    kinds = rule.signature.removeprefix("void(").removesuffix(")").split(", ")
    arrays = [f"slot_{place}" for place, kind in enumerate(kinds) if kind.endswith("]")][2:]
    source = _SOURCE.format(
        name=rule.__name__,
        block=BLOCK,
        ahead=_AHEAD,
        written=1 + len(arrays),
        slots="".join(f"{name}, " for name in arrays),
        cut="".join(f"{name}[start:stop], " for name in arrays),
        scalars=", ".join(f"scalar_{place}" for place, kind in enumerate(kinds) if not kind.endswith("]")),
    )
    names = {"__name__": __name__, "ask_to_write": _ask_to_write}
    names |= {"rule": inlined(rule.python), "make_sums": _make_sums}
    # Of this file, so that what is kept on disk changes with it and those that it imports.
    exec(compile(source, __file__, "exec"), names)
    signature = f"void({{t}}[:, ::1], int64[:, ::1], int64[::1], {{t}}[:, ::1], {', '.join(kinds)})"
    return Kernel(names[f"{rule.__name__}_of_sums"], signature)


def rule_of_sums(
    rule: Kernel, rows: np.ndarray, pieces: Sequence[tuple[int, int, int]], ends: np.ndarray, arguments: Sequence[Any]
) -> tuple[Callable, tuple]:
    """The call of `of_sums(rule)`: `pieces` as a list, `arguments` those of the rule."""
    room = np.empty((most_waiting(ends) + 1, BLOCK), rows.dtype)
    table = np.array(pieces, np.int64).reshape(-1, 3)
    return of_sums(rule)[rows.dtype], (rows, table, ends, room, *arguments)


def rule_of_whole(rule: Kernel, arrays: Sequence[np.ndarray], scalars: Sequence[Any]) -> tuple[Callable, tuple]:
    """The same where the gradients are there: compiled by itself, the rule might round otherwise.

    Args:
        rule: The rule.
        arrays: Parameters, gradients and slots.
        scalars: The rest of its arguments.
    """
    return rule_of_sums(rule, arrays[1][np.newaxis], [], np.zeros(0, np.int64), [*arrays, *scalars])
