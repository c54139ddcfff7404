"""Writing to places given by index, and reductions over rows that belong together."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Primitive
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import named, op, operands, static_ints
from distkeras.ops.elementwise import (
    cast,
    divide_no_nan,
    equal,
    maximum,
    multiply,
    ones_of,
    sqrt,
    where,
    zeros_of,
)
from distkeras.ops.indexing import checked_indices, flat_indices, gather, scatter_add
from distkeras.ops.shape import broadcast_to, reshape


def _rows(indices: Any, updates: Any, shape: tuple[int, ...]) -> tuple[Tensor, Tensor, int]:
    """Row numbers, the updates as rows, and how many rows there are, for updates of a tensor of `shape`."""
    indices, updates = to_tensor(indices), to_tensor(updates)
    depth = indices.shape[-1] if indices.ndim else 0
    wanted = (*indices.shape[:-1], *shape[depth:])
    if not indices.dtype.is_integer or depth > len(shape) or tuple(updates.shape) != wanted:
        raise InvalidArgumentError(
            f"scatter: for indices {indices.dtype.name} {indices.shape} into shape {shape}, expected integers, at most "
            f"{len(shape)} coordinates, and updates of shape {wanted}; received {updates.shape}."
        )
    places = reshape(flat_indices(indices, shape[:depth]), (-1,))
    rows = int(np.prod(shape[:depth], dtype=np.int64))
    return places, reshape(updates, (places.shape[0], *shape[depth:])), rows


@op
def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Tensor:
    """Zeros of `shape` with each update added at its coordinates.

    >>> import distkeras as tf
    >>> tf.scatter_nd([[1], [3], [1]], [5, 6, 7], [4]).numpy().tolist()
    [0, 12, 0, 6]
    """
    shape = static_ints(shape)
    places, updates, rows = _rows(indices, updates, shape)
    return reshape(scatter_add(updates, places, rows=rows), shape)


@op
def tensor_scatter_nd_add(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """`tensor` with each update added at its coordinates."""
    tensor, updates = operands(tensor, updates)
    return tensor + scatter_nd(indices, updates, tensor.shape)


@op
def tensor_scatter_nd_sub(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """`tensor` with each update subtracted at its coordinates."""
    tensor, updates = operands(tensor, updates)
    return tensor - scatter_nd(indices, updates, tensor.shape)


def _set_numpy(table: np.ndarray, places: np.ndarray, updates: np.ndarray) -> np.ndarray:
    out = table.copy()
    out[places] = updates
    return out


# Rows replaced; where a row is named twice, the last update stays, and both get its gradient, as in TensorFlow.
_scatter_set = Primitive("scatter_set", numpy=_set_numpy)
_scatter_set.def_shape(lambda table, places, updates: table)
_scatter_set.def_vjp(
    lambda gradients, inputs, outputs: (
        lambda: _scatter_set(gradients[0], inputs[1], _zeros_like(inputs[2])),
        None,
        lambda: gather(gradients[0], inputs[1]),
    )
)


def _zeros_like(tensor: Tensor) -> Tensor:
    return broadcast_to(zeros_of(tensor), tensor.shape)


@op
def tensor_scatter_nd_update(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """`tensor` with each update put at its coordinates; of several for one place the last stays."""
    tensor, updates = operands(tensor, updates)
    places, updates, rows = _rows(indices, updates, tuple(tensor.shape))
    table = reshape(tensor, (rows, *updates.shape[1:]))
    return reshape(_scatter_set(table, places, updates), tensor.shape)


# --- segments: rows with one number are reduced to one row

_AT = {"max": np.maximum.at, "min": np.minimum.at, "prod": np.multiply.at}


def _start(kind: str, dtype: np.dtype) -> Any:
    if kind == "prod":
        return 1
    if dtype.kind == "f":
        return np.finfo(dtype).min if kind == "max" else np.finfo(dtype).max
    return np.iinfo(dtype).min if kind == "max" else np.iinfo(dtype).max


def _segment_numpy(data: np.ndarray, ids: np.ndarray, kind: str, rows: int) -> np.ndarray:
    out = np.full((rows, *data.shape[1:]), _start(kind, data.dtype), data.dtype)
    _AT[kind](out, ids, data)
    return out


_segment = Primitive("segment_reduce", numpy=_segment_numpy)
_segment.def_shape(lambda data, ids, kind, rows: TensorSpec((rows, *data.shape[1:]), data.dtype))


@_segment.def_vjp
def _segment_vjp(gradients: tuple, inputs: tuple, outputs: tuple, kind: str, rows: int) -> tuple:
    data, ids = inputs

    def of_extremum() -> Tensor:
        """Shared evenly between equal extrema."""
        hits = cast(equal(data, gather(outputs[0], ids)), data.dtype)
        share = divide_no_nan(gradients[0], scatter_add(hits, ids, rows=rows))
        return multiply(hits, gather(share, ids))

    def of_product() -> Tensor:
        """The product of the others: a quotient, but where a factor is 0."""
        zero = equal(data, zeros_of(data))
        factors = where(zero, ones_of(data), data)
        rest = gather(_segment(factors, ids, kind=kind, rows=rows), ids) / factors
        zeros = gather(scatter_add(cast(zero, data.dtype), ids, rows=rows), ids)
        others = where(equal(zeros - cast(zero, data.dtype), zeros_of(data)), rest, zeros_of(data))
        return multiply(others, gather(gradients[0], ids))

    return (of_product if kind == "prod" else of_extremum), None


def _segments(data: Any, segment_ids: Any, num_segments: Any, function: str) -> tuple[Tensor, Tensor, int]:
    """The rows, for each the number of its segment, and how many there are; negative numbers get one more, to drop."""
    data, ids = to_tensor(data), to_tensor(segment_ids)
    if not ids.dtype.is_integer or tuple(data.shape[: ids.ndim]) != tuple(ids.shape):
        raise InvalidArgumentError(
            f"{function}: segment_ids must be integers for the first dimensions of {data.shape}, received "
            f"{ids.dtype.name} {ids.shape}."
        )
    count = static_ints(num_segments, "number of segments")[0]
    ids = reshape(ids, (-1,))
    inside = checked_indices(maximum(ids, zeros_of(ids)), (count,))
    ids = where(ids < 0, to_tensor(np.array(count, ids.dtype.numpy)), inside)
    return reshape(data, (ids.shape[0], *data.shape[to_tensor(segment_ids).ndim :])), ids, count


def _unsorted(kind: str, summary: str) -> Any:
    def function(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
        data, ids, count = _segments(data, segment_ids, num_segments, f"unsorted_segment_{kind}")
        if kind in _AT:
            return _segment(data, ids, kind=kind, rows=count + 1)[:count]
        total = scatter_add(data, ids, rows=count + 1)[:count]
        if kind == "sum":
            return total
        sizes = scatter_add(broadcast_to(ones_of(data), ids.shape), ids, rows=count + 1)[:count]
        sizes = reshape(maximum(sizes, ones_of(sizes)), (count,) + (1,) * (total.ndim - 1))
        return total / (sizes if kind == "mean" else sqrt(sizes))

    summary = f"{summary} of the rows of each segment; rows with negative numbers are left out."
    return op(named(function, f"unsorted_segment_{kind}", summary))


unsorted_segment_sum = _unsorted("sum", "The sum")
unsorted_segment_mean = _unsorted("mean", "The mean")
unsorted_segment_sqrt_n = _unsorted("sqrt_n", "The sum, divided by the square root of their number,")
unsorted_segment_max = _unsorted("max", "The largest element")
unsorted_segment_min = _unsorted("min", "The smallest element")
unsorted_segment_prod = _unsorted("prod", "The product")


def _sorted(kind: str, unsorted: Any, summary: str) -> Any:
    def function(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
        data, ids = to_tensor(data), to_tensor(segment_ids)
        known = ids._value(f"a number of segments (tf.math.unsorted_segment_{kind} takes it as an argument)")
        if known.ndim != 1 or (np.diff(known) < 0).any() or (known.size and known[0] < 0):
            raise InvalidArgumentError(f"segment_{kind}: segment ids must be a vector that never decreases, from 0 on.")
        count = int(known[-1]) + 1 if known.size else 0
        result = unsorted(data, ids, count)
        if kind not in ("max", "min"):
            return result
        # A segment without rows is 0 here, and the type's bound in the unsorted version.
        empty = reshape(to_tensor(np.bincount(known, minlength=count) == 0), (count,) + (1,) * (result.ndim - 1))
        return where(empty, zeros_of(result), result)

    summary = f"{summary} of the rows of each segment; the numbers never decrease and must be known."
    return op(named(function, f"segment_{kind}", summary))


segment_sum = _sorted("sum", unsorted_segment_sum, "The sum")
segment_mean = _sorted("mean", unsorted_segment_mean, "The mean")
segment_max = _sorted("max", unsorted_segment_max, "The largest element")
segment_min = _sorted("min", unsorted_segment_min, "The smallest element")
segment_prod = _sorted("prod", unsorted_segment_prod, "The product")
