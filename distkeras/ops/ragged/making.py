"""Ragged tensors from Python lists, ranges and functions of their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.ragged_tensor import RaggedTensor, splits_of, splits_type
from distkeras.core.spec import as_dtype
from distkeras.core.tensor import Tensor, as_array, to_tensor
from distkeras.ops.ragged.rows import known, row_numbers


def constant(
    pylist: Any,
    dtype: Any = None,
    ragged_rank: int | None = None,
    inner_shape: Sequence[int] | None = None,
    name: str | None = None,
    row_splits_dtype: Any = "int64",
) -> Tensor | RaggedTensor:
    """A ragged tensor of nested lists; of a number or a flat list, a tensor.

    Args:
        pylist: Lists, tuples or arrays in each other, whose numbers all lie equally deep.
        dtype: The values' type; by default that of the numbers, float32 if there are none.
        ragged_rank: How many dimensions are ragged; by default all but the first and those of `inner_shape`.
        inner_shape: The shape of the innermost values, which are uniform; by default (), or what `ragged_rank` leaves.
        row_splits_dtype: int32 or int64.

    Raises:
        ValueError: Numbers lie at different depths, or the inner shape does not fit.

    >>> import distkeras as tf
    >>> tf.ragged.constant([[1, 2], [], [3]])
    <tf.RaggedTensor [[1, 2], [], [3]]>
    >>> tf.ragged.constant([[[1, 2], [3, 4]], []], ragged_rank=1).shape
    TensorShape([2, None, 2])
    """
    depth, at = _depths(pylist)
    if at is not None and depth > at:
        raise ValueError(f"Invalid pylist={pylist!r}: empty list nesting is greater than scalar value nesting.")
    if ragged_rank is None:
        ragged_rank = max(0, depth - 1 - len(inner_shape or ()))
    elif not 0 <= ragged_rank < max(depth, 1):
        raise ValueError(f"Invalid pylist={pylist!r}: ragged_rank must be in [0, {max(depth, 1)}), got {ragged_rank}.")
    values, lengths = pylist, []
    for _ in range(ragged_rank):
        lengths.append([len(row) for row in values])
        values = [item for row in values for item in row]
    array = _inner(values, dtype, None if inner_shape is None else tuple(inner_shape), depth - 1 - ragged_rank)
    kind = splits_type(row_splits_dtype)
    found: Any = Tensor(array)
    for counts in reversed(lengths):
        found = RaggedTensor.of_checked(found, splits_of(np.array(counts, kind)))
    return found


def _depths(value: Any) -> tuple[int, int | None]:
    """How deep lists are nested, and at which depth there are numbers: None if there are none."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.ndim, value.ndim if value.size else None
    if not isinstance(value, (list, tuple, np.ndarray)):
        return 0, 0
    found = [_depths(item) for item in value]
    at = {depth for _, depth in found if depth is not None}
    if len(at) > 1:
        raise ValueError(f"all scalar values must have the same nesting depth, received {value!r}.")
    return 1 + max((depth for depth, _ in found), default=0), 1 + at.pop() if at else None


def _inner(values: Any, dtype: Any, inner_shape: tuple[int, ...] | None, below: int) -> np.ndarray:
    values = _plain(values)  # numbers of arrays count as Python's do
    try:
        array = as_array(values, dtype if dtype is not None or _has_numbers(values) else "float32")
    except ValueError:
        raise ValueError(f"Invalid pylist: the innermost values {values!r} are not of one shape.") from None
    if not array.size and inner_shape is None:
        array = array.reshape((len(values), *(array.shape[1:] or (0,) * max(below, 0))))
    if inner_shape is None:
        return array
    if array.size and array.shape[1:] != inner_shape:
        raise ValueError(f"Invalid pylist: expected inner shape {inner_shape}, found {array.shape[1:]}.")
    return array.reshape((len(values), *inner_shape))


def _plain(values: Any) -> Any:
    if isinstance(values, (list, tuple)):
        return list(map(_plain, values))
    return values.tolist() if isinstance(values, (np.ndarray, np.generic)) else values


def _has_numbers(values: Any) -> bool:
    return not isinstance(values, list) or any(map(_has_numbers, values))


def constant_value(
    pylist: Any,
    dtype: Any = None,
    ragged_rank: int | None = None,
    inner_shape: Sequence[int] | None = None,
    row_splits_dtype: Any = "int64",
) -> Any:
    """What TensorFlow has for the values of ragged placeholders: here the tensor itself; see `constant`."""
    return constant(pylist, dtype, ragged_rank, inner_shape, row_splits_dtype=row_splits_dtype)


def range_(
    starts: Any,
    limits: Any = None,
    deltas: Any = 1,
    dtype: Any = None,
    name: str | None = None,
    row_splits_dtype: Any = "int64",
) -> RaggedTensor:
    """Rows of numbers: row i goes from `starts[i]` to before `limits[i]` in steps of `deltas[i]`.

    Args:
        starts: Where rows start; with no `limits`, where they end: they start with 0 then.
        limits, deltas: Vectors, or numbers that go for every row.
        dtype: The numbers' type; by default that of the arguments.
        row_splits_dtype: int32 or int64.

    >>> import distkeras as tf
    >>> tf.ragged.range([3, 5, 2]), tf.ragged.range([0, 5], [3, 3], [1, -1])
    (<tf.RaggedTensor [[0, 1, 2], [0, 1, 2, 3, 4], [0, 1]]>, <tf.RaggedTensor [[0, 1, 2], [5, 4]]>)
    """
    if limits is None:
        starts, limits = 0, starts
    ends = [known(value, "the ends of ranges") for value in (starts, limits, deltas)]
    shape = np.broadcast_shapes(*(end.shape for end in ends))
    if len(shape) > 1 or any(end.shape not in ((), shape) for end in ends):
        raise ValueError(f"ragged.range: expected vectors of one length, received {[end.shape for end in ends]}.")
    kind = as_dtype(dtype).numpy if dtype is not None else np.result_type(*_typed(ends, (starts, limits, deltas)))
    first, last, step = (np.broadcast_to(end, shape or (1,)).astype(kind) for end in ends)
    if (step == 0).any():
        raise InvalidArgumentError("ragged.range: deltas must not be 0.")
    rows = [np.arange(*triple, dtype=kind) for triple in zip(first, last, step, strict=True)]
    counts = np.array([len(row) for row in rows], splits_type(row_splits_dtype))
    return RaggedTensor.of_checked(Tensor(np.concatenate([np.zeros(0, kind), *rows])), splits_of(counts))


def _typed(ends: list[np.ndarray], given: tuple) -> list[np.dtype]:
    """The types of those that have one; Python's numbers take them."""
    return [end.dtype for end, value in zip(ends, given, strict=True) if hasattr(value, "dtype")] or [
        end.dtype for end in ends
    ]


def map_flat_values(op: Callable, *args: Any, **kwargs: Any) -> RaggedTensor:
    """`op` of the innermost values of ragged tensors, which must have the same rows.

    Args:
        op: Gives as many values as it is given.
        *args, **kwargs: What it is called with; ragged tensors, in lists too, are replaced by their values.

    Raises:
        InvalidArgumentError: The rows differ, or the function gives another number of values.

    >>> import distkeras as tf
    >>> tf.ragged.map_flat_values(tf.square, tf.ragged.constant([[1, 2], [3]]))
    <tf.RaggedTensor [[1, 4], [9]]>
    """
    found: list[RaggedTensor] = []

    def flat(value: Any) -> Any:
        if isinstance(value, RaggedTensor):
            found.append(value)
            return value.flat_values
        return type(value)(map(flat, value)) if type(value) in (list, tuple) else value

    args, kwargs = tuple(map(flat, args)), {key: flat(value) for key, value in kwargs.items()}
    if not found:
        return op(*args, **kwargs)
    mine = found[0].nested_splits
    for other in found[1:]:
        theirs = other.nested_splits
        if len(mine) != len(theirs) or not all(map(np.array_equal, mine, theirs)):
            raise InvalidArgumentError("map_flat_values: all ragged tensors must have rows of the same lengths.")
    return found[0].with_flat_values(op(*args, **kwargs))


def row_splits_to_segment_ids(splits: Any, name: str | None = None, out_type: Any = None) -> Tensor:
    """For each value the number of its row, int64 by default or as the splits are.

    >>> import distkeras as tf
    >>> tf.ragged.row_splits_to_segment_ids([0, 3, 3, 5]).numpy().tolist()
    [0, 0, 0, 2, 2]
    """
    values = known(splits, "row splits")
    if values.ndim != 1 or not values.size or (np.diff(values) < 0).any() or values[0] != 0:
        raise InvalidArgumentError(f"Row splits go from 0 on and never down; received {values.tolist()}.")
    kind = _partition_type(splits, out_type)
    return Tensor(row_numbers(values).astype(kind))


def segment_ids_to_row_splits(
    segment_ids: Any, num_segments: Any = None, out_type: Any = None, name: str | None = None
) -> Tensor:
    """The splits of rows, from the number of each value's row.

    >>> import distkeras as tf
    >>> tf.ragged.segment_ids_to_row_splits([0, 0, 0, 2, 2]).numpy().tolist()
    [0, 3, 3, 5]
    """
    ids = known(segment_ids, "segment ids").astype(np.int64)
    count = None if num_segments is None else int(to_tensor(num_segments))
    rows = RaggedTensor.from_value_rowids(np.zeros(len(ids), np.int8), ids, count)
    return Tensor(rows.splits.astype(_partition_type(segment_ids, out_type)))


def _partition_type(value: Any, out_type: Any) -> np.dtype:
    if out_type is not None:
        return splits_type(out_type)
    return splits_type("int32" if getattr(value, "dtype", None) == np.int32 else "int64")
