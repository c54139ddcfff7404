"""Ragged tensors joined, repeated, picked from and given new dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.ragged_tensor import RaggedTensor, splits_of
from distkeras.core.spec import as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops import elementwise as e
from distkeras.ops import indexing, joining, shape
from distkeras.ops._op import axis_of, static_ints
from distkeras.ops.ragged.broadcasting import elementwise
from distkeras.ops.ragged.rows import (
    Rows,
    as_rows,
    depth_of,
    each_a_row,
    joined,
    known,
    number_of,
    one_row,
    partitioned,
    row_numbers,
    take,
)


def expand_dims(input: Rows, axis: int, name: str | None = None) -> Rows:
    axis = axis_of(axis, input.ndim + 1)
    if isinstance(input, Tensor):
        return shape.expand_dims(input, axis)
    if axis == 0:
        return one_row(input)
    if axis == 1:
        return each_a_row(input)
    return input.with_values(expand_dims(input.values, axis - 1))


def concat(values: Sequence[Any], axis: int = 0, name: str | None = None) -> Rows:
    parts = [as_rows(value) for value in values]
    ranks = {part.ndim for part in parts}
    if len(ranks) > 1:
        raise ValueError(f"concat: all inputs must have as many dimensions, received {sorted(ranks)}.")
    return _concat(parts, axis_of(axis, ranks.pop()))


def _concat(parts: list[Rows], axis: int) -> Rows:
    if all(isinstance(part, Tensor) for part in parts):
        return joining.concat(parts, axis)
    if axis == 0:
        return joined(parts)
    depth = max(map(depth_of, parts))
    parts = [partitioned(part, depth) for part in parts]
    counts = {len(part) for part in parts}
    if len(counts) > 1:
        raise InvalidArgumentError(f"concat: the inputs must have as many rows, received {sorted(counts)}.")
    if axis == 1:  # the first row of each, the second of each, ...
        order = np.arange(len(parts) * len(parts[0])).reshape(len(parts), -1).T.reshape(-1)
        mixed = take(joined(parts), order)
        return RaggedTensor.of_checked(mixed.values, mixed.splits[:: len(parts)])
    first = parts[0]
    if not all(np.array_equal(first.splits, part.splits) for part in parts):
        raise InvalidArgumentError(f"concat: along axis {axis}, all inputs must have rows of the same lengths.")
    return first.with_values(_concat([part.values for part in parts], axis - 1))


def stack(values: Sequence[Any], axis: int = 0, name: str | None = None) -> Rows:
    parts = [as_rows(value) for value in values]
    ranks = {part.ndim for part in parts}
    if len(ranks) > 1:
        raise ValueError(f"stack: all inputs must have as many dimensions, received {sorted(ranks)}.")
    axis = axis_of(axis, ranks.pop() + 1)
    # Vectors become rows, which may have different lengths; expand_dims would make them tensors.
    return _concat([one_row(part) if axis == 0 else expand_dims(part, axis) for part in parts], axis)


def ragged_stack(values: Any, axis: int = 0, name: str | None = None) -> Rows:
    """Tensors, ragged or not, along a new dimension; their rows may have different lengths.

    Args:
        values: Tensors of as many dimensions, or one of them.
        axis: Where the new dimension is.

    >>> import distkeras as tf
    >>> tf.ragged.stack([tf.constant([1, 2]), tf.constant([3])])
    <tf.RaggedTensor [[1, 2], [3]]>
    """
    parts = [as_rows(value) for value in (values if isinstance(values, (list, tuple)) else [values])]
    if not parts:
        raise ValueError("ragged.stack: there must be at least one value.")
    if all(isinstance(part, Tensor) for part in parts) and (axis or not parts[0].ndim):
        return joining.stack(parts, axis)
    return stack([part if part.ndim == 1 else partitioned(part, 1) for part in parts], axis)


def tile(input: RaggedTensor, multiples: Any, name: str | None = None) -> RaggedTensor:
    times = static_ints(multiples, "list of multiples")
    if len(times) != input.ndim:
        raise ValueError(f"tile: expected {input.ndim} multiples, one for each dimension, received {times}.")
    return _tiled(input, list(times))


def _tiled(rows: Rows, times: list[int]) -> Rows:
    if isinstance(rows, Tensor):
        return shape.tile(rows, times)
    rows = rows.with_values(_tiled(rows.values, [1, *times[2:]]))
    counts = np.diff(rows.splits)
    order = np.tile(np.arange(len(rows)), times[0])
    repeated = take(rows, np.repeat(order, times[1]))
    return RaggedTensor.of_checked(repeated.values, splits_of(counts[order] * times[1]))


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Rows:
    if (x is None) != (y is None):
        raise ValueError("where: x and y must both be given, or neither.")
    condition = as_rows(condition)
    if x is None:
        return _coordinates(condition)
    like = next((value for value in (x, y) if hasattr(value, "dtype")), None)
    like = getattr(like, "flat_values", like)
    tensors = [
        value if isinstance(value, RaggedTensor) else to_tensor(value, like=None if like is None else to_tensor(like))
        for value in (x, y)
    ]
    return elementwise(e.where, [condition, *tensors])


def _coordinates(condition: RaggedTensor) -> Tensor:
    flat = known(condition.flat_values, "a condition's values")
    found = np.argwhere(flat)
    columns = [found[:, axis] for axis in range(1, flat.ndim)]
    numbers = found[:, 0]
    for splits in reversed(condition.nested_splits):
        rows = row_numbers(splits)[numbers]
        columns.insert(0, numbers - splits[rows])
        numbers = rows
    return Tensor(np.stack([numbers, *columns], 1).astype(np.int64))


def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: int | None = None,
    batch_dims: int = 0,
    name: str | None = None,
) -> Rows:
    params, indices = as_rows(params), as_rows(indices)
    if axis not in (None, batch_dims) or batch_dims not in (0, 1):
        raise ValueError(
            f"gather of ragged tensors: expected batch_dims 0 or 1, and axis equal to it; received batch_dims="
            f"{batch_dims} and axis={axis}."
        )
    if batch_dims:
        return _batch_gather(params, indices)
    if isinstance(indices, RaggedTensor):
        return indices.with_flat_values(_take_all(params, indices.flat_values))
    return _take_all(params, indices)


def _take_all(params: Rows, indices: Tensor) -> Rows:
    """The rows of numbers in a tensor of any shape."""
    if isinstance(params, Tensor):
        return indexing.gather(params, indices)
    numbers = known(indices, "indices")
    found = take(params, numbers.reshape(-1))
    if numbers.ndim == 1:
        return found
    if not numbers.ndim:
        return found[0]
    for size, count in zip(numbers.shape[:0:-1], np.cumprod(numbers.shape)[-2::-1], strict=True):
        found = RaggedTensor.of_checked(found, np.arange(count + 1, dtype=params.splits.dtype) * size)
    return found


def _batch_gather(params: Rows, indices: Rows) -> Rows:
    """Of each row of `params` the values that the same row of `indices` tells."""
    table, wanted = partitioned(params, 1), partitioned(indices, 1)
    if len(table) != len(wanted):
        raise InvalidArgumentError(f"gather: params have {len(table)} rows and indices {len(wanted)}.")
    if wanted.ndim != 2:
        raise ValueError("gather of ragged tensors with batch_dims=1: indices must have two dimensions.")
    numbers, rows = known(wanted.values, "indices"), row_numbers(wanted.splits)
    if ((numbers < 0) | (numbers >= np.diff(table.splits)[rows])).any():
        raise InvalidArgumentError("gather: there are indices that are not in the rows that they pick from.")
    return RaggedTensor.of_checked(take(table.values, numbers + table.splits[rows]), wanted.splits)


def gather_nd(params: Any, indices: Any, batch_dims: int = 0, name: str | None = None) -> Rows:
    params, indices = as_rows(params), as_rows(indices)
    if batch_dims:
        raise ValueError("gather_nd of ragged tensors: batch_dims must be 0.")
    if isinstance(indices, RaggedTensor):
        if indices.flat_values.ndim == 1:
            raise ValueError("gather_nd: the last dimension of the indices, the coordinates, must not be ragged.")
        return indices.with_flat_values(gather_nd(params, indices.flat_values))
    if isinstance(params, Tensor):
        return indexing.gather_nd(params, indices)
    places = known(indices, "indices")
    if not 0 < places.shape[-1] <= params.ndim:
        raise ValueError(f"gather_nd: expected up to {params.ndim} coordinates, received {places.shape[-1]}.")
    found: Rows = params
    numbers = places[..., 0]
    for axis in range(1, places.shape[-1]):
        if isinstance(found, Tensor):
            rest = np.concatenate([numbers[..., None], places[..., axis:]], -1)
            return indexing.gather_nd(found, Tensor(rest.astype(np.int64)))
        if ((numbers < 0) | (numbers >= len(found))).any():
            raise InvalidArgumentError(f"gather_nd: a coordinate is not in [0, {len(found)}).")
        inner = places[..., axis]
        if ((inner < 0) | (inner >= np.diff(found.splits)[numbers])).any():
            raise InvalidArgumentError(f"gather_nd: a coordinate {axis} is not in the row that it picks from.")
        numbers, found = found.splits[numbers] + inner, found.values
    return _take_all(found, Tensor(numbers.astype(np.int64)))


def size(input: RaggedTensor, out_type: Any = "int32", name: str | None = None) -> Tensor:
    return Tensor(np.array(input.flat_values.spec.size, as_dtype(out_type).numpy))


def rank(input: RaggedTensor, name: str | None = None) -> Tensor:
    return Tensor(np.array(input.ndim, np.int32))


def boolean_mask(data: Any, mask: Any, name: str | None = None) -> Rows:
    """The elements where the mask holds; rows stay rows.

    Args:
        data: A tensor, ragged or not.
        mask: bool, of the shape of the first dimensions of `data`.

    >>> import distkeras as tf
    >>> tf.ragged.boolean_mask([[1, 2, 3], [4, 5, 6]], [[True, False, True], [False, False, True]])
    <tf.RaggedTensor [[1, 3], [6]]>
    """
    rows, chosen = as_rows(data), as_rows(mask)
    if not chosen.dtype.is_bool or not 0 < chosen.ndim <= rows.ndim:
        raise InvalidArgumentError(
            f"boolean_mask: expected a bool mask of 1 to {rows.ndim} dimensions, received {chosen.dtype.name} "
            f"{chosen.shape}."
        )
    return _masked(rows, chosen)


def _masked(rows: Rows, mask: Rows) -> Rows:
    if mask.ndim == 1:
        flags = known(mask, "a mask")
        if len(flags) != rows.shape[0]:
            raise InvalidArgumentError(f"boolean_mask: {len(flags)} flags for {rows.shape[0]} values.")
        return take(rows, np.flatnonzero(flags))
    rows, mask = partitioned(rows, 1), partitioned(mask, 1)
    if not np.array_equal(rows.splits, mask.splits):
        raise InvalidArgumentError("boolean_mask: the rows of the mask must have the lengths of the data's rows.")
    kept = _masked(rows.values, mask.values)
    if mask.ndim > 2:
        return RaggedTensor.of_checked(kept, rows.splits)
    before = np.append(0, np.cumsum(known(mask.values, "a mask")))
    return RaggedTensor.of_checked(kept, before[rows.splits].astype(rows.splits.dtype))


def stack_dynamic_partitions(data: Any, partitions: Any, num_partitions: Any, name: str | None = None) -> RaggedTensor:
    """The rows of each partition, as a row.

    Args:
        data: A tensor, ragged or not.
        partitions: For each row the number of its partition; of more dimensions than one, for each row of the rows.
        num_partitions: How many there are.

    Raises:
        InvalidArgumentError: A number is not in [0, num_partitions), or the shapes do not fit.

    >>> import distkeras as tf
    >>> tf.ragged.stack_dynamic_partitions(["a", "b", "c", "d"], [2, 0, 2, 0], 4)
    <tf.RaggedTensor [[b'b', b'd'], [], [b'a', b'c'], []]>
    """
    rows, numbers = as_rows(data), as_rows(partitions)
    while numbers.ndim > 1 and rows.ndim > 1:
        rows, numbers = partitioned(rows, 1), partitioned(numbers, 1)
        if not np.array_equal(rows.splits, numbers.splits):
            raise InvalidArgumentError("stack_dynamic_partitions: the rows of data and partitions differ in length.")
        rows, numbers = rows.values, numbers.values
    found, count = known(numbers, "partitions"), number_of(num_partitions, "the number of partitions")
    if found.ndim != 1 or found.dtype.kind not in "iu" or len(found) != rows.shape[0]:
        raise InvalidArgumentError(
            f"stack_dynamic_partitions: expected {rows.shape[0]} integers, received {found.dtype} {found.shape}."
        )
    if found.size and not (found.min() >= 0 and found.max() < count):
        raise InvalidArgumentError(f"stack_dynamic_partitions: partitions must be in [0, {count}).")
    kept = take(rows, np.argsort(found, kind="stable"))
    return RaggedTensor.of_checked(kept, splits_of(np.bincount(found, minlength=count).astype(np.int64)))


def _boolean_mask_op(tensor: Any, mask: Any, name: str | None = None, axis: int | None = None) -> Rows:
    if axis not in (None, 0):
        raise ValueError(f"boolean_mask of ragged tensors: axis must be 0, received {axis}.")
    return boolean_mask(tensor, mask)


HANDLERS = {
    "expand_dims": expand_dims,
    "concat": concat,
    "stack": stack,
    "tile": tile,
    "where": where,
    "gather": gather,
    "gather_nd": gather_nd,
    "size": size,
    "rank": rank,
    "boolean_mask": _boolean_mask_op,
}
