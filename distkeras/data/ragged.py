"""Ragged tensors as data: what is done with arrays (rows, stacking, copies) done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.ragged_spec import RaggedTensorSpec
from distkeras.core.ragged_tensor import RaggedTensor, splits_of
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops.ragged.rows import places_in


class RaggedArray:
    """The arrays of a RaggedTensor, of which rows can be taken as of an ndarray.

    Args:
        values: The innermost values.
        nested: The row splits of each ragged dimension, the outermost first; none for a row that is ragged no more,
            which makes ragged rows with others when it is batched.
        splits_type: The type of row splits.
    """

    __slots__ = ("nested", "splits_type", "values")

    def __init__(self, values: np.ndarray, nested: Sequence[np.ndarray], splits_type: Any = np.int64) -> None:
        self.values, self.nested, self.splits_type = values, tuple(nested), np.dtype(splits_type)

    @classmethod
    def of(cls, tensor: RaggedTensor) -> RaggedArray:
        """The arrays of a RaggedTensor."""
        values = tensor.flat_values._value("an element of a dataset")
        return cls(values, tensor.nested_splits, tensor.splits.dtype)

    def __reduce__(self) -> tuple:
        return RaggedArray, (self.values, self.nested, self.splits_type)

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return len(self.nested) + self.values.ndim

    @property
    def shape(self) -> tuple:
        """None for ragged dimensions."""
        outer = (len(self.nested[0]) - 1,) if self.nested else self.values.shape[:1]
        return (*outer, *(None for _ in self.nested), *self.values.shape[1:])

    @property
    def spec(self) -> RaggedTensorSpec:
        """What users are told of it: of a row without ragged dimensions the number of its values is not part."""
        shape = self.shape if self.nested else (None, *self.shape[1:])
        return RaggedTensorSpec(shape, self.dtype, len(self.nested), self.splits_type)

    def tensor(self) -> RaggedTensor | Tensor:
        """As users see it."""
        found: Any = Tensor(self.values)
        for splits in reversed(self.nested):
            found = RaggedTensor.of_checked(found, splits)
        return found

    def astype(self, dtype: Any) -> RaggedArray:
        return RaggedArray(self.values.astype(dtype), self.nested, self.splits_type)

    def copy(self) -> RaggedArray:
        return RaggedArray(self.values.copy(), [splits.copy() for splits in self.nested], self.splits_type)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> RaggedArray | np.ndarray:
        """Some rows, for a slice or an array of numbers; that row itself for a number, an ellipsis after it or not."""
        index = index[0] if isinstance(index, tuple) else index
        if isinstance(index, slice):
            return self.take(np.arange(self.shape[0])[index])
        if isinstance(index, np.ndarray):
            return self.take(index)
        if not self.nested:
            return self.values[index, ...]
        start, stop = self.nested[0][int(index) :][:2]
        return self._inner().take(np.arange(start, stop))

    def take(self, numbers: np.ndarray, axis: int = 0) -> RaggedArray:
        """The rows of these numbers."""
        if not self.nested:
            return RaggedArray(self.values[numbers], (), self.splits_type)
        splits = self.nested[0]
        counts = np.diff(splits)[numbers]
        inner = self._inner().take(places_in(splits[:-1][numbers], counts))
        return RaggedArray(inner.values, (splits_of(counts), *inner.nested), self.splits_type)

    def _inner(self) -> RaggedArray:
        return RaggedArray(self.values, self.nested[1:], self.splits_type)

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> RaggedArray:
        """Of `function` of the values, and of each ragged dimension's row lengths."""
        nested = [splits_of(function(np.diff(splits))) for splits in self.nested]
        return RaggedArray(function(self.values), nested, self.splits_type)


def tensor_of(array: np.ndarray | RaggedArray) -> Tensor | RaggedTensor:
    """An array, or a ragged one, as a tensor."""
    return array.tensor() if isinstance(array, RaggedArray) else to_tensor(array)


def joined_ragged(parts: Sequence[RaggedArray]) -> RaggedArray:
    """The rows of ragged arrays one after the other."""
    levels = zip(*(part.nested for part in parts), strict=True)
    nested = [splits_of(np.concatenate([np.diff(splits) for splits in level])) for level in levels]
    return RaggedArray(np.concatenate([part.values for part in parts]), nested, parts[0].splits_type)


def stacked_ragged(parts: Sequence[RaggedArray]) -> RaggedArray:
    """Ragged arrays along a new first axis, as the rows of one that has a ragged dimension more.

    Raises:
        InvalidArgumentError: They differ in their ragged dimensions, or in the others' sizes.
    """
    kinds = {(len(part.nested), part.values.shape[1:]) for part in parts}
    if len(kinds) > 1:
        raise InvalidArgumentError(
            f"Cannot batch ragged tensors of different forms: shapes {', '.join(str(part.shape) for part in parts)}."
        )
    first = parts[0]
    outer = splits_of(np.array([part.shape[0] for part in parts], first.splits_type))
    inner = joined_ragged(parts)
    return RaggedArray(inner.values, (outer, *inner.nested), first.splits_type)
