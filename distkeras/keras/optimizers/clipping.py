"""Gradients cut down to size, in their arena, after they were summed over the ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from distkeras.kernels import reduce, update


def clip_values(arrays: Sequence[np.ndarray], limit: float) -> None:
    """Cut every element off at -limit and limit, in place."""
    for array in arrays:
        bound = array.dtype.type(limit)
        update.clip[array.dtype](array, -bound, bound)


def clip_norm(arrays: Sequence[np.ndarray], limit: float) -> None:
    """Scale the arrays down together, in place, so that the norm of all their elements is at most `limit`."""
    total = np.zeros(1, np.float64)
    squares = 0.0
    for array in arrays:
        reduce.sum_of_squares[array.dtype](array, total)
        squares += total[0]
    norm = math.sqrt(squares)
    if not norm <= limit:  # a norm that is NaN makes all gradients NaN, on all ranks alike
        for array in arrays:
            update.scale[array.dtype](array, array.dtype.type(limit / norm))
