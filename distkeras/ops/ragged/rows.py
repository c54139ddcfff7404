"""Rows of ragged and dense tensors alike: picked by number, joined, taken apart into levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.ragged_tensor import RaggedTensor, splits_of, splits_type
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops.indexing import gather
from distkeras.ops.joining import concat
from distkeras.ops.shape import reshape

Rows = Tensor | RaggedTensor


def as_rows(value: Any) -> Rows:
    """A RaggedTensor as it is, anything else as a tensor."""
    return value if isinstance(value, RaggedTensor) else to_tensor(value)


def known(value: Any, what: str) -> np.ndarray:
    """Integers, or booleans, that decide about shapes.

    Raises:
        CaptureError: They are symbols of a trace.
    """
    return np.asarray(to_tensor(value)._value(f"{what}, which give a ragged tensor its shape,"))


def number_of(value: Any, what: str) -> int:
    """A single integer that decides about shapes."""
    return int(known(value, what))


def places_in(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """One after the other the numbers starts[i], starts[i] + 1, ..., `counts[i]` of them."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + counts, counts)


def row_numbers(splits: np.ndarray) -> np.ndarray:
    """For each value the number of its row."""
    return np.repeat(np.arange(len(splits) - 1, dtype=splits.dtype), np.diff(splits))


def take(rows: Rows, numbers: np.ndarray) -> Rows:
    """The rows of these numbers.

    Raises:
        InvalidArgumentError: There is no row of a number.
    """
    count = rows.shape[0]
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < count):
        wrong = numbers[(numbers < 0) | (numbers >= count)][0]
        raise InvalidArgumentError(f"A row of number {wrong} was asked for, of {count} rows.")
    if len(numbers) == count and (numbers == np.arange(count)).all():
        return rows
    if isinstance(rows, Tensor):
        return gather(rows, Tensor(numbers.astype(np.int64)))
    counts = np.diff(rows.splits)[numbers]
    return RaggedTensor.of_checked(take(rows.values, places_in(rows.splits[numbers], counts)), splits_of(counts))


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows of several tensors one after the other; ragged in as many dimensions as the one that is so in most."""
    depth = max(map(depth_of, parts))
    parts = [partitioned(part, depth) for part in parts]
    if not depth:
        return concat(parts, 0)
    counts = np.concatenate([np.diff(part.splits) for part in parts])
    return RaggedTensor.of_checked(joined([part.values for part in parts]), splits_of(counts))


def depth_of(rows: Rows) -> int:
    """How many dimensions are ragged."""
    return rows.ragged_rank if isinstance(rows, RaggedTensor) else 0


def partitioned(rows: Rows, depth: int, splits_dtype: Any = "int64") -> Rows:
    """The same with at least `depth` dimensions as ragged ones, for which uniform ones are taken.

    Raises:
        InvalidArgumentError: It has too few dimensions.
    """
    if not depth:
        return rows
    if isinstance(rows, RaggedTensor):
        return RaggedTensor.of_checked(partitioned(rows.values, depth - 1, rows.splits.dtype), rows.splits)
    if rows.ndim <= depth:
        raise InvalidArgumentError(f"A tensor of shape {rows.shape} cannot have {depth} ragged dimensions.")
    count, size = rows.shape[:2]
    splits = (np.arange(count + 1) * size).astype(splits_type(splits_dtype))
    merged = reshape(rows, (count * size, *rows.shape[2:]))
    return RaggedTensor.of_checked(partitioned(merged, depth - 1, splits_dtype), splits)


def one_row(rows: Rows) -> RaggedTensor:
    """A ragged tensor of one row: everything."""
    kind = rows.splits.dtype if isinstance(rows, RaggedTensor) else np.int64
    return RaggedTensor.of_checked(rows, np.array([0, rows.shape[0]], kind))


def each_a_row(rows: Rows) -> RaggedTensor:
    """A ragged tensor each row of which has one value: a row."""
    kind = rows.splits.dtype if isinstance(rows, RaggedTensor) else np.int64
    return RaggedTensor.of_checked(rows, np.arange(rows.shape[0] + 1, dtype=kind))
