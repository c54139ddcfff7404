"""Matrix products and norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import SUM, Rows, each_row
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels import gemm
from distkeras.kernels.tree_product import tree_of_products
from distkeras.ops._epilogue import epilogue_rewrites
from distkeras.ops._op import axes_of, axis_of, op, operands, static_ints
from distkeras.ops.elementwise import abs as absolute
from distkeras.ops.elementwise import (
    add_n,
    is_finite,
    maximum,
    multiply,
    ones_of,
    pow,
    rsqrt,
    sqrt,
    square,
    where,
)
from distkeras.ops.reduction import reduce_max, reduce_sum
from distkeras.ops.shape import broadcast_to, reshape, squeeze, transpose

_matmul = Primitive("matmul")


@_matmul.def_shape
def _matmul_shape(a: TensorSpec, b: TensorSpec, transpose_a: bool, transpose_b: bool) -> TensorSpec:
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise InvalidArgumentError(
            f"matmul: expected tensors of at least 2 dimensions, received {a.shape} and {b.shape}."
        )
    rows, inner = reversed(a.shape[-2:]) if transpose_a else a.shape[-2:]
    other, columns = reversed(b.shape[-2:]) if transpose_b else b.shape[-2:]
    if inner != other or tuple(a.shape[:-2]) != tuple(b.shape[:-2]):
        raise InvalidArgumentError(
            f"Matrix size-incompatible: In[0]: {a.shape}{' transposed' if transpose_a else ''}, "
            f"In[1]: {b.shape}{' transposed' if transpose_b else ''}: "
            f"expected {inner} rows in the second, received {other}."
        )
    return TensorSpec((*a.shape[:-2], rows, columns), a.dtype)


@_matmul.def_kernel
def _matmul_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, transpose_a: bool, transpose_b: bool) -> Calls:
    a, b = inputs
    if a.dtype not in (np.float32, np.float64):
        left = a.swapaxes(-1, -2) if transpose_a else a
        return [(np.matmul, (left, b.swapaxes(-1, -2) if transpose_b else b, outputs[0]))]
    lower = gemm.matmul if a.ndim == 2 else gemm.batched_matmul
    return lower(a, b, outputs[0], transpose_a=transpose_a, transpose_b=transpose_b, scratch=scratch)


@_matmul.def_cut
def _matmul_cut(units: tuple, specs: tuple, samples: int, transpose_a: bool, **params: Any) -> Rows | None:
    """Rows of a matrix, matrices of a stack; a product that sums over rows is a sum over the samples."""
    if len(specs[0].shape) > 2:
        return each_row(0, 1)(units, specs, samples)
    if not transpose_a:
        return each_row(0)(units, specs, samples)
    rows = each_row(0, 1, outputs=(SUM,))(units, specs, samples)
    by_tree = not params["transpose_b"] and specs[0].dtype.name in ("float32", "float64")
    return rows._replace(lower_sum=tree_of_products) if rows and by_tree else rows


@_matmul.def_rows(fits=lambda a, b, **params: len(a.shape) == 2 and gemm.pays_by_rows(b.shape, a.dtype.numpy))
def _matmul_rows(inputs: Sequence, scratch: Any, *, transpose_a: bool, transpose_b: bool) -> tuple:
    return gemm.matmul_by_rows(*inputs, transpose_a=transpose_a, transpose_b=transpose_b, scratch=scratch)


@_matmul.def_vjp
def _matmul_vjp(gradients: tuple, inputs: tuple, outputs: tuple, transpose_a: bool, transpose_b: bool) -> tuple:
    (g,), (a, b) = gradients, inputs
    if transpose_a:
        left = lambda: _matmul(b, g, transpose_a=transpose_b, transpose_b=True)  # noqa: E731
    else:
        left = lambda: _matmul(g, b, transpose_a=False, transpose_b=not transpose_b)  # noqa: E731
    if transpose_b:
        right = lambda: _matmul(g, a, transpose_a=True, transpose_b=transpose_a)  # noqa: E731
    else:
        right = lambda: _matmul(a, g, transpose_a=not transpose_a, transpose_b=False)  # noqa: E731
    return left, right


# A product whose bias and relu are added as its tiles are stored, in registers.

_affine = Primitive("affine")
_affine.def_shape(lambda a, b, bias, relu, **params: _matmul_shape(a, b, **params))


@_affine.def_cut
def _affine_cut(units: tuple, specs: tuple, samples: int, transpose_a: bool, **params: Any) -> Rows | None:
    return None if transpose_a else each_row(0)(units, specs, samples)


@_affine.def_kernel
def _affine_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, **params: Any) -> Calls:
    a, b, bias = inputs
    return gemm.matmul(a, b, outputs[0], bias=bias, scratch=scratch, **params)


epilogue_rewrites(_matmul, _affine, fits=lambda spec: len(spec.shape) == 2)


@op
def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """The matrix product over the last two dimensions; leading dimensions are broadcast.

    Args:
        a, b: Tensors of one type and at least two dimensions.
        transpose_a, transpose_b: Use the transpose of the last two dimensions; adjoint_* is the same for real numbers.
        a_is_sparse, b_is_sparse: Hints about zeros; the result does not depend on them.

    Raises:
        InvalidArgumentError: The sizes do not fit.

    >>> import distkeras as tf
    >>> tf.matmul([[1.0, 2.0]], [[3.0], [4.0]]).numpy().tolist()
    [[11.0]]
    """
    a, b = operands(a, b)
    if (transpose_a and adjoint_a) or (transpose_b and adjoint_b):
        raise ValueError("Only one of transpose and adjoint can be True for each operand.")
    transpose_a, transpose_b = bool(transpose_a or adjoint_a), bool(transpose_b or adjoint_b)
    if a.ndim > 2 and b.ndim == 2 and not transpose_a:
        # One product of all rows is faster than one for each leading index.
        flat = _matmul(reshape(a, (_product(a.shape[:-1]), a.shape[-1])), b, transpose_a=False, transpose_b=transpose_b)
        return reshape(flat, (*a.shape[:-1], flat.shape[-1]))
    if a.ndim != b.ndim or a.shape[:-2] != b.shape[:-2]:
        try:
            lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise InvalidArgumentError(
                f"matmul: the leading dimensions of {a.shape} and {b.shape} do not fit."
            ) from None
        a, b = broadcast_to(a, (*lead, *a.shape[-2:])), broadcast_to(b, (*lead, *b.shape[-2:]))
    return _matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)


def _product(sizes: Any) -> int:
    return int(np.prod(sizes, dtype=np.int64))


@op
def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """The sum of products over pairs of axes: an int n (the last n of a with the first n of b) or two lists of axes."""
    a, b = operands(a, b)
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise InvalidArgumentError(f"tensordot: {a.shape} and {b.shape} have no {axes} axes to sum over.")
        left, right = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    else:
        pairs = zip(axes, (a, b), strict=True)
        left, right = (tuple(axis_of(axis, x.ndim) for axis in static_ints(part)) for part, x in pairs)
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise InvalidArgumentError(f"tensordot: axes {left} of {a.shape} and {right} of {b.shape} differ in size.")
    free_a = [i for i in range(a.ndim) if i not in left]
    free_b = [i for i in range(b.ndim) if i not in right]
    n = _product([a.shape[i] for i in left])
    rows, columns = _product([a.shape[i] for i in free_a]), _product([b.shape[i] for i in free_b])
    product = _matmul(
        reshape(transpose(a, (*free_a, *left)), (rows, n)),
        reshape(transpose(b, (*right, *free_b)), (n, columns)),
        transpose_a=False,
        transpose_b=False,
    )
    return reshape(product, [a.shape[i] for i in free_a] + [b.shape[i] for i in free_b])


@op
def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The length of vectors, or of matrices where `axis` names two dimensions.

    Args:
        ord: 'euclidean', or a number p >= 1 for (sum |x|^p)^(1/p), np.inf for the largest |x|. Of matrices: 'euclidean'
            or 'fro', 1 for the largest column sum of |x|, np.inf for the largest row sum, 2 for the largest singular
            value (`tf.linalg.svd`, which has no derivative).
        axis: One dimension, two, or None for all elements as one vector.
    """
    x = to_tensor(tensor)
    is_number = isinstance(ord, (int, float)) and not isinstance(ord, bool)
    if isinstance(axis, (list, tuple)) and len(axis) == 2:
        return _matrix_norm(x, ord, tuple(axis), keepdims)
    if ord in ("euclidean", 2):
        return sqrt(reduce_sum(square(x), axis, keepdims))
    if ord == np.inf:
        return reduce_max(absolute(x), axis, keepdims)
    if not is_number or ord < 1:
        raise ValueError(f"norm: ord must be 'euclidean', np.inf or a number >= 1, received {ord!r}.")
    if ord == 1:
        return reduce_sum(absolute(x), axis, keepdims)
    return pow(reduce_sum(pow(absolute(x), float(ord)), axis, keepdims), 1.0 / ord)


def _matrix_norm(x: Tensor, ord: Any, axis: tuple[int, int], keepdims: bool) -> Tensor:
    rows, columns = (axis_of(i, x.ndim) for i in axis)
    if ord in ("euclidean", "fro"):
        return sqrt(reduce_sum(square(x), axis, keepdims))
    if ord in (1, np.inf):
        summed, rest = (rows, columns) if ord == 1 else (columns, rows)
        return _dropped(reduce_max(reduce_sum(absolute(x), summed, True), rest, True), axis, keepdims)
    if ord == 2:
        from distkeras.ops.factors import svd

        front = transpose(x, [*(i for i in range(x.ndim) if i not in (rows, columns)), rows, columns])
        largest = reduce_max(svd(front, compute_uv=False), -1)
        kept = [1 if i in (rows, columns) else n for i, n in enumerate(x.shape)]
        return reshape(largest, kept) if keepdims else largest
    raise ValueError(f"norm: of matrices, ord must be 'euclidean', 'fro', 1, 2 or np.inf, received {ord!r}.")


def _dropped(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    return x if keepdims else squeeze(x, axis)


@op
def normalize(tensor: Any, ord: Any = "euclidean", axis: Any = None, name: str | None = None) -> tuple[Tensor, Tensor]:
    """`tensor` divided by its norm, and the norm, with its dimensions kept; arguments as for `norm`.

    >>> import distkeras as tf
    >>> unit, length = tf.linalg.normalize([[3.0, 4.0], [0.0, 2.0]], axis=1)
    >>> unit.numpy().tolist(), length.numpy().tolist()
    ([[0.6000000238418579, 0.800000011920929], [0.0, 1.0]], [[5.0], [2.0]])
    """
    tensor = to_tensor(tensor)
    length = norm(tensor, ord, axis, keepdims=True)
    return tensor / length, length


@op
def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None) -> Tensor:
    """x divided by its Euclidean norm along `axis`, which is taken as at least sqrt(epsilon)."""
    x = to_tensor(x)
    return x * rsqrt(maximum(reduce_sum(square(x), axis, keepdims=True), epsilon))


@op
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Tensor:
    """t scaled down so that its Euclidean norm over `axes` is at most clip_norm."""
    x = to_tensor(t)
    squares = reduce_sum(square(x), axes_of(axes, x.ndim), keepdims=True)
    # sqrt has no derivative at 0, where nothing is clipped.
    length = sqrt(where(squares > 0, squares, ones_of(squares)))
    return x * clip_norm / maximum(where(squares > 0, length, squares), clip_norm)


@op
def global_norm(t_list: Any, name: str | None = None) -> Tensor:
    """The Euclidean norm of all tensors taken together; None entries are passed over."""
    return sqrt(add_n([reduce_sum(square(t)) for t in t_list if t is not None]))


def clip_by_global_norm(
    t_list: Any, clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list, Tensor]:
    """The tensors scaled down together so that their global norm is at most clip_norm, and that norm.

    All become NaN where the norm is not finite: an overflow must not pass for a small gradient.
    """
    length = global_norm(t_list) if use_norm is None else to_tensor(use_norm)
    factor = clip_norm / maximum(length, clip_norm)
    factor = where(is_finite(length), factor, length - length)
    return [None if t is None else multiply(t, factor) for t in t_list], length


@op
def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Tensor:
    """value + bias along the channels: the last dimension, or dimension 1 for data_format 'NC...'."""
    x, b = operands(value, bias)
    if b.ndim != 1:
        raise InvalidArgumentError(f"bias_add: the bias must have one dimension, received shape {b.shape}.")
    channels_first = data_format is not None and data_format.startswith("NC")
    axis = 1 if channels_first else x.ndim - 1
    if x.ndim < 2 or x.shape[axis] != b.shape[0]:
        raise InvalidArgumentError(f"bias_add: {b.shape[0]} biases do not fit dimension {axis} of shape {x.shape}.")
    if channels_first:
        b = reshape(b, (-1,) + (1,) * (x.ndim - 2))
    return x + b
