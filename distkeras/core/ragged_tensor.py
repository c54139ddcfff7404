"""RaggedTensor: rows of different lengths, as the values of all rows and where each row begins and ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core import context
from distkeras.core.spec import DType, TensorShape, as_dtype
from distkeras.core.tensor import Tensor, register_conversion, to_tensor


class RaggedTensor:
    """A tensor whose rows have different lengths; the rows may be ragged themselves.

    It is made by `tf.ragged.constant`, by the class's `from_...` methods, or by functions such as `tf.strings.split`.
    Arithmetic, comparison, indexing and slicing work as for tensors. Which lengths the rows have must be known: inside
    of traced functions values may be symbols, lengths may not.

    >>> import distkeras as tf
    >>> rows = tf.RaggedTensor.from_row_lengths([1, 2, 3], row_lengths=[2, 0, 1])
    >>> rows, rows + 10, rows.to_tensor().numpy().tolist()
    (<tf.RaggedTensor [[1, 2], [], [3]]>, <tf.RaggedTensor [[11, 12], [], [13]]>, [[1, 2], [0, 0], [3, 0]])
    """

    __array_priority__ = 100  # ndarray + RaggedTensor is a RaggedTensor

    # What ops do with ragged arguments; set by distkeras.ops.ragged.
    dispatcher: Callable | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise ValueError("RaggedTensors are made by tf.RaggedTensor.from_row_splits, tf.ragged.constant, ...")

    @classmethod
    def of_checked(cls, values: Tensor | RaggedTensor, splits: np.ndarray) -> RaggedTensor:
        """Of int32 or int64 splits that are known to fit the values: nothing is looked at again."""
        made = object.__new__(cls)
        made._values, made._splits = values, splits
        context.ragged_call = RaggedTensor.dispatcher  # until there is one, ops need not look for them
        return made

    # --- making one

    @classmethod
    def from_row_splits(
        cls, values: Any, row_splits: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Row i is `values[row_splits[i]:row_splits[i + 1]]`.

        Args:
            values: [elements, ...], or a RaggedTensor of as many rows.
            row_splits: [rows + 1] int32 or int64, from 0 to the number of elements, none less than the one before.
            validate: Changes nothing: the splits are always checked.

        Raises:
            InvalidArgumentError: The splits do not fit.
        """
        values, splits = _as_values(values), _integers(row_splits, "row_splits")
        if not splits.size or splits[0] != 0 or (np.diff(splits) < 0).any() or splits[-1] != values.shape[0]:
            raise InvalidArgumentError(
                f"RaggedTensor: row_splits must go from 0 to {values.shape[0]}, the number of values, and never "
                f"down; received {splits.tolist()}."
            )
        return cls.of_checked(values, splits)

    @classmethod
    def from_row_lengths(
        cls, values: Any, row_lengths: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Row i has the next `row_lengths[i]` of the values; arguments else as for `from_row_splits`."""
        lengths = _integers(row_lengths, "row_lengths")
        if (lengths < 0).any():
            raise InvalidArgumentError(f"RaggedTensor: row_lengths must be >= 0, received {lengths.tolist()}.")
        return cls.from_row_splits(values, splits_of(lengths))

    @classmethod
    def from_row_starts(
        cls, values: Any, row_starts: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Row i goes from `row_starts[i]` to where the next one starts, the last row to the end."""
        values, starts = _as_values(values), _integers(row_starts, "row_starts")
        return cls.from_row_splits(values, np.append(starts, starts.dtype.type(values.shape[0])))

    @classmethod
    def from_row_limits(
        cls, values: Any, row_limits: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Row i goes up to `row_limits[i]`, from where the row before ends."""
        limits = _integers(row_limits, "row_limits")
        return cls.from_row_splits(values, np.append(limits.dtype.type(0), limits))

    @classmethod
    def from_value_rowids(
        cls, values: Any, value_rowids: Any, nrows: Any = None, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Value i is in row `value_rowids[i]`; these numbers never go down.

        Args:
            nrows: How many rows there are; by default the last row that has a value is the last.

        Raises:
            InvalidArgumentError: The numbers go down, or are not in [0, nrows), or there is not one for each value.
        """
        values, ids = _as_values(values), _integers(value_rowids, "value_rowids")
        count = int(ids[-1]) + 1 if nrows is None and ids.size else int(0 if nrows is None else nrows)
        if len(ids) != values.shape[0] or (np.diff(ids) < 0).any() or (ids.size and (ids[0] < 0 or ids[-1] >= count)):
            raise InvalidArgumentError(
                f"RaggedTensor: value_rowids must be {values.shape[0]} numbers in [0, {count}) that never go down, one "
                f"for each value; received {ids.tolist()}."
            )
        return cls.of_checked(values, splits_of(np.bincount(ids, minlength=count).astype(ids.dtype)))

    @classmethod
    def from_nested_row_splits(
        cls, flat_values: Any, nested_row_splits: Sequence[Any], name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Of the innermost values and the splits of each ragged dimension, the outermost first."""
        return _nested(cls.from_row_splits, flat_values, nested_row_splits)

    @classmethod
    def from_nested_row_lengths(
        cls, flat_values: Any, nested_row_lengths: Sequence[Any], name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Of the innermost values and the row lengths of each ragged dimension, the outermost first."""
        return _nested(cls.from_row_lengths, flat_values, nested_row_lengths)

    @classmethod
    def from_nested_value_rowids(
        cls,
        flat_values: Any,
        nested_value_rowids: Sequence[Any],
        nested_nrows: Sequence[Any] | None = None,
        name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:
        """Of the innermost values and the row numbers of each ragged dimension, the outermost first."""
        counts = [None] * len(nested_value_rowids) if nested_nrows is None else nested_nrows
        if len(counts) != len(nested_value_rowids):
            raise ValueError("RaggedTensor: nested_nrows must have as many entries as nested_value_rowids.")
        for ids, count in zip(reversed(nested_value_rowids), reversed(counts), strict=True):
            flat_values = cls.from_value_rowids(flat_values, ids, count)
        return flat_values

    # --- what it is

    @property
    def values(self) -> Tensor | RaggedTensor:
        """The rows one after the other."""
        return self._values

    @property
    def flat_values(self) -> Tensor:
        """The innermost values."""
        return self._values.flat_values if isinstance(self._values, RaggedTensor) else self._values

    @property
    def row_splits(self) -> Tensor:
        """[rows + 1]: row i is `values[row_splits[i]:row_splits[i + 1]]`."""
        return Tensor(self._splits)

    @property
    def splits(self) -> np.ndarray:
        """`row_splits` as the array it is kept in, not to be written to."""
        return self._splits

    @property
    def nested_splits(self) -> tuple[np.ndarray, ...]:
        """The splits of each ragged dimension, the outermost first, as the arrays they are kept in."""
        inner = self._values.nested_splits if isinstance(self._values, RaggedTensor) else ()
        return (self._splits, *inner)

    @property
    def nested_row_splits(self) -> tuple[Tensor, ...]:
        """The splits of each ragged dimension, the outermost first."""
        return tuple(map(Tensor, self.nested_splits))

    @property
    def ragged_rank(self) -> int:
        """How many dimensions are ragged."""
        return len(self.nested_splits)

    @property
    def shape(self) -> TensorShape:
        """None for dimensions that are ragged."""
        return TensorShape((len(self._splits) - 1, None, *self._values.shape[1:]))

    def get_shape(self) -> TensorShape:
        """The shape."""
        return self.shape

    @property
    def ndim(self) -> int:
        return len(self.nested_splits) + self.flat_values.ndim

    @property
    def dtype(self) -> DType:
        return self.flat_values.dtype

    def with_values(self, new_values: Any) -> RaggedTensor:
        """The same rows of other values, of which there must be as many."""
        return RaggedTensor.of_checked(self._checked_count(_as_values(new_values), self._values), self._splits)

    def with_flat_values(self, new_values: Any) -> RaggedTensor:
        """The same rows, inner ones too, of other innermost values, of which there must be as many."""
        if isinstance(self._values, RaggedTensor):
            return RaggedTensor.of_checked(self._values.with_flat_values(new_values), self._splits)
        return self.with_values(new_values)

    def with_row_splits_dtype(self, dtype: Any) -> RaggedTensor:
        """The same with splits of another type, int32 or int64."""
        kind = splits_type(dtype)
        inner = self._values.with_row_splits_dtype(dtype) if isinstance(self._values, RaggedTensor) else self._values
        return RaggedTensor.of_checked(inner, self._splits.astype(kind))

    @staticmethod
    def _checked_count(new: Any, old: Any) -> Any:
        if not new.ndim or new.shape[0] != old.shape[0]:
            raise InvalidArgumentError(
                f"RaggedTensor: expected {old.shape[0]} values, one for each there is, received shape {new.shape}."
            )
        return new

    def to_list(self) -> list:
        """The rows as nested lists of Python numbers, or bytes."""
        inner = self._values
        rows = inner.to_list() if isinstance(inner, RaggedTensor) else inner._value("a list").tolist()
        return [rows[start:stop] for start, stop in zip(self._splits[:-1], self._splits[1:], strict=True)]

    def numpy(self) -> np.ndarray:
        """An array of the rows' arrays; where all have one length, of their elements."""
        values, splits = self._values.numpy(), self._splits
        rows = [values[start:stop] for start, stop in zip(splits[:-1], splits[1:], strict=True)]
        if len({row.shape for row in rows}) == 1:
            return np.stack(rows)
        found = np.empty(len(rows), object)
        found[:] = rows
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError(_NO_TENSOR.format(self.shape))

    def __len__(self) -> int:
        return len(self._splits) - 1

    def __iter__(self) -> Any:
        return (self[index] for index in range(len(self)))

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        raise TypeError("RaggedTensor may not be used as a boolean: see tf.reduce_any, tf.reduce_all.")

    def __repr__(self) -> str:
        if self.flat_values._array is None:
            return f"tf.RaggedTensor(values={self._values!r}, row_splits={self._splits.tolist()})"
        return f"<tf.RaggedTensor {self.to_list()}>"


def _nested(make: Callable, flat_values: Any, partitions: Sequence[Any]) -> Any:
    if not isinstance(partitions, (list, tuple)):
        raise TypeError(f"RaggedTensor: expected a list with an entry for each ragged dimension, got {partitions!r}.")
    for partition in reversed(partitions):
        flat_values = make(flat_values, partition)
    return flat_values


def _as_values(values: Any) -> Tensor | RaggedTensor:
    if isinstance(values, RaggedTensor):
        return values
    tensor = to_tensor(values)
    if not tensor.ndim:
        raise ValueError(f"RaggedTensor: values must have at least one dimension, received {tensor!r}.")
    return tensor


def _integers(value: Any, what: str) -> np.ndarray:
    """A vector of int32 as it is, of anything else that holds integers as int64."""
    array = np.asarray(to_tensor(value)._value(f"{what} of a ragged tensor, which give it its shape,"))
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise ValueError(f"RaggedTensor: {what} must be a vector of integers, received {array.dtype} {array.shape}.")
    typed = hasattr(value, "dtype") and array.dtype == np.int32
    return array if typed else array.astype(np.int64)


def splits_of(lengths: np.ndarray) -> np.ndarray:
    """The row splits, of the lengths' type."""
    splits = np.zeros(len(lengths) + 1, lengths.dtype)
    np.cumsum(lengths, out=splits[1:])
    return splits


def splits_type(dtype: Any) -> np.dtype:
    """The type of row splits.

    Raises:
        ValueError: It is neither int32 nor int64.
    """

    kind = as_dtype(dtype)
    if kind.name not in ("int32", "int64"):
        raise ValueError(f"row_splits_dtype must be int32 or int64, received {kind.name}.")
    return kind.numpy


_NO_TENSOR = (
    "A ragged tensor of shape {} is not a tensor: ragged.to_tensor() fills its rows up to one length, "
    "ragged.flat_values are its elements."
)


def _refuse(value: RaggedTensor) -> Tensor:
    raise TypeError(_NO_TENSOR.format(value.shape))


register_conversion(RaggedTensor, _refuse)
