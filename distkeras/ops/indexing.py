"""Indexing: slices, gathering rows, picking elements."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import CaptureError, InvalidArgumentError
from distkeras.core.indexed_slices import IndexedSlices
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import Rows, each_row
from distkeras.core.spec import TensorShape, TensorSpec
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.kernels.gather import add_rows
from distkeras.ops._op import axis_of, op, static_ints
from distkeras.ops.elementwise import cast, where
from distkeras.ops.joining import concat, split
from distkeras.ops.linalg import clip_by_norm
from distkeras.ops.reduction import reduce_sum
from distkeras.ops.shape import expand_dims, reshape, slice_primitive, transpose

# --- basic indexing


@op
def getitem(tensor: Any, key: Any) -> Tensor:
    """`tensor[key]` for ints, slices, `...`, tf.newaxis, and a boolean mask."""
    tensor = to_tensor(tensor)
    if isinstance(key, (Tensor, np.ndarray)) and key.dtype == bool:
        return boolean_mask(tensor, key)
    items = list(key) if isinstance(key, tuple) else [key]
    if sum(item is Ellipsis for item in items) > 1:
        raise InvalidArgumentError("An index can only have a single ellipsis ('...').")
    taken = sum(item is not None and item is not Ellipsis for item in items)
    if taken > tensor.ndim:
        raise InvalidArgumentError(f"Too many indices: {taken} for a tensor of shape {tensor.shape}.")
    if Ellipsis not in [item for item in items if item is None or item is Ellipsis]:
        items.append(Ellipsis)
    place = next(i for i, item in enumerate(items) if item is Ellipsis)
    items[place : place + 1] = [slice(None)] * (tensor.ndim - taken)
    if any(isinstance(item, SymbolicTensor) for item in items):
        return _dynamic_getitem(tensor, items)
    return _static_getitem(tensor, items)


def _static_getitem(tensor: Tensor, items: list) -> Tensor:
    index, shape, axis = [], [], 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        size = tensor.shape[axis]
        if isinstance(item, slice):
            start, stop, step = slice(
                *(None if part is None else int(part) for part in (item.start, item.stop, item.step))
            ).indices(size)
            count = len(range(start, stop, step))
            # A negative stop means "before the first element", which a slice can only say with None.
            index.append((start, None if stop < 0 else stop, step) if count else (0, 0, 1))
            shape.append(count)
        else:
            position = _position(item)
            if not -size <= position < size:
                raise InvalidArgumentError(
                    f"slice index {position} of dimension {axis} out of bounds for shape {tensor.shape}."
                )
            index.append(position % size)
        axis += 1
    if all(part == (0, size, 1) for part, size in zip(index, tensor.shape, strict=True)):
        return reshape(tensor, shape)
    return reshape(slice_primitive(tensor, tuple(index)), shape)


def _position(item: Any) -> int:
    try:
        return operator.index(item)
    except CaptureError:
        raise
    except TypeError:
        raise TypeError(
            "Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`), scalar integer tensors and one bool "
            f"mask are valid indices, received {item!r}: use tf.gather to pick several elements."
        ) from None


def _dynamic_getitem(tensor: Tensor, items: list) -> Tensor:
    """Positions that are known only when the function runs are gathered, one dimension at a time."""
    axis = 0
    static = []
    for item in items:
        if isinstance(item, SymbolicTensor):
            counted = where(item < 0, item + tensor.shape[axis], item)
            tensor = expand_dims(gather(tensor, counted, axis=axis), axis)
            item = 0
        static.append(item)
        axis += item is not None
    return _static_getitem(tensor, static)


@op
def slice_(input_: Any, begin: Any, size: Any, name: str | None = None) -> Tensor:
    """The block of `size` elements from `begin`; a size of -1 goes to the end."""
    tensor = to_tensor(input_)
    starts, sizes = static_ints(begin, "list of starts"), static_ints(size, "list of sizes")
    if len(starts) != tensor.ndim or len(sizes) != tensor.ndim:
        raise InvalidArgumentError(
            f"slice: begin {starts} and size {sizes} must have one entry for each dimension of {tensor.shape}."
        )
    for axis, (start, count, present) in enumerate(zip(starts, sizes, tensor.shape, strict=True)):
        if not 0 <= start <= start + max(count, 0) <= present or count < -1:
            raise InvalidArgumentError(
                f"slice: dimension {axis} of {tensor.shape} has no {count} elements from {start} on."
            )
    index = tuple(slice(a, None if n == -1 else a + n) for a, n in zip(starts, sizes, strict=True))
    return getitem(tensor, index)


@op
def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Tensor:
    """Elements moved on by `shift` places along `axis`; what leaves at the end comes in at the beginning.

    >>> import distkeras as tf
    >>> tf.roll([1, 2, 3, 4], shift=1, axis=0).numpy().tolist()
    [4, 1, 2, 3]
    """
    tensor = to_tensor(input)
    shifts, axes = static_ints(shift, "list of shifts"), static_ints(axis, "list of axes")
    if len(shifts) != len(axes):
        raise InvalidArgumentError(f"roll: expected one shift for each axis, received {shifts} and {axes}.")
    for places, index in zip(shifts, axes, strict=True):
        index = axis_of(index, tensor.ndim)
        size = tensor.shape[index]
        cut = -places % size if size else 0
        if cut:
            tensor = concat(split(tensor, [cut, size - cut], index)[::-1], index)
    return tensor


# --- gather: rows by number

_gather = Primitive("gather")
_gather.def_shape(lambda table, indices: TensorSpec((*indices.shape, *table.shape[1:]), table.dtype))


@_gather.def_kernel
def _gather_kernel(inputs: Sequence, outputs: Sequence, scratch: Any) -> Calls:
    table, indices = inputs
    return [(_take, (table, indices, outputs[0]))]


def _take(table: np.ndarray, indices: np.ndarray, out: np.ndarray) -> None:
    if indices.size and not (indices.min() >= 0 and indices.max() < table.shape[0]):
        place = tuple(np.argwhere((indices < 0) | (indices >= table.shape[0]))[0].tolist())
        shown = f"indices[{','.join(map(str, place))}]" if place else "indices"
        raise InvalidArgumentError(f"gather: {shown} = {indices[place]} is not in [0, {table.shape[0]}).")
    np.take(table, indices, axis=0, out=out, mode="clip")  # checked above; 'raise' would copy `out`


_gather.def_vjp(
    lambda gradients, inputs, outputs: (
        lambda: _rows_of_table(gradients[0], inputs[1], inputs[0].shape),
        None,
    )
)


def _rows_of_table(gradient: Tensor, indices: Tensor, shape: TensorShape) -> IndexedSlices:
    rows = reshape(gradient, (indices.spec.size, *shape[1:]))
    return IndexedSlices(rows, reshape(indices, (indices.spec.size,)), shape)


@_gather.def_cut
def _gather_cut(units: tuple, specs: tuple, samples: int) -> Rows | None:
    """Rows of indices, looked up in a whole table."""
    return each_row(1)(units, specs, samples)


_scatter_add = Primitive("scatter_add")


@_scatter_add.def_shape
def _scatter_shape(updates: TensorSpec, indices: TensorSpec, rows: int) -> TensorSpec:
    return TensorSpec((rows, *updates.shape[indices.shape.rank :]), updates.dtype)


@_scatter_add.def_kernel
def _scatter_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, rows: int) -> Calls:
    updates, indices = inputs
    """Zeros with the updates added to their rows, in order. `gather` has refused indices outside of the table."""
    out, ids = outputs[0], indices.reshape(-1)
    clear = (out.fill, (0,))
    if out.dtype not in (np.float32, np.float64):
        return [clear, (np.add.at, (out, ids, updates.reshape((ids.size, *out.shape[1:]))))]
    width = int(np.prod(out.shape[1:], dtype=np.int64))
    wide_ids, outside = scratch(ids.shape, np.int64), scratch((1,), np.int64)
    add = (add_rows[out.dtype], (wide_ids, updates.reshape(ids.size, width), out.reshape(rows, width), outside))
    return [clear, (np.copyto, (wide_ids, ids)), add]


_scatter_add.def_vjp(lambda gradients, inputs, outputs, rows: (lambda: _gather(gradients[0], inputs[1]), None))


_checked = Primitive("checked_indices")
_checked.def_shape(lambda indices, limits: indices)


def scatter_add(updates: Tensor, indices: Tensor, rows: int) -> Tensor:
    """Zeros of [rows, ...] with each update added to its row; indices must lie in [0, rows): see `checked_indices`."""
    return _scatter_add(updates, indices, rows=rows)


def checked_indices(indices: Tensor, limits: tuple[int, ...]) -> Tensor:
    """The same indices, refused when the function runs unless they lie in [0, limits), one limit a coordinate."""
    return _checked(indices, limits=tuple(limits))


def flat_indices(indices: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Row numbers of a tensor whose first dimensions, of the given sizes, are merged, from coordinates, checked."""
    strides = np.cumprod([1, *reversed(sizes[1:])])[::-1][: len(sizes)] if sizes else np.zeros(0)
    coordinates = checked_indices(indices, sizes)
    return reduce_sum(coordinates * to_tensor(np.array(strides, indices.dtype.numpy)), axis=-1)


@_checked.def_kernel
def _checked_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, limits: tuple) -> Calls:
    """The same indices, once it is clear that all lie in [0, limits): coordinates are in the last dimension."""
    return [(_check_indices, (inputs[0], np.array(limits), outputs[0]))]


def _check_indices(indices: np.ndarray, limits: np.ndarray, out: np.ndarray) -> None:
    wrong = (indices < 0) | (indices >= limits)
    if wrong.any():
        raise InvalidArgumentError(f"gather: index {indices[wrong][0]} is not in [0, {limits.tolist()}).")
    np.copyto(out, indices)


@op
def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: int | None = None,
    batch_dims: int = 0,
    name: str | None = None,
) -> Tensor:
    """The slices of `params` at `indices` along `axis` (0 by default).

    `validate_indices` changes nothing, as in TensorFlow: indices are always checked.

    >>> import distkeras as tf
    >>> tf.gather([[1, 2], [3, 4]], [1, 0]).numpy().tolist()
    [[3, 4], [1, 2]]
    """
    if isinstance(params, Variable):
        params.is_gathered = True
        params = params.value_in_place()
    table, indices = to_tensor(params), to_tensor(indices)
    if not indices.dtype.is_integer:
        raise InvalidArgumentError(f"gather: indices must be integers, received dtype {indices.dtype.name}.")
    batch_dims = batch_dims + indices.ndim if batch_dims < 0 else int(batch_dims)
    axis = axis_of(batch_dims if axis is None else axis, table.ndim)
    if batch_dims:
        return _gather_batched(table, indices, axis, batch_dims)
    if axis == 0:
        return _gather(table, indices)
    front = transpose(table, (axis, *(i for i in range(table.ndim) if i != axis)))
    rows = _gather(front, indices)
    k = indices.ndim
    order = (*range(k, k + axis), *range(k), *range(k + axis, rows.ndim))
    return transpose(rows, order)


def _gather_batched(table: Tensor, indices: Tensor, axis: int, batch_dims: int) -> Tensor:
    """Fold the batch dimensions into the rows: row r of batch b is row b * rows + r of the folded table."""
    if axis != batch_dims:
        raise InvalidArgumentError(f"gather: with batch_dims={batch_dims}, axis must be {batch_dims}, received {axis}.")
    batch, rows = tuple(table.shape[:batch_dims]), table.shape[batch_dims]
    if tuple(indices.shape[:batch_dims]) != batch:
        raise InvalidArgumentError(f"gather: the batch dimensions of {table.shape} and {indices.shape} differ.")
    count = int(np.prod(batch, dtype=np.int64))
    offsets = np.arange(count, dtype=indices.dtype.numpy).reshape(batch + (1,) * (indices.ndim - batch_dims)) * rows
    indices = _checked(indices, limits=(rows,))
    return _gather(reshape(table, (count * rows, *table.shape[batch_dims + 1 :])), indices + to_tensor(offsets))


@op
def gather_nd(params: Any, indices: Any, batch_dims: int = 0, name: str | None = None) -> Tensor:
    """The slices of `params` at coordinates: the last dimension of `indices` holds one coordinate for each axis."""
    table, indices = to_tensor(params), to_tensor(indices)
    if batch_dims:
        places = np.indices(indices.shape[:-1], indices.dtype.numpy)[:batch_dims]
        indices = concat([np.moveaxis(places, 0, -1), indices], -1)
    depth = indices.shape[-1]
    if depth > table.ndim:
        raise InvalidArgumentError(f"gather_nd: {depth} coordinates for a tensor of shape {table.shape}.")
    rows = int(np.prod(table.shape[:depth], dtype=np.int64))
    flat = flat_indices(indices, tuple(table.shape[:depth]))
    return _gather(reshape(table, (rows, *table.shape[depth:])), flat)


@op
def boolean_mask(tensor: Any, mask: Any, name: str = "boolean_mask", axis: int | None = None) -> Tensor:
    """The elements where the mask holds. The number of them must be known: not inside a traced function."""
    tensor, mask = to_tensor(tensor), to_tensor(mask)
    axis = 0 if axis is None else int(axis)
    if not mask.dtype.is_bool or not mask.ndim or mask.shape != tensor.shape[axis : axis + mask.ndim]:
        raise InvalidArgumentError(
            f"boolean_mask: expected a bool mask of the shape of dimensions {axis}... of {tensor.shape}, received "
            f"{mask.dtype.name} {mask.shape}."
        )
    chosen = np.flatnonzero(mask._value("a mask, whose number of true elements gives the output's shape,"))
    merged = reshape(tensor, (*tensor.shape[:axis], mask.spec.size, *tensor.shape[axis + mask.ndim :]))
    return gather(merged, chosen, axis=axis)


@op
def embedding_lookup(params: Any, ids: Any, max_norm: float | None = None, name: str | None = None) -> Tensor:
    """Rows of an embedding table, each scaled down to at most `max_norm` in length."""
    rows = gather(params, ids)
    if max_norm is None:
        return rows

    return clip_by_norm(rows, max_norm, axes=[-1])


@op
def sequence_mask(lengths: Any, maxlen: int | None = None, dtype: Any = "bool", name: str | None = None) -> Tensor:
    """True for the first `lengths[i]` of `maxlen` places."""
    lengths = to_tensor(lengths)
    limit = int(lengths._value("a length").max()) if maxlen is None else int(maxlen)
    return cast(to_tensor(np.arange(limit, dtype=lengths.dtype.numpy)) < expand_dims(lengths, -1), dtype)
