"""Where the rows of ragged tensors begin and end, and how many values they have."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.spec import as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import axis_of
from distkeras.ops.ragged.rows import row_numbers


def nrows(self: RaggedTensor, out_type: Any = None, name: str | None = None) -> Tensor:
    """The number of rows, of the splits' type if no other is given."""
    return Tensor(np.array(len(self), self.splits.dtype if out_type is None else as_dtype(out_type).numpy))


def row_starts(self: RaggedTensor, name: str | None = None) -> Tensor:
    """For each row where its first value is."""
    return Tensor(self.splits[:-1])


def row_limits(self: RaggedTensor, name: str | None = None) -> Tensor:
    """For each row where its last value is, plus one."""
    return Tensor(self.splits[1:])


def value_rowids(self: RaggedTensor, name: str | None = None) -> Tensor:
    """For each value the number of its row."""
    return Tensor(row_numbers(self.splits))


def row_lengths(self: RaggedTensor, axis: int = 1, name: str | None = None) -> Tensor | RaggedTensor:
    """How many values rows have along `axis`; 1 is that of the outermost rows.

    >>> import distkeras as tf
    >>> rows = tf.ragged.constant([[[1, 2], [3]], []])
    >>> rows.row_lengths().numpy().tolist(), rows.row_lengths(axis=2)
    ([2, 0], <tf.RaggedTensor [[2, 1], []]>)
    """
    axis = axis_of(axis, self.ndim)
    lengths = np.diff(self.splits)
    if axis == 0:
        return nrows(self)
    if axis == 1:
        return Tensor(lengths)
    values = self.values
    if isinstance(values, RaggedTensor):
        return self.with_values(row_lengths(values, axis - 1))
    sizes = np.broadcast_to(np.array(values.shape[axis - 1], self.splits.dtype), values.shape[: axis - 1])
    return self.with_values(Tensor(np.array(sizes)))


def nested_row_lengths(self: RaggedTensor, name: str | None = None) -> tuple[Tensor, ...]:
    """The row lengths of each ragged dimension, the outermost first."""
    return tuple(Tensor(np.diff(splits)) for splits in self.nested_splits)


def nested_value_rowids(self: RaggedTensor, name: str | None = None) -> tuple[Tensor, ...]:
    """The row numbers of each ragged dimension, the outermost first."""
    return tuple(Tensor(row_numbers(splits)) for splits in self.nested_splits)


def bounding_shape(self: RaggedTensor, axis: Any = None, name: str | None = None, out_type: Any = None) -> Tensor:
    """The shape of the smallest tensor that has room for all rows, or some of its sizes.

    >>> import distkeras as tf
    >>> tf.ragged.constant([[1, 2], [], [3]]).bounding_shape().numpy().tolist()
    [3, 2]
    """
    longest = [int(np.diff(splits).max(initial=0)) for splits in self.nested_splits]
    sizes = np.array([len(self), *longest, *self.flat_values.shape[1:]])
    sizes = sizes.astype(self.splits.dtype if out_type is None else as_dtype(out_type).numpy)
    return Tensor(sizes if axis is None else np.asarray(sizes[to_tensor(axis).numpy()]))
