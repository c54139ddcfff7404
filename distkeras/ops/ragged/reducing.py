"""Sums, means, largest values, ... along the dimensions of ragged tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.ragged_tensor import RaggedTensor, splits_of
from distkeras.core.tensor import Tensor
from distkeras.ops import elementwise as e
from distkeras.ops import reduction
from distkeras.ops._op import axes_of
from distkeras.ops.creation import ones_like
from distkeras.ops.ragged.arranging import expand_dims
from distkeras.ops.ragged.rows import Rows, places_in, row_numbers
from distkeras.ops.scatter import (
    unsorted_segment_max,
    unsorted_segment_min,
    unsorted_segment_prod,
    unsorted_segment_sum,
)

Segments = Callable[[Tensor, Tensor, int], Tensor]


def reduce_along(
    whole: Callable[..., Tensor], segments: Segments, rows: RaggedTensor, axis: Any, keepdims: bool
) -> Rows:
    """A reduction of ragged rows.

    Args:
        whole: The reduction of tensors.
        segments: The same of values by segments: (values, segment numbers, number of segments).
        axis: One dimension or several; None for all.
    """
    if axis is None:
        found: Any = whole(rows.flat_values)
        for _ in range(rows.ndim if keepdims else 0):
            found = e.identity(found)[None]
        return found
    for one in reversed(axes_of(axis, rows.ndim)):
        rows = _along(whole, segments, rows, one)
        if keepdims:
            rows = expand_dims(rows, one)
    return rows


def _along(whole: Callable, segments: Segments, rows: Rows, axis: int) -> Rows:
    if isinstance(rows, Tensor):
        return whole(rows, axis=axis)
    counts = np.diff(rows.splits)
    if axis == 0:
        return by_segment(segments, rows.values, places_in(0 * counts, counts), int(counts.max(initial=0)))
    if axis == 1:
        return by_segment(segments, rows.values, row_numbers(rows.splits), len(rows))
    return rows.with_values(_along(whole, segments, rows.values, axis - 1))


def by_segment(segments: Segments, rows: Rows, ids: np.ndarray, count: int) -> Rows:
    """Rows of one segment number reduced to one, place by place; it is as long as the longest of them."""
    if isinstance(rows, Tensor):
        return segments(rows, Tensor(ids.astype(np.int64)), count)
    lengths = np.diff(rows.splits)
    longest = np.zeros(count, lengths.dtype)
    np.maximum.at(longest, ids, lengths)
    splits = splits_of(longest)
    inner = places_in(splits[ids], lengths)
    return RaggedTensor.of_checked(by_segment(segments, rows.values, inner, int(splits[-1])), splits)


def _mean(values: Tensor, ids: Tensor, count: int) -> Tensor:
    return unsorted_segment_sum(values, ids, count) / unsorted_segment_sum(ones_like(values), ids, count)


def _all(values: Tensor, ids: Tensor, count: int) -> Tensor:
    return e.logical_not(_any(e.logical_not(values), ids, count))


def _any(values: Tensor, ids: Tensor, count: int) -> Tensor:
    if not values.dtype.is_bool:
        raise InvalidArgumentError(f"reduce_all, reduce_any: expected booleans, received {values.dtype.name}.")
    return unsorted_segment_sum(e.cast(values, "int32"), ids, count) > 0


_REDUCTIONS: dict[str, Segments] = {
    "reduce_sum": unsorted_segment_sum,
    "reduce_prod": unsorted_segment_prod,
    "reduce_max": unsorted_segment_max,
    "reduce_min": unsorted_segment_min,
    "reduce_mean": _mean,
    "reduce_all": _all,
    "reduce_any": _any,
}


def _handler(name: str, segments: Segments) -> Callable:
    whole = getattr(reduction, name)

    def reduce(input_tensor: RaggedTensor, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Rows:
        return reduce_along(whole, segments, input_tensor, axis, keepdims)

    return reduce


HANDLERS = {name: _handler(name, segments) for name, segments in _REDUCTIONS.items()}
