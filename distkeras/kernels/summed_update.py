"""Update rules that take sums of gradients: these are made a few at a time, and used up while they are in the cache.

rows        |  ..  |==|==|==|  ..  |      gradients of all ranks of a node
                    |  sum, rule          block by block, in one call
parameters         |==|==|==|             what this rank updates
"""

from __future__ import annotations

import functools

from distkeras.kernels import update
from distkeras.kernels.compile import Kernel, inlined

# Elements that are summed and updated at a time: they and their slots stay in the first-level cache.
BLOCK = 512

_SOURCE = """
def {name}_of_sums(rows, own, first, parameters, gradients, {slots}{scalars}):
    for start in range(0, parameters.size, {block}):
        stop = min(start + {block}, parameters.size)
        sum_rows_into(rows, own, first + start, first + stop)
        rule(parameters[start:stop], gradients[start:stop], {cut}{scalars})
"""


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
    names = {"__name__": __name__, "rule": inlined(rule.python), "sum_rows_into": inlined(update.sum_rows_into.python)}
    # Of this file, so that what is kept on disk changes with it and those that it imports.
    exec(compile(source, __file__, "exec"), names)
    return Kernel(names[f"{rule.__name__}_of_sums"], f"void({{t}}[:, ::1], int64, int64, {', '.join(kinds)})")
