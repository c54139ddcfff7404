"""Matrices taken apart: transposes, triangles, diagonals, and products with vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op, operands
from distkeras.ops.elementwise import where, zeros_of
from distkeras.ops.indexing import gather
from distkeras.ops.joining import stack
from distkeras.ops.linalg import matmul
from distkeras.ops.reduction import reduce_sum
from distkeras.ops.shape import expand_dims, reshape, squeeze, transpose


def matrices_of(value: Any, function: str, square: bool = False) -> Tensor:
    x = to_tensor(value)
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise InvalidArgumentError(
            f"{function}: expected {'square matrices' if square else 'matrices'} in the last two dimensions, received "
            f"shape {x.shape}."
        )
    return x


# --- transposes, triangles and diagonals


@op
def matrix_transpose(a: Any, name: str = "matrix_transpose", conjugate: bool = False) -> Tensor:
    """The last two dimensions exchanged."""
    x = matrices_of(a, "matrix_transpose")
    return transpose(x, [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2], conjugate=conjugate)


@op
def adjoint(matrix: Any, name: str | None = None) -> Tensor:
    """The transpose of real matrices."""
    return matrix_transpose(matrix)


@op
def matvec(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """The product of matrices and vectors, whose elements lie in the last dimension of b; see `tf.matmul`."""
    return squeeze(matmul(a, expand_dims(b, -1), transpose_a, adjoint_a=adjoint_a), -1)


@op
def band_part(input: Any, num_lower: int, num_upper: int, name: str | None = None) -> Tensor:
    """The matrices with all but `num_lower` diagonals below and `num_upper` above the main one set to 0; -1: all.

    >>> import distkeras as tf
    >>> tf.linalg.band_part(tf.ones((3, 3)), -1, 0).numpy().tolist()
    [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    x = matrices_of(input, "band_part")
    lower, upper = int(num_lower), int(num_upper)
    distance = np.arange(x.shape[-2])[:, None] - np.arange(x.shape[-1])
    inside = ((lower < 0) | (distance <= lower)) & ((upper < 0) | (-distance <= upper))
    return where(to_tensor(inside), x, zeros_of(x))


def _diagonal_places(rows: int, columns: int, k: Any) -> tuple[np.ndarray, np.ndarray]:
    """The row and column of each element of diagonal k."""
    if not isinstance(k, (int, np.integer)):
        raise ValueError(f"diagonals: k must be one number, how far above the main one it is; received {k!r}.")
    count = min(rows + min(k, 0), columns - max(k, 0))
    if count < 0:
        raise InvalidArgumentError(f"diagonals: a matrix [{rows}, {columns}] has no diagonal {k}.")
    numbers = np.arange(count)
    return numbers - min(k, 0), numbers + max(k, 0)


@op
def diag(
    diagonal: Any,
    name: str = "diag",
    k: int = 0,
    num_rows: int = -1,
    num_cols: int = -1,
    padding_value: Any = 0,
) -> Tensor:
    """Matrices with the given elements on diagonal k and `padding_value` elsewhere.

    Args:
        diagonal: [..., n].
        k: How far above the main diagonal; negative for below.
        num_rows, num_cols: The matrices' size; -1 for the smallest that holds the diagonal, a square if both are.
    """
    x = to_tensor(diagonal)
    if not x.ndim:
        raise InvalidArgumentError("diag: expected at least a vector, received a scalar.")
    n = x.shape[-1]
    square = num_rows == num_cols == -1
    rows = n + (abs(k) if square else max(-k, 0)) if num_rows == -1 else int(num_rows)
    columns = n + (abs(k) if square else max(k, 0)) if num_cols == -1 else int(num_cols)
    at = _diagonal_places(rows, columns, k)
    if at[0].size != n:
        raise InvalidArgumentError(f"diag: {n} elements do not fit diagonal {k} of [{rows}, {columns}].")
    return _on_diagonal(x, to_tensor(padding_value, like=x), rows, columns, at)


def _on_diagonal(elements: Tensor, others: Tensor, rows: int, columns: int, at: tuple) -> Tensor:
    """`elements` at the given places and `others`, broadcast, elsewhere."""
    source, mask = np.zeros((rows, columns), np.int64), np.zeros((rows, columns), bool)
    source[at], mask[at] = np.arange(at[0].size), True
    spread = gather(elements, source, axis=-1) if elements.shape[-1] else others
    return where(to_tensor(mask), spread, others)


@op
def diag_part(input: Any, name: str = "diag_part", k: int = 0, padding_value: Any = 0) -> Tensor:
    """The elements of diagonal k of each matrix. One diagonal needs no padding: `padding_value` changes nothing."""
    x = matrices_of(input, "diag_part")
    rows, columns = x.shape[-2:]
    at = _diagonal_places(rows, columns, k)
    flat = reshape(x, (*x.shape[:-2], rows * columns))
    return gather(flat, at[0] * columns + at[1], axis=-1)


@op
def set_diag(input: Any, diagonal: Any, name: str = "set_diag", k: int = 0) -> Tensor:
    """The matrices with diagonal k replaced."""
    x, new = operands(matrices_of(input, "set_diag"), diagonal)
    at = _diagonal_places(x.shape[-2], x.shape[-1], k)
    if tuple(new.shape) != (*x.shape[:-2], at[0].size):
        raise InvalidArgumentError(
            f"set_diag: diagonal {k} of {x.shape} has shape {(*x.shape[:-2], at[0].size)}, received {new.shape}."
        )
    return _on_diagonal(new, x, x.shape[-2], x.shape[-1], at)


@op
def tensor_diag(diagonal: Any, name: str | None = None) -> Tensor:
    """A tensor of twice the rank, `diagonal` where both halves of the index agree and 0 elsewhere."""
    x = to_tensor(diagonal)
    return reshape(diag(reshape(x, (-1,))), (*x.shape, *x.shape))


@op
def tensor_diag_part(input: Any, name: str | None = None) -> Tensor:
    """The elements for which both halves of the index agree; the inverse of `tensor_diag`."""
    x = to_tensor(input)
    half = x.shape[: x.ndim // 2]
    if x.ndim % 2 or x.shape[x.ndim // 2 :] != half or not x.ndim:
        raise InvalidArgumentError(f"tensor_diag_part: both halves of shape {x.shape} must be equal.")
    count = int(np.prod(half, dtype=np.int64))
    return reshape(diag_part(reshape(x, (count, count))), half)


@op
def trace(x: Any, name: str | None = None) -> Tensor:
    """The sum of the main diagonal of each matrix."""
    return reduce_sum(diag_part(x), -1)


@op
def cross(a: Any, b: Any, name: str | None = None) -> Tensor:
    """The vector product of vectors of 3 elements, in the last dimension."""
    a, b = operands(a, b)
    if a.shape != b.shape or a.shape[-1:] != (3,):
        raise InvalidArgumentError(f"cross: expected two tensors [..., 3], received {a.shape} and {b.shape}.")
    (a0, a1, a2), (b0, b1, b2) = ([x[..., i] for i in range(3)] for x in (a, b))
    return stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], -1)
