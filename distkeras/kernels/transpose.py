"""Copies of arrays with their axes in another order.

>>> import numpy as np
>>> x, out = np.arange(6).reshape(2, 3), np.empty((3, 2), np.int64)
>>> for fn, args in transpose(x, out, axes=(1, 0)):
...     fn(*args)
>>> out.tolist()
[[0, 3], [1, 4], [2, 5]]
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from distkeras.kernels.compile import Calls, kernel
from distkeras.kernels.transpose_matrices import transpose_matrices


def transpose(x: np.ndarray, out: np.ndarray, *, axes: Sequence[int]) -> Calls:
    """Lower out = x.transpose(axes) to kernel calls, to be made in order: `for fn, args in calls: fn(*args)`.

    Args:
        x: Any C-contiguous array of rank len(axes), of any dtype.
        out: C-contiguous, of x's dtype and the transposed shape.
        axes: A permutation of range(x.ndim); out's axis i is x's axis axes[i].

    Raises:
        ValueError: `axes` is no permutation, or out does not fit.
    """
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError(f"axes must be a permutation of {list(range(x.ndim))}; received {list(axes)}")
    expected = tuple(x.shape[axis] for axis in axes)
    if out.shape != expected or out.dtype != x.dtype:
        raise ValueError(f"the transposed array is {x.dtype} {expected}; received {out.dtype} {out.shape}")
    swap = _as_swap(*_merged(x.shape, axes))
    if swap is None or x.dtype.hasobject or x.itemsize not in (4, 8):
        return [(np.copyto, (out, x.transpose(axes)))]
    # Moved as floats of their size, whatever they are: a move does not change bits.
    word = np.dtype(f"f{x.itemsize}")
    batch, rows, columns, block = swap
    source = x.view(word).reshape(batch, rows, columns, block)
    target = out.view(word).reshape(batch, columns, rows, block)
    if block == 1:
        return [(transpose_matrices[word], (source.reshape(source.shape[:3]), target.reshape(target.shape[:3])))]
    return [(_swap_blocks[word], (source, target))]


def _merged(shape: Sequence[int], axes: Sequence[int]) -> tuple[list[int], list[int]]:
    """The same permutation of fewer axes: those of size 1 are dropped, those that stay neighbours are merged."""
    runs: list[list[int]] = []
    for axis in axes:
        if shape[axis] == 1:
            continue
        if runs and all(shape[between] == 1 for between in range(runs[-1][-1] + 1, axis)) and axis > runs[-1][-1]:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    order = sorted(range(len(runs)), key=lambda i: runs[i][0])
    return [math.prod(shape[axis] for axis in runs[i]) for i in order], [order.index(i) for i in range(len(runs))]


def _as_swap(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, int, int, int] | None:
    """(batch, rows, columns, block) where the permutation swaps rows and columns only; None where it does not."""
    first = int(len(axes) > 0 and axes[0] == 0)
    last = len(axes) - int(len(axes) > first and axes[-1] == len(axes) - 1)
    if list(axes[first:last]) != [first + 1, first]:
        return None
    return math.prod(shape[:first]), shape[first], shape[first + 1], math.prod(shape[last:])


@kernel("void({t}[:, :, :, ::1], {t}[:, :, :, ::1])")
def _swap_blocks(x, out):
    """out[b, c, r, :] = x[b, r, c, :]."""
    for b in range(x.shape[0]):
        for c in range(x.shape[2]):
            for r in range(x.shape[1]):
                for i in range(x.shape[3]):
                    out[b, c, r, i] = x[b, r, c, i]
