"""Scalar mathematics that LLVM turns into vector instructions, under one name for both element types.

`vmath.exp(x)` in a kernel is a polynomial without branches where `x` is float32, so that a loop over it fills the
vector registers (5-8 times the speed of libm's `expf`), and libm's function where it is float64. Called from Python
each is NumPy's function, or its formula.

Float32 results are within 4e-7 of the exact value, relatively (`erf` and `tanh` too, near zero as well); NaN gives NaN
and infinities the limits. `exp` returns 0 below -87.336, where float32 has subnormal numbers only.

The polynomials are minimax fits over the reduced range, made for this file. The helpers compile without `reassoc`:
range reductions such as x - n*high - n*low lose their purpose when regrouped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload, register_jitable

OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "forceinline": True, "nogil": True}

_F = np.float32
_HALF = _F(0.5)
_ONE = _F(1)
_LOG2_E = _F(1.44269504)
_LN2_HIGH = _F(0.693359375)  # ten bits: n * _LN2_HIGH is exact for every exponent n
_LN2_LOW = _F(-2.12194440e-4)
_EXP_OVERFLOW = _F(88.72283)
_EXP_UNDERFLOW = _F(-87.33654)
_MAGIC = _F(12582912)  # 1.5 * 2**23: an integer added to it appears in the low bits of the sum
_ROOT_HALF_BITS = np.int32(0x3F3504F3)  # sqrt(1/2)
_SUBNORMAL = _F(1.17549435e-38)


# --- LLVM operations Numba does not offer -----------------------------------------------------------------------------


def _llvm_operation(name: str, arguments: int) -> Callable:
    """A jitable function for the LLVM intrinsic `llvm.<name>` over floats of one type."""

    def build(typing_context, *operands):
        if any(operand not in (types.float32, types.float64) for operand in operands) or len(set(operands)) != 1:
            raise TypingError(f"llvm.{name} takes floats of one type, not {operands}")

        def generate(context, builder, signature, values):
            element = values[0].type
            function = builder.module.declare_intrinsic(
                f"llvm.{name}", [element], ir.FunctionType(element, [element] * arguments)
            )
            return builder.call(function, values)

        return operands[0](*operands), generate

    wrappers = {1: lambda c, x: build(c, x), 2: lambda c, x, y: build(c, x, y), 3: lambda c, x, y, z: build(c, x, y, z)}
    return intrinsic(wrappers[arguments])


@intrinsic
def _bits(typing_context, x):
    """The bits of a float as an integer of its size."""
    return getattr(types, f"int{x.bitwidth}")(x), lambda context, builder, signature, values: builder.bitcast(
        values[0], ir.IntType(x.bitwidth)
    )


@intrinsic
def _from_bits(typing_context, bits):
    """The float that has these bits."""
    element = ir.FloatType() if bits.bitwidth == 32 else ir.DoubleType()
    return getattr(types, f"float{bits.bitwidth}")(bits), lambda context, builder, signature, values: builder.bitcast(
        values[0], element
    )


_fma = _llvm_operation("fma", 3)
_round = _llvm_operation("rint", 1)
_maximum = _llvm_operation("maximum", 2)
_minimum = _llvm_operation("minimum", 2)


# --- float32 ----------------------------------------------------------------------------------------------------------


@register_jitable(**OPTIONS)
def _exp_reduced(x):
    """(n, r): x = n ln 2 + r with |r| <= ln 2 / 2."""
    n = _round(x * _LOG2_E)
    return n, _fma(n, -_LN2_LOW, _fma(n, -_LN2_HIGH, x))


@register_jitable(**OPTIONS)
def _exp_minus_one(r):
    """e**r - 1 for |r| <= ln 2 / 2."""
    p = _fma(_F(0.0013814467), r, _F(0.008368781))
    p = _fma(p, r, _F(0.041668393))
    p = _fma(p, r, _F(0.1666652))
    p = _fma(p, r, _HALF)
    return _fma(p * r, r, r)


@register_jitable(**OPTIONS)
def _exp_from(x, n, reduced):
    """(1 + reduced) * 2**n, where it is e**x."""
    value = _from_bits(np.int32(_bits(_ONE + reduced) + (_bits(n + _MAGIC) << np.int32(23))))
    value = _F(np.inf) if x > _EXP_OVERFLOW else value
    value = _F(0) if x < _EXP_UNDERFLOW else value
    return x if x != x else value


@register_jitable(**OPTIONS)
def _log_one_plus(f):
    """log(1 + f) for sqrt(1/2) - 1 <= f <= sqrt(2) - 1."""
    p = _fma(_F(-0.07634389), f, _F(0.12765433))
    p = _fma(p, f, _F(-0.13162006))
    p = _fma(p, f, _F(0.14201368))
    p = _fma(p, f, _F(-0.16623144))
    p = _fma(p, f, _F(0.20001236))
    p = _fma(p, f, _F(-0.25000825))
    p = _fma(p, f, _F(0.33333331))
    square = f * f
    return _fma(p * f - _HALF, square, f)


def _exp32(x):
    n, r = _exp_reduced(x)
    return _exp_from(x, n, _exp_minus_one(r))


def _expm1_32(x):
    n, r = _exp_reduced(x)
    reduced = _exp_minus_one(r)
    return reduced if n == _F(0) else _exp_from(x, n, reduced) - _ONE


def _log32(x):
    scaled = x * _F(8388608) if x < _SUBNORMAL else x
    bits = np.int32(_bits(scaled) - _ROOT_HALF_BITS)
    exponent = np.int32(bits >> np.int32(23))
    mantissa = _from_bits(np.int32((bits & np.int32(0x7FFFFF)) + _ROOT_HALF_BITS))
    n = _F(exponent) - (_F(23) if x < _SUBNORMAL else _F(0))
    value = _fma(n, _LN2_HIGH, _fma(n, _LN2_LOW, _log_one_plus(mantissa - _ONE)))
    value = x if x == _F(np.inf) else value
    value = _F(-np.inf) if x == _F(0) else value
    value = _F(np.nan) if x < _F(0) else value
    return x if x != x else value


def _log1p_32(x):
    return _log_one_plus(x) if (x > _F(-0.29)) & (x < _F(0.41)) else log(_ONE + x)


def _tanh32(x):
    size = abs(x)
    square = x * x
    p = _fma(_F(-0.005717042), square, _F(0.020650584))
    p = _fma(p, square, _F(-0.053743497))
    p = _fma(p, square, _F(0.1333149))
    p = _fma(p, square, _F(-0.33333284))
    near = _fma(p * square, x, x)
    far = _ONE - _F(2) / (exp(size + size) + _ONE)
    return near if size < _F(0.625) else (-far if x < _F(0) else far)


def _erf32(x):
    size = abs(x)
    square = x * x
    p = _fma(_F(7.85386e-05), square, _F(-0.0008010193))
    p = _fma(p, square, _F(0.0051883277))
    p = _fma(p, square, _F(-0.026853813))
    p = _fma(p, square, _F(0.112835854))
    p = _fma(p, square, _F(-0.37612626))
    near = _fma(p, square, _F(1.1283791)) * x
    z = _F(4) if size > _F(4) else size
    q = _fma(_F(-2.169759e-05), z, _F(0.0004414723))
    q = _fma(q, z, _F(-0.0042052828))
    q = _fma(q, z, _F(0.025210334))
    q = _fma(q, z, _F(-0.10842209))
    q = _fma(q, z, _F(-0.6332164))
    q = _fma(q, z, _F(-1.1295803))
    q = _fma(q, z, _F(0.00018846658))
    far = _ONE - exp(q)
    return near if size < _ONE else (-far if x < _F(0) else far)


# --- any float --------------------------------------------------------------------------------------------------------


def _sigmoid_any(x):
    one = type(x)(1)
    return one / (one + exp(-x))


def _softplus_any(x):
    return (x if x > type(x)(0) else type(x)(0)) + log1p(exp(-abs(x)))


# --- the public names -------------------------------------------------------------------------------------------------


def order(x):
    """An integer for each number, ordered as they are: a maximum over it vectorises where one over floats does not.

    Positive NaN comes above infinity, negative NaN below minus infinity and -0 below 0. An integer is its own.
    """
    if np.issubdtype(type(x), np.integer):
        return x
    bits = x.view(f"i{x.itemsize}")
    return bits ^ ((bits >> (8 * x.itemsize - 1)) & np.iinfo(bits.dtype).max)


def from_order(key, like):
    """The number, of `like`'s type, whose `order` the key is."""
    if np.issubdtype(type(like), np.integer):
        return key
    bits = key ^ ((key >> (8 * key.itemsize - 1)) & np.iinfo(key.dtype).max)
    return bits.view(type(like))


def _implement(public: Callable, single: Callable, double: Callable) -> None:
    """In kernels `public(x)` becomes `single` for a float32 and `double` for a float64."""

    @overload(public, jit_options=OPTIONS)
    def choose(x):
        return {types.float32: single, types.float64: double}.get(x)


def exp(x):
    """e**x; 0 below the range and infinity above it."""
    return np.exp(x)


def expm1(x):
    """e**x - 1, exact for small x too."""
    return np.expm1(x)


def log(x):
    """The natural logarithm; -infinity at 0 and NaN below."""
    return np.log(x)


def log1p(x):
    """log(1 + x), exact for small x too."""
    return np.log1p(x)


def tanh(x):
    """The hyperbolic tangent."""
    return np.tanh(x)


def erf(x):
    """2 / sqrt(pi) times the integral of e**-t**2 from 0 to x."""
    return type(x)(math.erf(x))


def sigmoid(x):
    """1 / (1 + e**-x)."""
    return 1 / (1 + np.exp(-x))


def softplus(x):
    """log(1 + e**x), without overflow."""
    return np.logaddexp(x, type(x)(0))


def maximum(x, y):
    """The larger of x and y, NaN where either is NaN."""
    return np.maximum(x, y)


def minimum(x, y):
    """The smaller of x and y, NaN where either is NaN."""
    return np.minimum(x, y)


_implement(exp, _exp32, lambda x: math.exp(x))
_implement(expm1, _expm1_32, lambda x: math.expm1(x))
_implement(log, _log32, lambda x: math.log(x))
_implement(log1p, _log1p_32, lambda x: math.log1p(x))
_implement(tanh, _tanh32, lambda x: math.tanh(x))
_implement(erf, _erf32, lambda x: math.erf(x))
_implement(sigmoid, _sigmoid_any, _sigmoid_any)
_implement(softplus, _softplus_any, _softplus_any)


@overload(maximum, jit_options=OPTIONS)
def _maximum_implementation(x, y):
    if isinstance(x, types.Float):
        return lambda x, y: _maximum(x, y)
    return lambda x, y: x if x > y else y


@overload(minimum, jit_options=OPTIONS)
def _minimum_implementation(x, y):
    if isinstance(x, types.Float):
        return lambda x, y: _minimum(x, y)
    return lambda x, y: x if x < y else y


@overload(order, jit_options=OPTIONS)
def _order_implementation(x):
    if x == types.float32:
        return lambda x: np.int32(_bits(x) ^ ((_bits(x) >> np.int32(31)) & np.int32(0x7FFFFFFF)))
    if x == types.float64:
        return lambda x: _bits(x) ^ ((_bits(x) >> 63) & 0x7FFFFFFFFFFFFFFF)
    return lambda x: x


@overload(from_order, jit_options=OPTIONS)
def _from_order_implementation(key, like):
    if like == types.float32:
        return lambda key, like: _from_bits(np.int32(key ^ ((key >> np.int32(31)) & np.int32(0x7FFFFFFF))))
    if like == types.float64:
        return lambda key, like: _from_bits(key ^ ((key >> 63) & 0x7FFFFFFFFFFFFFFF))
    return lambda key, like: key
