"""Less common element-wise ops: inverse hyperbolic functions, the gamma function's family, quotients without NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Primitive
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op, operands
from distkeras.ops.elementwise import (
    add_n,
    binary_op,
    cast,
    divide_no_nan,
    elementwise,
    exp,
    negative,
    not_equal,
    ones_of,
    rsqrt,
    softplus,
    square,
    unary_op,
    zeros_of,
)
from distkeras.ops.reduction import reduce_sum

# --- inverse functions

_asinh = elementwise("asinh", "math.asinh({0})", np.arcsinh, lambda g, out, x: (lambda: g * rsqrt(square(x) + 1.0),))
_acosh = elementwise("acosh", "math.acosh({0})", np.arccosh, lambda g, out, x: (lambda: g * rsqrt(square(x) - 1.0),))
_atanh = elementwise(
    "atanh",
    "np.arctanh({0})",  # math.atanh raises at -1 and 1, where the limit is infinite
    np.arctanh,
    lambda g, out, x: (lambda: g / (1.0 - square(x)),),
)
_atan2 = elementwise(
    "atan2",
    "math.atan2({0}, {1})",
    np.arctan2,
    lambda g, out, y, x: (
        lambda: g * (x / (square(x) + square(y))),
        lambda: -(g * (y / (square(x) + square(y)))),
    ),
)
asinh = unary_op("asinh", _asinh, "The inverse hyperbolic sine.")
acosh = unary_op("acosh", _acosh, "The inverse hyperbolic cosine.")
atanh = unary_op("atanh", _atanh, "The inverse hyperbolic tangent.")
atan2 = binary_op("atan2", _atan2, "atan(y / x) in the quadrant of the point (x, y), in radians.")

# --- the error function's complement and the gamma function


def _by_math(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of `math` on arrays; infinite at its poles, where `math` raises."""

    def scalar(x: float) -> float:
        try:
            return function(x)
        except (ValueError, OverflowError):
            return math.inf

    return lambda x: np.vectorize(scalar, otypes=[x.dtype])(x) if x.size else x.copy()


_erfc = elementwise(
    "erfc",
    "{T}(math.erfc({0}))",
    _by_math(math.erfc),
    lambda g, out, x: (lambda: g * exp(-square(x)) * (-2.0 / math.pi**0.5),),
)
_lgamma = elementwise(
    "lgamma", "{T}(math.lgamma({0}))", _by_math(math.lgamma), lambda g, out, x: (lambda: g * _polygamma(x, order=0),)
)
erfc = unary_op("erfc", _erfc, "1 - erf(x), exact for large x.")
lgamma = unary_op("lgamma", _lgamma, "The logarithm of the absolute value of the gamma function.")

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # B2, B4, ... B16
_FAR = -1e4  # below it the recurrence would take too long


def _polygamma_numpy(x: np.ndarray, order: int) -> np.ndarray:
    """The recurrence psi_n(x) = psi_n(x + 1) - (-1)^n n! / x^(n + 1) up to where the asymptotic series is exact.

    Source: Abramowitz and Stegun 1964, 6.3.5, 6.3.18, 6.4.6, 6.4.11.
    """
    wide = x.astype(np.float64)
    bad = (wide < _FAR) | ~np.isfinite(wide) | ((wide <= 0) & (wide == np.floor(wide)))
    at = np.where(bad, 1.0, wide)
    sign, factorial = (-1.0) ** order, float(math.factorial(order))
    total = np.zeros_like(at)
    while (below := at < 15 + order).any():
        total = np.where(below, total - sign * factorial / at ** (order + 1), total)
        at = np.where(below, at + 1, at)
    if order == 0:
        total += np.log(at) - 0.5 / at
    else:
        total -= sign * (math.factorial(order - 1) / at**order + factorial / (2 * at ** (order + 1)))
    for k, number in enumerate(_BERNOULLI, 1):
        total -= sign * number * (math.factorial(2 * k + order - 1) / math.factorial(2 * k)) / at ** (2 * k + order)
    infinite = np.inf if order == 0 else 0.0
    return np.where(bad, np.where(wide == np.inf, infinite, np.nan), total).astype(x.dtype)


_polygamma = Primitive("polygamma", numpy=_polygamma_numpy)
_polygamma.def_shape(lambda spec, order: spec)
_polygamma.def_vjp(
    lambda gradients, inputs, outputs, order: (lambda: gradients[0] * _polygamma(inputs[0], order=order + 1),)
)


def _floating(x: Any, function: str) -> Tensor:
    x = to_tensor(x)
    if not x.dtype.is_floating:
        raise InvalidArgumentError(
            f"{function} takes floating-point tensors, received dtype {x.dtype.name}: cast it first with "
            "tf.cast(x, tf.float32)."
        )
    return x


@op
def digamma(x: Any, name: str | None = None) -> Tensor:
    """The derivative of the logarithm of the gamma function; NaN at its poles."""
    return _polygamma(_floating(x, "digamma"), order=0)


@op
def polygamma(a: int, x: Any, name: str | None = None) -> Tensor:
    """The derivative of order `a`, a number known in advance, of digamma."""
    order = float(a)
    if order < 0 or order != int(order):
        raise ValueError(f"polygamma: the order must be a whole number >= 0, received {a!r}.")
    return _polygamma(_floating(x, "polygamma"), order=int(order))


@op
def lbeta(x: Any, name: str | None = None) -> Tensor:
    """The logarithm of the absolute value of the beta function over the last dimension."""
    x = _floating(x, "lbeta")
    return reduce_sum(lgamma(x), -1) - lgamma(reduce_sum(x, -1))


# --- products and quotients that are 0 where one factor is

_xlogy = elementwise(
    "xlogy",
    "({T}(0) if {0} == {T}(0) else {0} * vmath.log({1}))",
    lambda x, y: np.where(x == 0, np.zeros((), x.dtype), x * np.log(np.where(x == 0, np.ones((), y.dtype), y))),
    lambda g, out, x, y: (lambda: g * xlogy(_is_not_zero(x), y), lambda: g * xdivy(x, y)),
)
_xdivy = elementwise(
    "xdivy",
    "({T}(0) if {0} == {T}(0) else {0} / {1})",
    lambda x, y: np.where(x == 0, np.zeros((), x.dtype), x / np.where(x == 0, np.ones((), y.dtype), y)),
    lambda g, out, x, y: (lambda: g * xdivy(_is_not_zero(x), y), lambda: -(g * xdivy(out, y))),
)
_multiply_no_nan = elementwise(
    "multiply_no_nan",
    "({T}(0) if {1} == {T}(0) else {0} * {1})",
    lambda x, y: np.where(y == 0, np.zeros((), x.dtype), np.where(y == 0, np.ones((), x.dtype), x) * y),
    lambda g, out, x, y: (lambda: multiply_no_nan(g, y), lambda: multiply_no_nan(x, g)),
)


def _is_not_zero(x: Tensor) -> Tensor:
    return cast(not_equal(x, zeros_of(x)), x.dtype)


xlogy = binary_op("xlogy", _xlogy, "x * log(y), and 0 where x is 0.")
xdivy = binary_op("xdivy", _xdivy, "x / y, and 0 where x is 0.")
multiply_no_nan = binary_op("multiply_no_nan", _multiply_no_nan, "x * y, and 0 where y is 0, whatever x is.")


@op
def reciprocal_no_nan(x: Any, name: str | None = None) -> Tensor:
    """1 / x, and 0 where x is 0."""
    x = _floating(x, "reciprocal_no_nan")
    return divide_no_nan(ones_of(x), x)


# --- what is made of others


@op
def log_sigmoid(x: Any, name: str | None = None) -> Tensor:
    """log(sigmoid(x)), without overflow."""
    return negative(softplus(negative(x)))


@op
def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Tensor:
    """x times a number."""
    factor, x = operands(scalar, x)
    if factor.ndim:
        raise ValueError(f"scalar_mul: only scalar multiplication is available, received shape {factor.shape}.")
    return factor * x


@op
def accumulate_n(inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: str | None = None) -> Tensor:
    """The sum of tensors of one shape; the same as `add_n`, with that shape and type checked if they are given."""
    total = add_n(inputs)
    if shape is not None and not total.shape.is_compatible_with(shape):
        raise ValueError(f"accumulate_n: expected shape {shape}, received tensors of shape {total.shape}.")
    if tensor_dtype is not None and total.dtype != tensor_dtype:
        raise TypeError(f"accumulate_n: expected dtype {tensor_dtype}, received {total.dtype.name}.")
    return total


@op
def polyval(coeffs: Any, x: Any, name: str | None = None) -> Tensor:
    """The polynomial with the given coefficients, that of the highest power first, at x."""
    if not isinstance(coeffs, (list, tuple)):
        raise ValueError(f"polyval: coeffs must be a list of tensors, received {type(coeffs).__name__}.")
    x = to_tensor(x)
    total = zeros_of(x)
    for coefficient in coeffs:
        total = total * x + coefficient
    return total
