"""Update rules that take sums of gradients: these are made a few at a time, and used up while they are in the cache.

rows        |  ..  |==|==|==|  ..  |      gradients of all ranks of a node, which stay as they are
                    |  sum, rule          block by block, in one call
parameters         |==|==|==|             what this rank updates
"""

from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels import update
from distkeras.kernels.compile import Kernel, inlined

# Elements that are summed and updated at a time: the sums stay in the first-level cache, and what is asked for in one
# go does not hold up the arithmetic before it.
BLOCK = 128
# Bytes that are asked for ahead, of all arrays together: enough to hide how far the third-level cache is, and so few
# that they are still in the first one when they are used.
_AHEAD = 20 << 10

# A processor by itself reads ahead of so many arrays too late. What is to be written is asked for as one's own: all
# ranks have read the parameters, so that otherwise the others would be asked twice, to read and again to write.
_SOURCE = """
def {name}_of_sums(rows, first, parameters, sums, {slots}{scalars}):
    line = 64 // parameters.itemsize
    ahead = {ahead} // (rows.shape[0] + {written}) // 64 * line
    for start in range(0, parameters.size, {block}):
        stop = min(start + {block}, parameters.size)
        for index in range(start + ahead, min(stop + ahead, parameters.size), line):
            for row in range(rows.shape[0]):
                ask_to_read(rows[row], first + index)
            for array in (parameters, {slots}):
                ask_to_write(array, index)
        sums_of_rows(rows, first + start, sums[: stop - start])
        rule(parameters[start:stop], sums[: stop - start], {cut}{scalars})
"""


def _asking(is_write: bool) -> Any:
    @intrinsic
    def ask(typing_context, array, index):
        """Have the cache line of array[index] brought near, while other work is done."""

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
            kind, number = signature.args[0], ir.IntType(32)
            data = context.make_array(kind)(context, builder, arguments[0]).data
            address = builder.gep(data, [arguments[1]], source_etype=context.get_data_type(kind.dtype))
            form = ir.FunctionType(ir.VoidType(), [ir.PointerType(), number, number, number])
            name = "llvm.prefetch.p0"
            function = builder.module.globals.get(name) or ir.Function(builder.module, form, name)
            builder.call(function, [address, number(int(is_write)), number(3), number(1)])  # and keep it; data
            return context.get_dummy_value()

        return types.void(array, types.int64), generate

    return ask


def _sums_of_rows(rows, start, out):
    """out = the sum of the rows from column `start` on, in their order."""
    one = rows[0, start : start + out.size]
    if rows.shape[0] == 1:
        for i in range(out.size):
            out[i] = one[i]
        return
    other = rows[1, start : start + out.size]
    for i in range(out.size):
        out[i] = one[i] + other[i]
    for index in range(2, rows.shape[0]):
        row = rows[index, start : start + out.size]
        for i in range(out.size):
            out[i] += row[i]


def rules() -> list[Kernel]:
    """The kernels of `update` that are rules."""
    kernels = [value for value in vars(update).values() if isinstance(value, Kernel)]
    return [kernel for kernel in kernels if kernel.signature.startswith("void({t}[::1], {t}[::1], ")]


@functools.cache
def of_sums(rule: Kernel) -> Kernel:
    """`rule` for gradients of which each rank of a node has a part.

    Args:
        rule: A kernel of `update`: of parameters, gradients, slots and scalars.

    Returns:
        A kernel of rows [ranks, elements], the first of the columns that are updated, and the rule's arguments for
        these, with room for `BLOCK` elements in the place of gradients. It does what the rule would by the sum of the
        rows, added up in their order.

    >>> import numpy as np
    >>> rows, parameters = np.array([[1, 2, 3], [4, 5, 6]], np.float32), np.zeros(2, np.float32)
    >>> of_sums(update.sgd)[np.float32](rows, 1, parameters, np.empty(BLOCK, np.float32), np.float32(0.5))
    >>> parameters
    array([-3.5, -4.5], dtype=float32)
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
    names = {"__name__": __name__, "ask_to_read": _asking(False), "ask_to_write": _asking(True)}
    names |= {"rule": inlined(rule.python), "sums_of_rows": inlined(_sums_of_rows)}
    # Of this file, so that what is kept on disk changes with it and those that it imports.
    exec(compile(source, __file__, "exec"), names)
    return Kernel(names[f"{rule.__name__}_of_sums"], f"void({{t}}[:, ::1], int64, {', '.join(kinds)})")
