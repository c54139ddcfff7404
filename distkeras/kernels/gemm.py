"""Matrix products: `matmul` and `batched_matmul` choose how a product is computed and return the calls that do it.

    small and medium                  tiles over a and b as they lie (contraction.py)
    a transposed                      the same with its strides exchanged, long sums in blocks of terms; or, where
                                      registers are narrow, a is turned into scratch
    b transposed                      b is turned into scratch, or a and the result are, whichever is less to copy
    one column                        dot products of rows, or a product with one row
    float32 on CPUs with AMX          parts of its operands in bfloat16, by the matrix unit (amx_gemm.py)
    b beyond the second-level cache   BLAS, through numpy.matmul, which copies blocks of b; 10 % faster there

>>> import numpy as np
>>> a, b, out = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32), np.empty((2, 4), np.float32)
>>> for fn, args in matmul(a, b, out, scratch=np.empty):
...     fn(*args)
>>> out[0]
array([3., 3., 3., 3.], dtype=float32)
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from distkeras.kernels.amx_gemm import LEAST_ROWS, SplitProduct, pays
from distkeras.kernels.compile import Calls, Scratch, kernel
from distkeras.kernels.contraction import Contraction
from distkeras.kernels.simd import HOST
from distkeras.kernels.transpose_matrices import transpose_matrices

# BLAS takes over where b exceeds the second-level cache and enough rows share the cost of copying it.
BLAS_BYTES, BLAS_ROWS = 1 << 21, 192
# The terms of a block where a long sum is over rows of both operands: so many rows of each stay in the cache while all
# of the result is gone through. That is 1.1 to 1.9 times as fast as turning a, whose rows may lie powers of two apart.
SUM_BLOCK = 64
# To turn a takes longer than it saves where a result's row has fewer columns.
TURN_COLUMNS = 64


_rows_alike = contextvars.ContextVar("rows_alike", default=False)


@contextlib.contextmanager
def rows_alike() -> Iterator[None]:
    """What is lowered inside gives each row of a product the same bits however many rows there are.

    Tiles do: each element is one sum in the order of k, whatever tile it falls into. So does the matrix unit, if it is
    taken for few rows too. BLAS does not.
    """
    token = _rows_alike.set(True)
    try:
        yield
    finally:
        _rows_alike.reset(token)


def are_rows_alike() -> bool:
    """Whether `rows_alike` is asked for."""
    return _rows_alike.get()


def matmul(
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: np.ndarray | None = None,
    relu: bool = False,
    scratch: Scratch,
) -> Calls:
    """Lower out = a @ b (+ bias) (cut at zero) to kernel calls, to be made in order.

    Args:
        a: [m, k], or [k, m] with `transpose_a`; float32 or float64, C-contiguous, as all arrays here.
        b: [k, n], or [n, k] with `transpose_b`.
        out: [m, n]; must not overlap the others.
        transpose_a, transpose_b: the operand is stored transposed.
        bias: [n], added to every row; None for none.
        relu: replace what is negative by zero; NaN stays.
        scratch: `scratch(shape, dtype)` lends memory for the time of these calls.

    Raises:
        ValueError: shapes or element types do not fit.
    """
    if a.ndim != 2 or b.ndim != 2 or out.ndim != 2:
        raise ValueError(f"matmul expects matrices; received shapes {a.shape}, {b.shape}, {out.shape}")
    return _lower(_Product.of(a, b, out, transpose_a, transpose_b, bias, relu), scratch)


def batched_matmul(
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: np.ndarray | None = None,
    relu: bool = False,
    scratch: Scratch,
) -> Calls:
    """As `matmul` for stacks of matrices: [..., m, k] and [..., k, n] to [..., m, n] with equal leading axes."""
    return _lower(_Product.of(a, b, out, transpose_a, transpose_b, bias, relu), scratch)


def pays_by_rows(shape_b: Sequence[int], dtype: Any) -> bool:
    """Whether `matmul_by_rows` computes a product with a b of this shape and type as fast as `matmul` does."""
    kind = np.dtype(dtype)
    return kind in (np.float32, np.float64) and min(shape_b) > 0 and math.prod(shape_b) * kind.itemsize <= BLAS_BYTES


def matmul_by_rows(
    a: np.ndarray, b: np.ndarray, *, transpose_a: bool = False, transpose_b: bool = False, scratch: Scratch
) -> tuple[Calls, Callable[[np.ndarray, int], Calls]]:
    """A product of two matrices that is computed some rows at a time, with what they share done once.

    Args:
        a, b, transpose_a, transpose_b, scratch: As for `matmul`; the scratch is lent for the time of all calls.

    Returns:
        Calls to be made first; and (out, start) -> the calls that fill `out` with the rows from `start` on.

    Raises:
        ValueError: shapes or element types do not fit.
    """
    shape = a.shape[1 if transpose_a else 0], b.shape[0 if transpose_b else 1]
    product = _Product.of(a, b, np.empty(shape, a.dtype), transpose_a, transpose_b)
    if _by_matrix_unit(product):
        return _split_by_rows(product, scratch)
    calls: Calls = []
    if product.transpose_b:
        turned = scratch((1, *product.b.shape[:0:-1]), a.dtype)
        calls.append((transpose_matrices[a.dtype], (product.b, turned)))
        product = replace(product, b=turned, transpose_b=False)
    more, product = _with_turned_a(product, scratch)
    whole = _contraction(product)
    return calls + more, lambda out, start: _summed(
        replace(whole, out=out, rows=out.shape[0], a_start=start * whole.a_row)
    )


@dataclass(frozen=True)
class _Product:
    """A product of stacks [batch, rows, columns], as asked for."""

    a: np.ndarray
    b: np.ndarray
    out: np.ndarray
    transpose_a: bool = False
    transpose_b: bool = False
    bias: np.ndarray | None = None
    relu: bool = False

    @classmethod
    def of(cls, a: np.ndarray, b: np.ndarray, out: np.ndarray, *options: Any) -> _Product:
        """From operands with any leading axes; ValueError unless they fit."""
        product = cls(_stack(a), _stack(b), _stack(out), *options)
        product._check((a, b, out))
        return product._without_vector_transposes()

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """batch, m, n, k."""
        batch, rows, columns = self.out.shape
        return batch, rows, columns, self.a.shape[1 if self.transpose_a else 2]

    @property
    def finishes(self) -> bool:
        """There is something to do after the sum."""
        return self.bias is not None or self.relu

    def _check(self, given: tuple[np.ndarray, ...]) -> None:
        """Raise ValueError unless all fits together; `given` are the operands with the caller's shapes."""
        _, rows, columns, depth = self.sizes
        shape_a = (depth, rows) if self.transpose_a else (rows, depth)
        shape_b = (columns, depth) if self.transpose_b else (depth, columns)
        fits = self.a.shape[1:] == shape_a and self.b.shape[1:] == shape_b
        leading = {array.shape[:-2] for array in given}
        if not fits or len(leading) > 1 or (self.bias is not None and self.bias.shape != (columns,)):
            bias = "" if self.bias is None else f", bias {self.bias.shape}"
            raise ValueError(
                f"matmul cannot multiply {given[0].shape} and {given[1].shape} into {given[2].shape}{bias} "
                f"(transpose_a={self.transpose_a}, transpose_b={self.transpose_b}): expected [..., m, k] and "
                "[..., k, n], each [..., columns, rows] if transposed, to [..., m, n] with equal leading axes; bias [n]"
            )
        kinds = {array.dtype for array in (*given, self.bias) if array is not None}
        if len(kinds) > 1 or kinds - {np.dtype(np.float32), np.dtype(np.float64)}:
            raise ValueError(
                f"matmul expects all float32 or all float64; received {sorted(map(str, kinds))}. Cast first."
            )

    def _without_vector_transposes(self) -> _Product:
        """The same with no vector called transposed: in memory it lies as it would untransposed."""
        product = self
        if self.transpose_a and 1 in self.a.shape[1:]:
            product = replace(product, a=_turned(self.a), transpose_a=False)
        if self.transpose_b and 1 in self.b.shape[1:]:
            product = replace(product, b=_turned(self.b), transpose_b=False)
        return product


def _stack(array: np.ndarray) -> np.ndarray:
    if array.ndim < 2 or not array.flags.c_contiguous:
        raise ValueError(f"matmul expects C-contiguous [..., rows, columns]; received shape {array.shape}")
    return array.reshape(math.prod(array.shape[:-2]), *array.shape[-2:])


def _turned(matrices: np.ndarray) -> np.ndarray:
    return matrices.reshape(matrices.shape[0], matrices.shape[2], matrices.shape[1])


def _lower(product: _Product, scratch: Scratch) -> Calls:
    if product.out.size == 0:
        return []
    if product.out.shape[2] == 1:
        return _one_column(product, scratch)
    if _by_matrix_unit(product):
        return _split(product, scratch)
    if _by_blas(product):
        return _blas(product)
    if product.transpose_b:
        return _transposed_b(product, scratch)
    return _tiles(product, scratch)


def _by_matrix_unit(product: _Product) -> bool:
    batch, rows, columns, depth = product.sizes
    if batch != 1 or not pays(columns, depth, product.out.dtype):
        return False
    return _rows_alike.get() or (rows >= LEAST_ROWS and not (_by_blas(product) and _blas_threads() > 1))


def _by_blas(product: _Product) -> bool:
    _, rows, columns, depth = product.sizes
    # Where a sum is taken in blocks, the cache holds a block of b in any case; the result may be what is too large.
    is_blocked = product.transpose_a and depth >= 2 * SUM_BLOCK and depth not in HOST.turned_depths
    held = (min(rows, depth) if is_blocked else depth) * columns
    return not _rows_alike.get() and rows >= BLAS_ROWS and held * product.b.itemsize > BLAS_BYTES


def _blas_threads() -> int:
    """Among how many threads BLAS divides a product."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
    given = [int(number) for number in map(os.environ.get, names) if number and number.isdigit()]
    return given[0] if given else os.cpu_count() or 1


def _split(product: _Product, scratch: Scratch) -> Calls:
    """The product by the matrix unit; it takes operands as they lie untransposed."""
    _, rows, columns, depth = product.sizes
    turn_a = 0 if product.transpose_a else rows * depth
    # Which of the two is chosen decides about the order of terms, so it must not be up to the rows if they are alike.
    if (
        product.transpose_b
        and not product.finishes
        and (_rows_alike.get() or turn_a + rows * columns < columns * depth)
    ):
        turned = scratch((1, columns, rows), product.out.dtype)
        other = _Product(product.b, product.a, turned, transpose_b=not product.transpose_a)
        return [*_split_untransposed(other, scratch), (transpose_matrices[turned.dtype], (turned, product.out))]
    return _split_untransposed(product, scratch)


def _split_untransposed(product: _Product, scratch: Scratch) -> Calls:
    calls, product = _untransposed(product, scratch)
    return [*calls, *SplitProduct(_contraction(product)).calls(scratch)]


def _split_by_rows(product: _Product, scratch: Scratch) -> tuple[Calls, Callable[[np.ndarray, int], Calls]]:
    calls, product = _untransposed(product, scratch)
    whole = _contraction(product)
    more, shared = SplitProduct(whole).with_split_b(scratch)
    return calls + more, lambda out, start: replace(
        shared, whole=replace(whole, out=out, rows=out.shape[0], a_start=start * whole.a_row)
    ).calls(scratch)


def _untransposed(product: _Product, scratch: Scratch) -> tuple[Calls, _Product]:
    """The calls that turn what is transposed, and the product with it so turned."""
    calls: Calls = []
    if product.transpose_a:
        a = scratch((1, *product.a.shape[:0:-1]), product.a.dtype)
        calls.append((transpose_matrices[a.dtype], (product.a, a)))
        product = replace(product, a=a, transpose_a=False)
    if product.transpose_b:
        b = scratch((1, *product.b.shape[:0:-1]), product.b.dtype)
        calls.append((transpose_matrices[b.dtype], (product.b, b)))
        product = replace(product, b=b, transpose_b=False)
    return calls, product


def _one_column(product: _Product, scratch: Scratch) -> Calls:
    """A column is the transpose of a row, and both lie alike: out^T = b^T a^T is a product with one row."""
    if product.transpose_a:
        row = replace(product, a=_turned(product.b), b=product.a, out=_turned(product.out), bias=None, relu=False)
        return _tiles(replace(row, transpose_a=False, transpose_b=False), scratch) + _finish(product)
    vectors = product.b.reshape(product.b.shape[0], -1)
    out = product.out.reshape(product.out.shape[:2])
    return [(row_dots[out.dtype], (product.a, vectors, out)), *_finish(product)]


def _blas(product: _Product) -> Calls:
    a = product.a.transpose(0, 2, 1) if product.transpose_a else product.a
    b = product.b.transpose(0, 2, 1) if product.transpose_b else product.b
    # A stack of one is passed as a matrix: NumPy's loop over stacks may not hand transposed operands to BLAS.
    operands = (a[0], b[0], product.out[0]) if len(a) == 1 else (a, b, product.out)
    return [(_numpy_matmul, operands), *_finish(product)]


def _numpy_matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    np.matmul(a, b, out=out)


def _transposed_b(product: _Product, scratch: Scratch) -> Calls:
    batch, rows, columns, depth = product.sizes
    kind = product.out.dtype
    turn_a = 0 if product.transpose_a else rows * depth
    if product.finishes or turn_a + rows * columns >= columns * depth:
        b = scratch((batch, depth, columns), kind)
        tiles = _tiles(replace(product, b=b, transpose_b=False), scratch)
        return [(transpose_matrices[kind], (product.b, b)), *tiles]
    calls: Calls = []
    a = product.a
    if not product.transpose_a:
        a = scratch((batch, depth, rows), kind)
        calls.append((transpose_matrices[kind], (product.a, a)))
    out = scratch((batch, columns, rows), kind)
    calls += _tiles(_Product(product.b, a, out), scratch)
    calls.append((transpose_matrices[kind], (out, product.out)))
    return calls


def _tiles(product: _Product, scratch: Scratch) -> Calls:
    """The product by tiles, its operands first rearranged where that pays."""
    calls, product = _with_turned_a(product, scratch)
    return [*calls, *_summed(_contraction(product))]


def _summed(whole: Contraction) -> Calls:
    """The contraction; if its sum is long and over rows of both operands, in blocks of terms."""
    blocks, rest = divmod(whole.depth, SUM_BLOCK)
    if whole.a_step <= whole.a_row or blocks < 2:
        return [whole.call()]
    steps = SUM_BLOCK * whole.a_step, SUM_BLOCK * whole.b_step
    even = replace(whole, depth=SUM_BLOCK, inner=(blocks, *steps, 0))
    if not rest:
        return [even.call()]
    starts = {"a_start": whole.a_start + blocks * steps[0], "b_start": blocks * steps[1]}
    return [
        replace(even, bias=None, relu=False).call(),
        replace(whole, depth=rest, accumulate=True, **starts).call(),
    ]


def _with_turned_a(product: _Product, scratch: Scratch) -> tuple[Calls, _Product]:
    """The calls that turn a, and the product with it so turned; neither where it is used as it lies."""
    batch, rows, columns, depth = product.sizes
    if not product.transpose_a or depth not in HOST.turned_depths or columns < TURN_COLUMNS:
        return [], product
    a = scratch((batch, rows, depth), product.a.dtype)
    return [(transpose_matrices[a.dtype], (product.a, a))], replace(product, a=a, transpose_a=False)


def _contraction(product: _Product) -> Contraction:
    batch, rows, columns, depth = product.sizes
    a, b, out, size = product.a, product.b, product.out, product.out.itemsize
    a_row, a_step = (size, rows * size) if product.transpose_a else (depth * size, size)
    return Contraction(
        a=a,
        b=b,
        out=out,
        rows=rows,
        columns=columns,
        depth=depth,
        a_row=a_row,
        a_step=a_step,
        b_step=b.strides[1],
        out_row=columns * size,
        bias=product.bias,
        relu=product.relu,
        outer=(batch, rows * depth * size, b.strides[0], rows * columns * size),
    )


def _finish(product: _Product) -> Calls:
    if not product.finishes:
        return []
    kind = product.out.dtype
    bias = np.zeros(product.out.shape[2], kind) if product.bias is None else product.bias
    rows = product.out.reshape(-1, product.out.shape[2])
    return [((add_bias_relu if product.relu else add_bias)[kind], (rows, bias))]


@kernel("void({t}[:, :, ::1], {t}[:, ::1], {t}[:, ::1])")
def row_dots(matrices, vectors, out):
    """out[i, r] = sum over k of matrices[i, r, k] * vectors[i, k]."""
    for i in range(matrices.shape[0]):
        for row in range(matrices.shape[1]):
            total = out.dtype.type(0)
            for k in range(matrices.shape[2]):
                total += matrices[i, row, k] * vectors[i, k]
            out[i, row] = total


@kernel("void({t}[:, ::1], {t}[::1])")
def add_bias(out, bias):
    """out[r, n] += bias[n]."""
    for row in range(out.shape[0]):
        for column in range(bias.size):
            out[row, column] += bias[column]


@kernel("void({t}[:, ::1], {t}[::1])")
def add_bias_relu(out, bias):
    """out[r, n] = max(out[r, n] + bias[n], 0), keeping NaN."""
    zero = out.dtype.type(0)
    for row in range(out.shape[0]):
        for column in range(bias.size):
            value = out[row, column] + bias[column]
            out[row, column] = zero if value < zero else value


def as_matrix(array: np.ndarray) -> np.ndarray:
    """[..., n] as [rows, n], without a copy."""
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])
