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

_TILE = 32


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
    shape, axes = _merged(x.shape, axes)
    swap = _as_swap(shape, axes)
    if swap is None or x.itemsize not in (1, 2, 4, 8) or x.dtype.hasobject:
        return [(np.copyto, (out, x.reshape(shape).transpose(axes).reshape(expected) if not x.size else _view(x, shape, axes, expected)))]
    word = np.dtype(f"u{x.itemsize}")
    batch, rows, columns, block = swap
    source = x.view(word).reshape(batch, rows, columns, block)
    target = out.view(word).reshape(batch, columns, rows, block)
    if block == 1:
        return [(_transpose_matrices[word], (source[..., 0], target[..., 0]))]
    return [(_swap_blocks[word], (source, target))]
