"""Sparse tensors: from dense ones, to dense ones, in order, and their products. Not inside of traced functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.context import state
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops.creation import fill
from distkeras.ops.elementwise import cast
from distkeras.ops.linalg import matmul
from distkeras.ops.scatter import scatter_nd, tensor_scatter_nd_update


def _sparse(value: Any, function: str) -> SparseTensor:
    if not isinstance(value, SparseTensor):
        raise TypeError(f"sparse.{function}: expected a SparseTensor, received {value!r}.")
    return value


def from_dense(tensor: Any, name: str | None = None) -> SparseTensor:
    """The elements that are not zero (not the empty text), row by row.

    >>> import distkeras as tf
    >>> tf.sparse.from_dense([[0, 3], [0, 0]]).indices.numpy().tolist()
    [[0, 1]]
    """
    array = to_tensor(tensor)._value("a sparse tensor")
    present = array != (b"" if array.dtype == object else 0)
    return SparseTensor(np.argwhere(present), array[present], np.array(array.shape, np.int64))


def to_dense(
    sp_input: SparseTensor, default_value: Any = None, validate_indices: bool = True, name: str | None = None
) -> Tensor:
    """The whole tensor; elements that are not in it are `default_value`, by default 0, False or ''.

    A tensor that is dense already stays as it is.

    Raises:
        InvalidArgumentError: With `validate_indices`, indices repeat or are not in order.
    """
    if isinstance(sp_input, Tensor):
        return sp_input
    sparse = _sparse(sp_input, "to_dense")
    if validate_indices:
        _check_order(sparse)
    if sparse.dtype == "string" or not (state.tapes or state.trace):  # as fast as can be, where nothing is recorded
        absent = b"" if sparse.dtype == "string" else 0
        missing = absent if default_value is None else to_tensor(default_value).numpy()
        dense = np.full(sparse.shape, missing, sparse.dtype.numpy)
        dense[tuple(sparse.indices.numpy().T)] = sparse.values.numpy()
        return Tensor(dense)
    if default_value is None and sparse.dtype != "bool":
        return scatter_nd(sparse.indices, sparse.values, sparse.shape)
    filled = fill(sparse.shape, cast(to_tensor(default_value or 0), sparse.dtype))
    return tensor_scatter_nd_update(filled, sparse.indices, sparse.values)


def _check_order(sparse: SparseTensor) -> None:
    places = _flat_places(sparse)
    if (np.diff(places) <= 0).any():
        raise InvalidArgumentError(
            "SparseTensor: indices repeat or are out of order; tf.sparse.reorder puts them in order, "
            "validate_indices=False takes them as they are."
        )


def _flat_places(sparse: SparseTensor) -> np.ndarray:
    """For each element its place in the flattened tensor."""
    indices = sparse.indices.numpy()
    if not len(indices):
        return np.zeros(0, np.int64)
    return np.ravel_multi_index(tuple(indices.T), tuple(sparse.shape))


def reorder(sp_input: SparseTensor, name: str | None = None) -> SparseTensor:
    """The same tensor with its elements row by row."""
    sparse = _sparse(sp_input, "reorder")
    order = np.argsort(_flat_places(sparse), kind="stable")
    return SparseTensor(sparse.indices.numpy()[order], sparse.values.numpy()[order], sparse.dense_shape)


def reshape(sp_input: SparseTensor, shape: Sequence[int], name: str | None = None) -> SparseTensor:
    """The same elements in another shape, of which one size may be -1."""
    sparse = _sparse(sp_input, "reshape")
    whole = int(np.prod(sparse.shape, dtype=np.int64))
    sizes = [int(size) for size in to_tensor(shape).numpy()]
    if -1 in sizes:
        others = -int(np.prod(sizes))
        sizes[sizes.index(-1)] = whole // others if others else 0
    if int(np.prod(sizes, dtype=np.int64)) != whole:
        raise InvalidArgumentError(f"sparse.reshape: {tuple(sparse.shape)} cannot become {tuple(shape)}.")
    places = np.stack(np.unravel_index(_flat_places(sparse), sizes), 1) if sizes else np.zeros((0, 0), np.int64)
    return SparseTensor(places, sparse.values, sizes)


def sparse_dense_matmul(
    sp_a: SparseTensor, b: Any, adjoint_a: bool = False, adjoint_b: bool = False, name: str | None = None
) -> Tensor:
    """The product of a sparse and a dense matrix; the sparse one is made dense for it.

    >>> import distkeras as tf
    >>> tf.sparse.sparse_dense_matmul(tf.SparseTensor([[0, 1]], [2.0], [1, 2]), [[1.0], [5.0]]).numpy().tolist()
    [[10.0]]
    """
    dense = to_dense(_sparse(sp_a, "sparse_dense_matmul"), validate_indices=False)
    return matmul(dense, b, transpose_a=adjoint_a, transpose_b=adjoint_b)
