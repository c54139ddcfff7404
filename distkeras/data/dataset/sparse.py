"""Sparse tensors as parts of elements: what stages do with arrays (rows, stacking, copies) done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.ops.sparse import to_dense


class SparseArray:
    """The arrays of a SparseTensor, of which rows can be taken as of an ndarray.

    Args:
        indices: int64, (elements, dimensions).
        values: (elements,).
        shape: That of the dense array.
    """

    __slots__ = ("_is_in_order", "indices", "shape", "values")

    def __init__(self, indices: np.ndarray, values: np.ndarray, shape: Sequence[int]) -> None:
        self.indices, self.values, self.shape = indices, values, tuple(map(int, shape))
        self._is_in_order: bool | None = None

    @classmethod
    def of(cls, tensor: SparseTensor) -> SparseArray:
        """The arrays of a SparseTensor."""
        return cls(tensor.indices.numpy(), tensor.values._value("an element of a dataset"), tensor.shape)

    def __reduce__(self) -> tuple:
        return SparseArray, (self.indices, self.values, self.shape)

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def tensor(self) -> SparseTensor:
        """As users see it."""
        return SparseTensor.of_checked(self.indices, self.values, self.shape)

    def to_dense(self) -> np.ndarray:
        """The whole array: 0, False or b'' where there is no element."""
        return to_dense(self.tensor(), validate_indices=False)._value("a dense tensor")

    def copy(self) -> SparseArray:
        return SparseArray(self.indices.copy(), self.values.copy(), self.shape)

    def __getitem__(self, index: Any) -> SparseArray:
        """Some consecutive rows, for a slice; for a number, with or without an ellipsis after it, that row itself."""
        index = index[0] if isinstance(index, tuple) else index
        if isinstance(index, slice):
            start, stop, _ = index.indices(self.shape[0])
            return self.take(np.arange(start, max(start, stop)))
        row = self.take(np.array([index]))
        return SparseArray(row.indices[:, 1:], row.values, self.shape[1:])

    def take(self, numbers: np.ndarray, axis: int = 0) -> SparseArray:
        """The rows of these numbers."""
        self._put_in_order()
        starts, stops = (np.searchsorted(self.indices[:, 0], numbers + side) for side in (0, 1))
        counts = stops - starts
        rows = np.repeat(np.arange(len(numbers)), counts)
        places = np.arange(len(rows)) + np.repeat(starts - np.cumsum(counts) + counts, counts)
        indices = self.indices[places]
        indices[:, 0] = rows
        return SparseArray(indices, self.values[places], (len(numbers), *self.shape[1:]))

    def _put_in_order(self) -> None:
        """Put the elements in the order of their rows, so that a row is found without looking at all."""
        if self._is_in_order is None and (np.diff(self.indices[:, 0]) < 0).any():
            order = np.argsort(self.indices[:, 0], kind="stable")
            self.indices, self.values = self.indices[order], self.values[order]
        self._is_in_order = True


def stacked_sparse(parts: Sequence[SparseArray]) -> SparseArray:
    """Sparse arrays along a new first axis, each size the largest there is.

    Raises:
        InvalidArgumentError: They differ in the number of their dimensions.
    """
    ranks = {part.ndim for part in parts}
    if len(ranks) > 1:
        raise InvalidArgumentError(f"Cannot batch sparse tensors of different ranks {sorted(ranks)}.")
    rows = np.repeat(np.arange(len(parts)), [len(part.values) for part in parts])
    indices = np.concatenate([part.indices for part in parts])
    sizes = [max(sizes) for sizes in zip(*(part.shape for part in parts), strict=True)]
    values = np.concatenate([part.values for part in parts])
    return SparseArray(np.column_stack([rows, indices]), values, (len(parts), *sizes))
