"""Update rules that take sums of gradients: these are made a few at a time, and used up while they are in the cache.

rows        |  ..  |==|==|==|  ..  |      gradients of all ranks of a node
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

# Elements that are summed and updated at a time: they and their slots stay in the first-level cache.
BLOCK = 512

# All ranks have read the parameters, so that no core may write to them before it has asked the others. Asked when the
# rule reads them, and again when it writes, that is most of the time of an update: here they are asked a block ahead.
_SOURCE = """
def {name}_of_sums(rows, own, first, parameters, gradients, {slots}{scalars}):
    for start in range(0, parameters.size, {block}):
        stop = min(start + {block}, parameters.size)
        for index in range(stop, min(stop + {block}, parameters.size), 64 // parameters.itemsize):
            own_line(parameters, index)
        sum_rows_into(rows, own, first + start, first + stop)
        rule(parameters[start:stop], gradients[start:stop], {cut}{scalars})
"""


@intrinsic
def _own_line(typing_context, array, index):
    """Ask for the cache line of array[index], to write to it."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        kind, number = signature.args[0], ir.IntType(32)
        data = context.make_array(kind)(context, builder, arguments[0]).data
        address = builder.gep(data, [arguments[1]], source_etype=context.get_data_type(kind.dtype))
        form = ir.FunctionType(ir.VoidType(), [ir.PointerType(), number, number, number])
        name = "llvm.prefetch.p0"
        function = builder.module.globals.get(name) or ir.Function(builder.module, form, name)
        builder.call(function, [address, number(1), number(3), number(1)])  # to write, and keep; data
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


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
        A kernel of rows [ranks, elements], this rank's row, the first of the columns that are updated, and the rule's
        arguments for these, with `gradients` lying in this rank's row. It does what `update.sum_rows_into` and then
        the rule would.

    >>> import numpy as np
    >>> rows, parameters = np.array([[1, 2, 3], [4, 5, 6]], np.float32), np.zeros(2, np.float32)
    >>> of_sums(update.sgd)[np.float32](rows, 0, 1, parameters, rows[0, 1:], np.float32(0.5))
    >>> parameters
    array([-3.5, -4.5], dtype=float32)
    """
    kinds = rule.signature.removeprefix("void(").removesuffix(")").split(", ")
    arrays = [f"slot_{place}" for place, kind in enumerate(kinds) if kind.endswith("]")][2:]
    source = _SOURCE.format(
        name=rule.__name__,
        block=BLOCK,
        slots="".join(f"{name}, " for name in arrays),
        cut="".join(f"{name}[start:stop], " for name in arrays),
        scalars=", ".join(f"scalar_{place}" for place, kind in enumerate(kinds) if not kind.endswith("]")),
    )
    names = {"__name__": __name__, "own_line": _own_line, "rule": inlined(rule.python)}
    names["sum_rows_into"] = inlined(update.sum_rows_into.python)
    # Of this file, so that what is kept on disk changes with it and those that it imports.
    exec(compile(source, __file__, "exec"), names)
    return Kernel(names[f"{rule.__name__}_of_sums"], f"void({{t}}[:, ::1], int64, int64, {', '.join(kinds)})")
