"""Gradients cut down to size, in their arena, after they were summed over the ranks.

A rank may have pieces of a gradient only; norms are taken over all ranks' pieces.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.kernels import reduce, update


def clip(parts: Sequence[Any], value: float | None, norm: float | None, global_norm: float | None) -> None:
    """Cut the gradients of some updates off at a value, and scale each, or all together, down to a norm.

    Args:
        parts: What is updated: `apply.GroupUpdate` and the like.
        value, norm, global_norm: The limits; None for none.
    """
    gradients = [gradient for part in parts for gradient in part.pieces]
    pieces = [piece for gradient in gradients for piece in gradient]
    if value is not None:
        clip_values(pieces, value)
    if norm is not None:
        for gradient, square in zip(gradients, _squares(parts), strict=True):
            clip_norm(gradient, square, norm)
    if global_norm is not None:
        clip_norm(pieces, sum(_squares(parts)), global_norm)


def are_finite(parts: Sequence[Any]) -> bool:
    """Whether all elements of all gradients are finite, whichever ranks have them: then so are sums of squares."""
    return all(map(math.isfinite, _squares(parts)))


def _squares(parts: Sequence[Any]) -> list[float]:
    """The sum of squares of each gradient, whichever ranks have its pieces."""
    return [square for part in parts for square in part.group.reducer.totals(squares(part.pieces))]


def clip_values(arrays: Sequence[np.ndarray], limit: float) -> None:
    """Cut every element off at -limit and limit, in place."""
    for array in arrays:
        bound = array.dtype.type(limit)
        update.clip[array.dtype](array, -bound, bound)


def squares(gradients: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """The sum of squares of each gradient, float64, each given as some flat pieces."""
    totals, total = np.zeros(len(gradients)), np.zeros(1)
    for index, pieces in enumerate(gradients):
        for piece in pieces:
            reduce.sum_of_squares[piece.dtype](piece, total)
            totals[index] += total[0]
    return totals


def clip_norm(arrays: Sequence[np.ndarray], square: float, limit: float) -> None:
    """Scale arrays down, in place, such that a norm whose square is `square` becomes at most `limit`."""
    norm = math.sqrt(square)
    if not norm <= limit:  # a norm that is NaN makes all gradients NaN, on all ranks alike
        for array in arrays:
            update.scale[array.dtype](array, array.dtype.type(limit / norm))
