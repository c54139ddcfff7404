"""Ops that make tensors: constants, ranges, one-hot rows."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.spec import TensorShape, as_dtype
from distkeras.core.tensor import Tensor, as_array, to_tensor
from distkeras.ops._op import integer, op, sizes_of
from distkeras.ops.elementwise import cast, equal, where
from distkeras.ops.shape import broadcast_to, expand_dims, reshape


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = "Const") -> Tensor:
    """A tensor of the given numbers, all alike if `shape` is larger.

    >>> import distkeras as tf
    >>> tf.constant(1.5, shape=(2,)).numpy().tolist()
    [1.5, 1.5]
    """
    array = as_array(value, dtype)
    if shape is not None:
        shape = sizes_of(shape)
        if array.size != 1 and array.size != int(np.prod(shape, dtype=np.int64)):
            raise TypeError(f"constant: {array.size} values do not fill the shape {shape}.")
        array = np.full(shape, array.reshape(-1)[0]) if array.size == 1 else array.reshape(shape)
    return Tensor(array.copy() if array is value else array)


@op
def convert_to_tensor(value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None) -> Tensor:
    """`value` as a tensor; a tensor of another type than `dtype` is refused."""
    if dtype is None and dtype_hint is not None and not hasattr(value, "dtype"):
        try:
            return to_tensor(value, dtype_hint)
        except (TypeError, ValueError):
            pass  # a hint is no more than that
    return to_tensor(value, dtype)


def zeros(shape: Any, dtype: Any = "float32", name: str | None = None) -> Tensor:
    """All zeros; of strings, empty ones."""
    wanted = as_dtype(dtype)
    return Tensor(np.full(sizes_of(shape), b"" if wanted.name == "string" else 0, wanted.numpy))


def ones(shape: Any, dtype: Any = "float32", name: str | None = None) -> Tensor:
    """All ones."""
    return Tensor(np.ones(sizes_of(shape), as_dtype(dtype).numpy))


@op
def fill(dims: Any, value: Any, name: str | None = None) -> Tensor:
    """A tensor of shape `dims`, every element `value`."""
    return broadcast_to(to_tensor(value), sizes_of(dims))


@op
def zeros_like(input: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """Zeros of a tensor's shape and type."""
    tensor = to_tensor(input)
    return zeros(tensor.shape, dtype or tensor.dtype)


@op
def ones_like(input: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """Ones of a tensor's shape and type."""
    tensor = to_tensor(input)
    return ones(tensor.shape, dtype or tensor.dtype)


@op
def shape(input: Any, out_type: Any = "int32", name: str | None = None) -> Tensor:
    """The sizes as an integer tensor."""
    return Tensor(np.array(to_tensor(input).shape, as_dtype(out_type).numpy))


@op
def size(input: Any, out_type: Any = "int32", name: str | None = None) -> Tensor:
    """The number of elements."""
    return Tensor(np.array(to_tensor(input).spec.size, as_dtype(out_type).numpy))


@op
def rank(input: Any, name: str | None = None) -> Tensor:
    """The number of dimensions."""
    return Tensor(np.array(to_tensor(input).ndim, np.int32))


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range") -> Tensor:
    """start, start + delta, ... below limit; `range(n)` counts from 0."""
    if limit is None:
        start, limit = 0, start
    parts = [as_array(to_tensor(part)) for part in (start, limit, delta)]
    if not parts[2]:
        raise InvalidArgumentError("range: delta must not be 0.")
    if (parts[1] - parts[0]) * parts[2] < 0:
        raise InvalidArgumentError(f"range: {limit} is not reached from {start} by steps of {delta}.")
    if dtype is None:
        dtype = max((as_dtype(part.dtype).name for part in parts), key=_range_rank)
    wide = as_dtype(dtype).numpy
    return Tensor(np.arange(*(part[()] for part in parts), dtype=wide))


def _range_rank(name: str) -> int:
    order = ["int32", "int64", "float32", "float64"]
    if name not in order:
        raise InvalidArgumentError(f"range: expected numbers of type {', '.join(order)}, received {name}.")
    return order.index(name)


def linspace(start: Any, stop: Any, num: int, name: str | None = None) -> Tensor:
    """`num` values from start to stop, both included; float64 between integers."""
    first, last = as_array(to_tensor(start)), as_array(to_tensor(stop))
    count = integer(num, "num")
    return Tensor(np.linspace(first, last, count, dtype=first.dtype if first.dtype.kind == "f" else np.float64))


def eye(
    num_rows: int,
    num_columns: int | None = None,
    batch_shape: Any = None,
    dtype: Any = "float32",
    name: str | None = None,
) -> Tensor:
    """The identity matrix, repeated over `batch_shape`."""
    rows = integer(num_rows, "num_rows")
    columns = None if num_columns is None else integer(num_columns, "num_columns")
    matrix = np.eye(rows, columns, dtype=as_dtype(dtype).numpy)
    return broadcast_to(Tensor(matrix), (*sizes_of(batch_shape or ()), *matrix.shape))


@op
def meshgrid(*args: Any, indexing: str = "xy", name: str | None = None) -> list[Tensor]:
    """The coordinates of a grid: one tensor for each axis, all of the grid's shape.

    Args:
        args: The coordinates along each axis.
        indexing: 'xy', for which the first axis runs along columns, or 'ij'.

    >>> import distkeras as tf
    >>> x, y = tf.meshgrid([1, 2, 3], [4, 5])
    >>> x.numpy().tolist(), y.numpy().tolist()
    ([[1, 2, 3], [1, 2, 3]], [[4, 4, 4], [5, 5, 5]])
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', received {indexing!r}.")
    axes = list(builtins.range(len(args)))
    if indexing == "xy":
        axes[:2] = axes[1::-1]
    lines = [
        reshape(arg, [-1 if axis == place else 1 for place in builtins.range(len(args))])
        for axis, arg in zip(axes, args, strict=True)
    ]
    shape = np.broadcast_shapes(*(line.shape for line in lines))
    return [broadcast_to(line, shape) for line in lines]


@op
def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """`x`, whose shape must be `shape`; sizes of that may be None.

    Raises:
        InvalidArgumentError: It is another one.
    """
    tensor = to_tensor(x)
    if not TensorShape(shape).is_compatible_with(tensor.shape):
        raise InvalidArgumentError(f"ensure_shape: expected the shape {TensorShape(shape)}, received {tensor.shape}.")
    return tensor


@op
def one_hot(
    indices: Any,
    depth: int,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Tensor:
    """Vectors of length `depth`, `on_value` at the index and `off_value` elsewhere; an index out of range has none."""
    indices = to_tensor(indices)
    if not indices.dtype.is_integer:
        raise InvalidArgumentError(f"one_hot: indices must be integers, received dtype {indices.dtype.name}.")
    depth = integer(depth, "depth")
    if depth < 0:
        raise InvalidArgumentError(f"one_hot: depth must not be negative, received {depth}.")
    axis = indices.ndim if axis in (None, -1) else int(axis)
    places = reshape(to_tensor(np.arange(int(depth), dtype=indices.dtype.numpy)), (-1,) + (1,) * (indices.ndim - axis))
    hits = equal(expand_dims(indices, axis), places)
    if on_value is None and off_value is None:
        return cast(hits, dtype or "float32")
    if dtype is None:
        dtype = to_tensor(off_value if on_value is None else on_value).dtype
    on_value, off_value = 1 if on_value is None else on_value, 0 if off_value is None else off_value
    return where(hits, to_tensor(on_value, dtype), to_tensor(off_value, dtype))
