"""Inverses, solutions, determinants and factors of matrices, over the last two dimensions.

The numbers are LAPACK's, by NumPy; the derivatives are written in ops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op, operands
from distkeras.ops.elementwise import log, ones_of, where, zeros_of
from distkeras.ops.linalg import matmul
from distkeras.ops.matrices import band_part, diag, diag_part, matrices_of, matrix_transpose, set_diag
from distkeras.ops.reduction import reduce_sum
from distkeras.ops.shape import expand_dims, reshape

# --- inverses and solutions


def _lapack(name: str, numpy: Callable, problem: str) -> Primitive:
    """A primitive of one output by NumPy; what LAPACK refuses is told in its terms."""

    def guarded(*arrays: np.ndarray, **params: Any) -> np.ndarray:
        try:
            return numpy(*arrays, **params)
        except np.linalg.LinAlgError:
            raise InvalidArgumentError(f"{name}: {problem}") from None

    primitive = Primitive(name, numpy=guarded)
    primitive.def_shape(lambda *specs, **params: specs[-1])
    return primitive


_SINGULAR = "Input matrix is not invertible."
_inverse = _lapack("matrix_inverse", np.linalg.inv, _SINGULAR)
_inverse.def_vjp(
    lambda gradients, inputs, outputs: (
        lambda: -matmul(matmul(outputs[0], gradients[0], transpose_a=True), outputs[0], transpose_b=True),
    )
)
_solve = _lapack(
    "matrix_solve", lambda a, b, adjoint: np.linalg.solve(np.swapaxes(a, -1, -2) if adjoint else a, b), _SINGULAR
)


@_solve.def_vjp
def _solve_vjp(gradients: tuple, inputs: tuple, outputs: tuple, adjoint: bool) -> tuple:
    (a, _), (x,) = inputs, outputs

    def right() -> Tensor:
        return _solve(a, gradients[0], adjoint=not adjoint)

    def left() -> Tensor:
        g = right()
        return -matmul(x, g, transpose_b=True) if adjoint else -matmul(g, x, transpose_b=True)

    return left, right


@op
def inv(input: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """The inverse of each matrix, or of its transpose.

    Raises:
        InvalidArgumentError: There is none.
    """
    x = matrices_of(input, "inv", square=True)
    return _inverse(matrix_transpose(x) if adjoint else x)


@op
def solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """X such that matrix X = rhs, or its transpose with `adjoint`."""
    a, b = operands(matrix, rhs)
    a = matrices_of(a, "solve", square=True)
    if b.ndim != a.ndim or b.shape[:-1] != a.shape[:-1]:
        raise InvalidArgumentError(f"solve: right-hand sides of shape {b.shape} do not fit matrices {a.shape}.")
    return _solve(a, b, adjoint=bool(adjoint))


@op
def triangular_solve(
    matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Tensor:
    """`solve` for triangular matrices: what is on the other side of the diagonal is not looked at."""
    return solve(band_part(matrix, -1, 0) if lower else band_part(matrix, 0, -1), rhs, adjoint)


@op
def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Tensor:
    """X such that A X = rhs, from the Cholesky factor of A."""
    return triangular_solve(chol, triangular_solve(chol, rhs), adjoint=True)


@op
def lstsq(matrix: Any, rhs: Any, l2_regularizer: float = 0.0, fast: bool = True, name: str | None = None) -> Tensor:
    """X that makes |matrix X - rhs|^2 + l2_regularizer |X|^2 smallest; of several for wide matrices, the shortest.

    By Cholesky decomposition of the normal equations: `fast=False`, which asks for another, is refused.
    """
    if not fast:
        raise ValueError("lstsq: fast=False (an orthogonal decomposition) is not available: use fast=True.")
    a, b = operands(matrices_of(matrix, "lstsq"), rhs)
    wide = a.shape[-2] < a.shape[-1]
    gram = matmul(a, a, transpose_a=not wide, transpose_b=wide)
    gram = set_diag(gram, diag_part(gram) + l2_regularizer)
    chol = cholesky(gram)
    if wide:
        return matmul(a, cholesky_solve(chol, b), transpose_a=True)
    return cholesky_solve(chol, matmul(a, b, transpose_a=True))


# --- factors and determinants

_cholesky = _lapack("cholesky", np.linalg.cholesky, "Cholesky decomposition was not successful: not positive definite.")


@_cholesky.def_vjp
def _cholesky_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    """Murray 2016, "Differentiation of the Cholesky decomposition", eq. 8, made symmetric."""

    def gradient() -> Tensor:
        factor = outputs[0]
        middle = band_part(matmul(factor, gradients[0], transpose_a=True), -1, 0)
        middle = set_diag(middle, diag_part(middle) * 0.5)
        half = _solve(factor, matrix_transpose(_solve(factor, matrix_transpose(middle), adjoint=True)), adjoint=True)
        return (half + matrix_transpose(half)) * 0.5

    return (gradient,)


@op
def cholesky(input: Any, name: str | None = None) -> Tensor:
    """The lower triangular L with L L^T = input, for symmetric positive definite matrices."""
    return _cholesky(matrices_of(input, "cholesky", square=True))


_slogdet = Primitive("slogdet")
_slogdet.def_shape(lambda x: (TensorSpec(x.shape[:-2], x.dtype),) * 2)


@_slogdet.def_kernel
def _slogdet_kernel(inputs: Sequence, outputs: Sequence, scratch: Any) -> Calls:
    return [(_fill_all, (np.linalg.slogdet, inputs, outputs))]


def _fill_all(function: Callable, inputs: Sequence, outputs: Sequence) -> None:
    with np.errstate(all="ignore"):
        for out, result in zip(outputs, function(*inputs), strict=True):
            out[...] = result


_slogdet.def_vjp(
    lambda gradients, inputs, outputs: (
        lambda: reshape(gradients[1], (*gradients[1].shape, 1, 1)) * matrix_transpose(inv(inputs[0])),
    )
)


@op
def slogdet(input: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
    """The determinant's sign and the logarithm of its absolute value."""
    return _slogdet(matrices_of(input, "slogdet", square=True))


@op
def det(input: Any, name: str | None = None) -> Tensor:
    """The determinant of each matrix. Its derivative needs the inverse: there must be one."""
    return _det(matrices_of(input, "det", square=True))


_det = _lapack("det", np.linalg.det, "")
_det.def_shape(lambda x: TensorSpec(x.shape[:-2], x.dtype))
_det.def_vjp(
    lambda gradients, inputs, outputs: (
        lambda: reshape(gradients[0] * outputs[0], (*outputs[0].shape, 1, 1)) * matrix_transpose(inv(inputs[0])),
    )
)


@op
def logdet(matrix: Any, name: str | None = None) -> Tensor:
    """The logarithm of the determinant of symmetric positive definite matrices."""
    return reduce_sum(log(diag_part(cholesky(matrix))), -1) * 2.0


# --- eigenvalues and singular values

_eigh = Primitive("eigh")
_eigh.def_shape(lambda x: (TensorSpec(x.shape[:-1], x.dtype), x))
_eigh.def_kernel(lambda inputs, outputs, scratch: [(_fill_all, (np.linalg.eigh, inputs, outputs))])


@_eigh.def_vjp
def _eigh_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    """Giles 2008, "Collected matrix derivative results", 3.1; eigenvalues must differ."""

    def gradient() -> Tensor:
        values, vectors = outputs
        gaps = expand_dims(values, -2) - expand_dims(values, -1)
        same = to_tensor(np.eye(values.shape[-1], dtype=bool))
        weights = where(same, zeros_of(gaps), 1.0 / where(same, ones_of(gaps), gaps))
        middle = diag(gradients[0]) + weights * matmul(vectors, gradients[1], transpose_a=True)
        full = matmul(matmul(vectors, middle), vectors, transpose_b=True)
        # Only one triangle is looked at; the gradient is that for symmetric changes, put there.
        lower = band_part(full + matrix_transpose(full), -1, 0)
        return set_diag(lower, diag_part(lower) * 0.5)

    return (gradient,)


@op
def eigh(tensor: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
    """Eigenvalues in increasing order and eigenvectors as columns, of symmetric matrices, by their lower half."""
    return _eigh(matrices_of(tensor, "eigh", square=True))


@op
def eigvalsh(tensor: Any, name: str | None = None) -> Tensor:
    """The eigenvalues of symmetric matrices, in increasing order."""
    return eigh(tensor)[0]


_svd = Primitive("svd")
_qr = Primitive("qr")


@_svd.def_shape
def _svd_shape(x: TensorSpec, full_matrices: bool) -> tuple[TensorSpec, ...]:
    (m, n), lead = x.shape[-2:], x.shape[:-2]
    k = min(m, n)
    shapes = ((*lead, k), (*lead, m, m if full_matrices else k), (*lead, n, n if full_matrices else k))
    return tuple(TensorSpec(shape, x.dtype) for shape in shapes)


@_svd.def_kernel
def _svd_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, full_matrices: bool) -> Calls:
    def factors(x: np.ndarray) -> tuple:
        u, s, vh = np.linalg.svd(x, full_matrices)
        return s, u, np.swapaxes(vh, -1, -2)

    return [(_fill_all, (factors, inputs, outputs))]


@_qr.def_shape
def _qr_shape(x: TensorSpec, full_matrices: bool) -> tuple[TensorSpec, ...]:
    (m, n), lead = x.shape[-2:], x.shape[:-2]
    k = m if full_matrices else min(m, n)
    return TensorSpec((*lead, m, k), x.dtype), TensorSpec((*lead, k, n), x.dtype)


@_qr.def_kernel
def _qr_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, full_matrices: bool) -> Calls:
    mode = "complete" if full_matrices else "reduced"
    return [(_fill_all, (lambda x: np.linalg.qr(x, mode), inputs, outputs))]


def _no_derivative(name: str, advice: str) -> Callable:
    def refuse(gradients: tuple, inputs: tuple, outputs: tuple, **params: Any) -> tuple:
        def raising() -> Tensor:
            raise NotImplementedError(f"{name}: its derivative is not available. {advice}")

        return (raising,)

    return refuse


_svd.def_vjp(_no_derivative("svd", "Take tf.linalg.eigh of x^T x, or tf.stop_gradient of the factors."))
_qr.def_vjp(_no_derivative("qr", "Take tf.linalg.cholesky of x^T x, or tf.stop_gradient of the factors."))


@op
def svd(tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None) -> Any:
    """Singular values s, largest first, and with `compute_uv` u and v such that tensor = u diag(s) v^T."""
    results = _svd(matrices_of(tensor, "svd"), full_matrices=bool(full_matrices))
    return results if compute_uv else results[0]


class QR(NamedTuple):
    """An orthogonal and an upper triangular factor."""

    q: Tensor
    r: Tensor


@op
def qr(input: Any, full_matrices: bool = False, name: str | None = None) -> QR:
    """q with orthonormal columns and upper triangular r such that input = q r."""
    return QR(*_qr(matrices_of(input, "qr"), full_matrices=bool(full_matrices)))
