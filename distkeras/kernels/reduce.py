"""Reductions over the middle axis of [outer, n, inner] views, and the sum of squares of a flat array.

Every `lower_...(x, out, scratch)` lowers out[o, i] = the reduction of x[o, :, i] to kernel calls, to be made in order:
`for fn, args in calls: fn(*args)`. `scratch(shape, dtype)` hands out working memory. NaN in x gives NaN; over n = 0
the result is the operation's neutral element.

>>> import numpy as np
>>> x, out = np.arange(6, dtype=np.float32).reshape(1, 3, 2), np.empty((1, 2), np.float32)
>>> for fn, args in lower_sum(x, out, np.empty):
...     fn(*args)
>>> out
array([[6., 9.]], dtype=float32)

A slab x[o] is read as rows of `lanes` numbers, a multiple of `inner` that fills the vector registers however small
`inner` is; the lanes are combined at the end. Sums go over blocks of rows, then over the blocks, so that the rounding
error grows with the square root of n.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from distkeras.kernels import vmath
from distkeras.kernels.compile import Calls, Kernel, Scratch, inlined, kernel

_LANES = 256
_ROW_BLOCK = 4096
_SUM, _PROD, _MAX, _MIN = range(4)
_UFUNCS = (np.add, np.multiply, np.maximum, np.minimum)


def lower_sum(x: np.ndarray, out: np.ndarray, scratch: Scratch) -> Calls:
    """out[o, i] = sum_j x[o, j, i]; integers wrap around.

    Args:
        x: [outer, n, inner].
        out: [outer, inner], of x's dtype.
        scratch: (shape, dtype) -> working memory.
    """
    return _lower(_SUM, x, out, 0, scratch)


def lower_prod(x: np.ndarray, out: np.ndarray, scratch: Scratch) -> Calls:
    """out[o, i] = the product of x[o, :, i]; arguments as for `lower_sum`."""
    return _lower(_PROD, x, out, 1, scratch)


def lower_max(x: np.ndarray, out: np.ndarray, scratch: Scratch) -> Calls:
    """out[o, i] = the largest of x[o, :, i]; arguments as for `lower_sum`."""
    return _lower(_MAX, x, out, _limits(x.dtype)[0], scratch)


def lower_min(x: np.ndarray, out: np.ndarray, scratch: Scratch) -> Calls:
    """out[o, i] = the smallest of x[o, :, i]; arguments as for `lower_sum`."""
    return _lower(_MIN, x, out, _limits(x.dtype)[1], scratch)


def lower_any(x: np.ndarray, out: np.ndarray, scratch: Scratch) -> Calls:
    """out[o, i] = whether one of x[o, :, i] is true; x and out bool."""
    return [(np.logical_or.reduce, (x, 1, None, out))]


def lower_all(x: np.ndarray, out: np.ndarray, scratch: Scratch) -> Calls:
    """out[o, i] = whether all of x[o, :, i] are true; x and out bool."""
    return [(np.logical_and.reduce, (x, 1, None, out))]


def lower_argmax(x: np.ndarray, out: np.ndarray, scratch: Scratch) -> Calls:
    """out[o, i] = the first j at which x[o, j, i] is the largest; the first NaN wins.

    Args:
        x: [outer, n, inner].
        out: int64 [outer, inner].
        scratch: (shape, dtype) -> working memory.
    """
    return _lower_arg(_MAX, x, out, scratch)


def lower_argmin(x: np.ndarray, out: np.ndarray, scratch: Scratch) -> Calls:
    """out[o, i] = the first j at which x[o, j, i] is the smallest; arguments as for `lower_argmax`."""
    return _lower_arg(_MIN, x, out, scratch)


def _limits(dtype: np.dtype) -> tuple[Any, Any]:
    if dtype.kind in "iu":
        return np.iinfo(dtype).min, np.iinfo(dtype).max
    return -np.inf, np.inf


def _lower(operation: int, x: np.ndarray, out: np.ndarray, initial: Any, scratch: Scratch) -> Calls:
    outer, n, inner = x.shape
    initial = x.dtype.type(initial)
    if not _compilable(x.dtype):
        return [(_UFUNCS[operation].reduce, (x, 1, None, out, False, initial))]
    if not out.size:
        return []
    if inner == 1:
        rows = _ROW_KERNELS[operation][x.dtype]
        return [(rows, (x.reshape(outer, n), initial, _spoiled(operation, x.dtype), out.reshape(outer)))]
    lanes = inner * max(1, min(_LANES // inner, n))
    block = lanes * max(64, math.isqrt(n * inner // lanes))
    work = scratch((2, lanes), x.dtype)
    return [(_KERNELS[operation][x.dtype], (x.reshape(outer, n * inner), initial, block, work, out))]


def _lower_arg(operation: int, x: np.ndarray, out: np.ndarray, scratch: Scratch) -> Calls:
    if not x.shape[1]:
        raise ValueError(f"there is no extremum of no elements; received the shape {x.shape}")
    if x.shape[2] == 1 or not _compilable(x.dtype):
        # NumPy is fast along contiguous rows, and slow where neighbours belong to different results.
        return [((np.argmax if operation == _MAX else np.argmin), (x, 1, out))]
    return [(_ARG_KERNELS[operation][x.dtype], (x, scratch((x.shape[2],), x.dtype), out))]


def _spoiled(operation: int, dtype: np.dtype) -> Any:
    """The NaN that `vmath.order` puts on the side of the extremum."""
    if dtype.kind != "f":
        return dtype.type(0)
    return np.copysign(dtype.type(np.nan), dtype.type(-1 if operation == _MIN else 1))


def _compilable(dtype: np.dtype) -> bool:
    """The others go to NumPy: rare, slow to compile (small integers) or unknown to Numba (float16)."""
    return dtype in (np.float32, np.float64, np.int32, np.int64)


# --- kernels ----------------------------------------------------------------------------------------------------------


@inlined
def _combine(operation, a, b):
    if operation == _SUM:
        return a + b
    if operation == _PROD:
        return a * b
    if operation == _MAX:
        return vmath.maximum(a, b)
    return vmath.minimum(a, b)


@inlined
def _combine_row(operation, row, initial, spoiled):
    """The reduction of a row of numbers next to each other."""
    if operation == _MAX or operation == _MIN:
        return _row_extremum(operation, row, initial, spoiled)
    total = initial
    for first in range(0, row.size, _ROW_BLOCK):
        block = row[first : first + _ROW_BLOCK]
        partial = initial
        for j in range(block.size):
            partial = _combine(operation, partial, block[j])
        total = _combine(operation, total, partial)
    return total


@inlined
def _row_extremum(operation, row, initial, spoiled):
    """The extremum by integers, over which LLVM vectorises it; every NaN counts as `spoiled`."""
    best = vmath.order(initial)
    for j in range(row.size):
        value = row[j]
        key = vmath.order(spoiled if value != value else value)
        further = key > best if operation == _MAX else key < best
        best = key if further else best
    return vmath.from_order(best, initial)


@inlined
def _accumulate(operation, rows, total):
    """Combines total with rows of total.size numbers each, the last of which may be shorter."""
    lanes = total.size
    start = 0
    while start + 4 * lanes <= rows.size:
        a, b = rows[start : start + lanes], rows[start + lanes : start + 2 * lanes]
        d, e = rows[start + 2 * lanes : start + 3 * lanes], rows[start + 3 * lanes : start + 4 * lanes]
        for c in range(lanes):
            four = _combine(operation, _combine(operation, a[c], b[c]), _combine(operation, d[c], e[c]))
            total[c] = _combine(operation, total[c], four)
        start += 4 * lanes
    for first in range(start, rows.size, lanes):
        a = rows[first : first + lanes]
        for c in range(a.size):
            total[c] = _combine(operation, total[c], a[c])


@inlined
def _combine_lanes(operation, total, out):
    """out[i] = the combination of the lanes i, i + inner, i + 2 inner, ..."""
    for c in range(out.size):
        out[c] = total[c]
    for start in range(out.size, total.size, out.size):
        for c in range(out.size):
            out[c] = _combine(operation, out[c], total[start + c])


def _reduction(name: str, operation: int) -> Kernel:
    def reduce(x, initial, block, work, out):
        """out[o, i] over x [outer, n * inner], `block` numbers at a time."""
        partial, total = work[0], work[1]
        for o in range(out.shape[0]):
            row = x[o]
            for c in range(total.size):
                total[c] = initial
            for first in range(0, row.size, block):
                for c in range(total.size):
                    partial[c] = initial
                _accumulate(operation, row[first : first + block], partial)
                for c in range(total.size):
                    total[c] = _combine(operation, total[c], partial[c])
            _combine_lanes(operation, total, out[o])

    reduce.__name__ = reduce.__qualname__ = name
    return kernel("void({t}[:, ::1], {t}, int64, {t}[:, ::1], {t}[:, ::1])")(reduce)


def _row_reduction(name: str, operation: int) -> Kernel:
    def reduce_rows(x, initial, spoiled, out):
        """out[o] over x [outer, n]."""
        for o in range(x.shape[0]):
            out[o] = _combine_row(operation, x[o], initial, spoiled)

    reduce_rows.__name__ = reduce_rows.__qualname__ = name
    return kernel("void({t}[:, ::1], {t}, {t}, {t}[::1])")(reduce_rows)


def _arg_reduction(name: str, operation: int) -> Kernel:
    def arg_reduce(x, best, out):
        """out[o, i] = the first place of the extremum of x[o, :, i]."""
        for o in range(x.shape[0]):
            places = out[o]
            places[:] = 0
            for j in range(x.shape[1]):
                values = x[o, j]
                for c in range(values.size):
                    value, held = values[c], best[c]
                    further = value > held if operation == _MAX else value < held
                    wins = (j == 0) | further | ((value != value) & (held == held))
                    best[c] = value if wins else held
                    places[c] = j if wins else places[c]

    arg_reduce.__name__ = arg_reduce.__qualname__ = name
    return kernel("void({t}[:, :, ::1], {t}[::1], int64[:, ::1])")(arg_reduce)


# The operation is a constant of each kernel; the names keep their machine code apart on disk.
_NAMES = ("sum", "prod", "max", "min")
_KERNELS = [_reduction(f"reduce_{name}", i) for i, name in enumerate(_NAMES)]
_ROW_KERNELS = [_row_reduction(f"reduce_rows_{name}", i) for i, name in enumerate(_NAMES)]
_ARG_KERNELS = {i: _arg_reduction(f"arg_{_NAMES[i]}", i) for i in (_MAX, _MIN)}


@kernel("void({t}[::1], float64[::1])")
def sum_of_squares(x, out):
    """out[0] = sum_i x[i]**2, in float64 whatever x is."""
    total = 0.0
    for i in range(x.size):
        value = np.float64(x[i])
        total += value * value
    out[0] = total
