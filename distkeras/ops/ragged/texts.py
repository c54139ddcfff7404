"""Functions of texts that look at whole rows of a ragged tensor."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras.core.ragged_tensor import RaggedTensor, splits_of
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops.joining import concat
from distkeras.ops.ragged.reducing import reduce_along
from distkeras.ops.ragged.rows import Rows
from distkeras.ops.text import _bytes
from distkeras.ops.text_units import string_reduce_join


def each_row(function: Callable[[Tensor], Tensor], rows: Rows) -> Rows:
    """`function` of each innermost row, which may give a row of another length, or a scalar."""
    if isinstance(rows, Tensor):
        return function(rows)
    values = rows.values
    if isinstance(values, RaggedTensor) or values.ndim > 1:
        return rows.with_values(each_row(function, values))
    found = [function(rows[i]) for i in range(len(rows))]
    sample = found[0] if found else function(values[:0])
    if not sample.ndim:
        return Tensor(np.array([item._array[()] for item in found], sample.dtype.numpy))
    joined = concat([sample[:0], *found], 0)
    return RaggedTensor.of_checked(joined, splits_of(np.array([len(row) for row in found], rows.splits.dtype)))


def of_rows(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Rows:
    """A function whose first argument are the rows."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    rows, *rest = bound.args
    return each_row(lambda row: function(row, *rest, **bound.kwargs), rows)


def reduce_join(
    inputs: RaggedTensor, axis: Any = None, keepdims: bool = False, separator: Any = "", name: str | None = None
) -> Rows:
    between = _bytes(to_tensor(separator)._value("a separator")[()])

    def whole(texts: Tensor, axis: Any = None) -> Tensor:
        return string_reduce_join(texts, axis=axis, separator=between)

    def segments(texts: Tensor, ids: Tensor, count: int) -> Tensor:
        array, numbers = texts._value("texts"), ids._array
        found = np.empty((count, *array.shape[1:]), object)
        for row in range(count):
            found[row] = whole(Tensor(array[numbers == row]), 0)._array[()]
        return Tensor(found)

    return reduce_along(whole, segments, inputs, axis, keepdims)
