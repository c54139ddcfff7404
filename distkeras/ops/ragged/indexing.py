"""Rows and parts of rows: `ragged[key]`."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.ragged_tensor import RaggedTensor, splits_of
from distkeras.core.tensor import Tensor
from distkeras.ops._op import axes_of
from distkeras.ops.indexing import getitem as getitem_of_tensor
from distkeras.ops.ragged.rows import Rows, each_a_row, number_of, one_row, take


def getitem(self: RaggedTensor, key: Any) -> Rows:
    """A row, for a number; rows, or parts of them, for slices. Ragged dimensions have no number that all rows have.

    >>> import distkeras as tf
    >>> rows = tf.ragged.constant([[1, 2, 3], [], [4, 5]])
    >>> rows[0].numpy().tolist(), rows[1:], rows[:, :2]
    ([1, 2, 3], <tf.RaggedTensor [[], [4, 5]]>, <tf.RaggedTensor [[1, 2], [], [4, 5]]>)
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    return _get(self, _without_ellipsis(keys, self.ndim))


def reverse(tensor: RaggedTensor, axis: Any, name: str | None = None) -> Rows:
    axes = axes_of(axis, tensor.ndim)
    return getitem(tensor, tuple(slice(None, None, -1 if i in axes else None) for i in range(tensor.ndim)))


def _without_ellipsis(keys: list, rank: int) -> list:
    places = [place for place, key in enumerate(keys) if key is Ellipsis]
    if len(places) > 1:
        raise ValueError("An index can only have a single ellipsis ('...').")
    used = sum(key is not None and key is not Ellipsis for key in keys)
    if used > rank:
        raise ValueError(f"Too many indices: {used} for a ragged tensor of {rank} dimensions.")
    for place in places:
        keys = [*keys[:place], *[slice(None)] * (rank - used), *keys[place + 1 :]]
    return keys


def _get(rows: Rows, keys: list) -> Rows:
    if not keys:
        return rows
    if isinstance(rows, Tensor):
        return getitem_of_tensor(rows, tuple(keys))
    first, rest = keys[0], keys[1:]
    if first is None:
        return one_row(_get(rows, rest))
    if isinstance(first, slice):
        return _inner(take(rows, _numbers(first, len(rows))), rest)
    return _get(_row(rows, number_of(first, "an index")), rest)


def _numbers(part: slice, count: int) -> np.ndarray:
    ends = [None if end is None else number_of(end, "an index") for end in (part.start, part.stop, part.step)]
    if ends[2] == 0:
        raise ValueError("The step of a slice must not be 0.")
    return np.arange(count)[slice(*ends)]


def _row(rows: RaggedTensor, number: int) -> Rows:
    if not -len(rows) <= number < len(rows):
        raise InvalidArgumentError(f"Index {number} is out of range for a ragged tensor of {len(rows)} rows.")
    start, stop = rows.splits[number % len(rows) :][:2].tolist()
    if isinstance(rows.values, Tensor):
        return getitem_of_tensor(rows.values, slice(start, stop))
    return take(rows.values, np.arange(start, stop))


def _inner(rows: RaggedTensor, keys: list) -> Rows:
    """What the keys after the first, which was a slice, take of every row."""
    if not keys:
        return rows
    first, rest = keys[0], keys[1:]
    if first is None:
        return each_a_row(_inner(rows, rest))
    if not isinstance(first, slice):
        raise ValueError(
            "Cannot index into an inner ragged dimension: rows may have no value of that number. Slice it, as in "
            "ragged[:, 1:2], or take a row first."
        )
    rows = _parts(rows, first)
    values = rows.values
    if not rest:
        return rows
    values = _inner(values, rest) if isinstance(values, RaggedTensor) else _get(values, [slice(None), *rest])
    return RaggedTensor.of_checked(values, rows.splits)


def _parts(rows: RaggedTensor, part: slice) -> RaggedTensor:
    """A slice of each row."""
    if part == slice(None):
        return rows
    counts = np.diff(rows.splits)
    sizes, which = np.unique(counts, return_inverse=True)  # rows of one length have their parts at the same places
    places = [_numbers(part, size) for size in sizes]
    kept = np.array([len(found) for found in places], rows.splits.dtype)[which]
    numbers = [rows.splits[i] + places[k] for i, k in enumerate(which)]
    merged = np.concatenate(numbers) if numbers else np.zeros(0, np.int64)
    return RaggedTensor.of_checked(take(rows.values, merged), splits_of(kept))
