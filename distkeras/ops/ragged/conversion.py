"""Ragged tensors from dense and sparse ones, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.context import state
from distkeras.core.ragged_tensor import RaggedTensor, splits_of, splits_type
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op
from distkeras.ops.elementwise import cast
from distkeras.ops.indexing import gather
from distkeras.ops.joining import concat
from distkeras.ops.ragged.rows import known, partitioned, places_in, take
from distkeras.ops.shape import broadcast_to, reshape


def from_tensor(
    tensor: Any,
    lengths: Any = None,
    padding: Any = None,
    ragged_rank: int = 1,
    name: str | None = None,
    row_splits_dtype: Any = "int64",
) -> RaggedTensor:
    """A ragged tensor of a dense one's rows.

    Args:
        tensor: [rows, size, ...].
        lengths: [rows]: how many values of each row are taken; or a list of such vectors, for nested rows.
        padding: Values equal to this one at the ends of rows are left away. Not with `lengths`.
        ragged_rank: How many dimensions become ragged.
        row_splits_dtype: int32 or int64.

    Raises:
        ValueError: Both lengths and padding are given, or there are too few dimensions.

    >>> import distkeras as tf
    >>> tf.RaggedTensor.from_tensor([[1, 2, 0], [3, 0, 0]], padding=0)
    <tf.RaggedTensor [[1, 2], [3]]>
    """
    dense, kind = to_tensor(tensor), splits_type(row_splits_dtype)
    if lengths is not None and padding is not None:
        raise ValueError("RaggedTensor.from_tensor: specify lengths or padding, but not both.")
    if isinstance(lengths, (list, tuple)) and lengths and not isinstance(lengths[0], (int, float, np.integer)):
        if ragged_rank not in (1, len(lengths)):
            raise ValueError("RaggedTensor.from_tensor: ragged_rank must be the number of vectors in lengths.")
        return _nested_lengths(dense, lengths, kind)
    if not 0 < ragged_rank < max(dense.ndim, 1):
        raise ValueError(
            f"RaggedTensor.from_tensor: ragged_rank must be greater than 0 and less than the number of dimensions; "
            f"received {ragged_rank} for shape {dense.shape}."
        )
    rows = partitioned(dense, ragged_rank, kind)
    if lengths is None and padding is None:
        return rows
    counts = _counts(dense, ragged_rank, lengths, padding)
    return _cut(rows, ragged_rank, counts.reshape(-1), kind)


def _counts(dense: Tensor, depth: int, lengths: Any, padding: Any) -> np.ndarray:
    """How many values are kept of each row of the innermost ragged dimension."""
    size = dense.shape[depth]
    if lengths is not None:
        if depth > 1:
            raise ValueError("RaggedTensor.from_tensor: give a list of lengths with ragged_rank > 1.")
        counts = known(lengths, "lengths")
        if counts.shape != dense.shape[:1]:
            raise InvalidArgumentError(
                f"RaggedTensor.from_tensor: expected {dense.shape[0]} lengths, received shape {counts.shape}."
            )
        return np.clip(counts, 0, size).astype(np.int64)
    value = to_tensor(padding, dense.dtype)._value("the padding")
    inner = tuple(dense.shape[depth + 1 :])
    if value.shape != inner:
        raise ValueError(f"RaggedTensor.from_tensor: padding must have shape {inner}, received {value.shape}.")
    other = dense._value("values that are compared with the padding") != value
    other = other.reshape(*dense.shape[: depth + 1], -1).any(-1)
    return np.where(other.any(-1), size - other[..., ::-1].argmax(-1), 0)


def _cut(rows: RaggedTensor, depth: int, counts: np.ndarray, kind: np.dtype) -> RaggedTensor:
    if depth > 1:
        return RaggedTensor.of_checked(_cut(rows.values, depth - 1, counts, kind), rows.splits)
    kept = take(rows.values, places_in(rows.splits[:-1], counts))
    return RaggedTensor.of_checked(kept, splits_of(counts.astype(kind)))


def _nested_lengths(dense: Tensor, lengths: Sequence[Any], kind: np.dtype) -> RaggedTensor:
    first = from_tensor(dense, np.asarray(to_tensor(lengths[0])), row_splits_dtype=kind)
    if len(lengths) == 1:
        return first
    return first.with_values(_nested_lengths(first.values, lengths[1:], kind))


def to_dense(self: RaggedTensor, default_value: Any = None, name: str | None = None) -> Tensor:
    """The rows filled up to the longest one's length.

    Args:
        default_value: What they are filled with, of the values' type; 0, False or '' by default.

    >>> import distkeras as tf
    >>> tf.ragged.constant([[1, 2], [3]]).to_tensor(-1).numpy().tolist()
    [[1, 2], [3, -1]]
    """
    flat = self.flat_values
    sizes, places = _dense_places(self)
    inner = tuple(flat.shape[1:])
    if default_value is None:
        filling = to_tensor(b"" if flat.dtype == "string" else 0)
        filling = filling if flat.dtype == "string" else cast(filling, flat.dtype)
    else:
        filling = to_tensor(default_value, flat.dtype)
    if filling.shape != inner[len(inner) - filling.ndim :] or filling.ndim > len(inner):
        raise InvalidArgumentError(
            f"RaggedTensor.to_tensor: default_value must have shape {inner}, or a part of it, received {filling.shape}."
        )
    if not (state.tapes or state.trace):  # as fast as can be, where nothing is recorded
        dense = np.empty((int(np.prod(sizes)), *inner), flat.dtype.numpy)
        dense[...] = filling._array
        dense[places] = flat._array
        return Tensor(dense.reshape(*sizes, *inner))
    sources = np.full(int(np.prod(sizes)), flat.shape[0], np.int64)
    sources[places] = np.arange(flat.shape[0])
    with_filling = concat([flat, broadcast_to(filling, (1, *inner))], 0)
    return reshape(gather(with_filling, Tensor(sources)), (*sizes, *inner))


@op
def ragged_to_tensor(input: Any, default_value: Any = None) -> Tensor:
    """`RaggedTensor.to_tensor` as an op, for the functional API."""
    return to_dense(input, default_value)


def _dense_places(rows: RaggedTensor) -> tuple[list[int], np.ndarray]:
    """The sizes of the dense tensor's first dimensions, and for each flat value its place in these, merged."""
    sizes, places = [len(rows)], np.arange(len(rows))
    for splits in rows.nested_splits:
        lengths = np.diff(splits)
        most = int(lengths.max(initial=0))
        places = np.repeat(places * most, lengths) + places_in(np.zeros(len(lengths), np.int64), lengths)
        sizes.append(most)
    return sizes, places


def from_sparse(st_input: SparseTensor, name: str | None = None, row_splits_dtype: Any = "int64") -> RaggedTensor:
    """A ragged tensor of the values of a two-dimensional sparse one, which must have no gaps in its rows.

    >>> import distkeras as tf
    >>> tf.RaggedTensor.from_sparse(tf.sparse.from_dense([[5, 6, 0], [7, 0, 0]]))
    <tf.RaggedTensor [[5, 6], [7]]>
    """
    if not isinstance(st_input, SparseTensor):
        raise TypeError(f"RaggedTensor.from_sparse: expected a SparseTensor, received {st_input!r}.")
    if st_input.ndim != 2:
        raise ValueError(f"RaggedTensor.from_sparse: expected rank=2; received {st_input.shape}.")
    indices = st_input.indices.numpy()
    counts = np.bincount(indices[:, 0], minlength=st_input.shape[0]).astype(splits_type(row_splits_dtype))
    expected = np.column_stack([np.repeat(np.arange(len(counts)), counts), places_in(0 * counts, counts)])
    if not np.array_equal(indices, expected):
        raise InvalidArgumentError(
            "RaggedTensor.from_sparse: SparseTensor is not right-ragged: rows have gaps, or are not in order."
        )
    return RaggedTensor.of_checked(st_input.values, splits_of(counts))


def to_sparse(self: RaggedTensor, name: str | None = None) -> SparseTensor:
    """A sparse tensor of the values.

    >>> import distkeras as tf
    >>> tf.ragged.constant([[1, 2], [], [3]]).to_sparse().indices.numpy().tolist()
    [[0, 0], [0, 1], [2, 0]]
    """
    sizes, places = _dense_places(self)
    flat = self.flat_values
    inner = tuple(flat.shape[1:])
    outer = np.stack(np.unravel_index(places, sizes), 1).reshape(-1, len(sizes))
    if inner:
        each = np.indices(inner).reshape(len(inner), -1).T
        outer = np.column_stack([np.repeat(outer, len(each), 0), np.tile(each, (len(outer), 1))])
    return SparseTensor(outer, reshape(flat, (-1,)), [*sizes, *inner])
