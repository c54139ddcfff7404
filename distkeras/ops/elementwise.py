"""Element-wise ops: a table of primitives with expressions that fused kernels are generated from.

In an expression {0}, {1}, ... are the inputs and {T} is the output's element type as a function, so that constants do
not widen float32 arithmetic: `{T}(0.5)`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Primitive
from distkeras.core.spec import TensorSpec, as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import named, op, operands
from distkeras.ops.shape import broadcast_to, sum_to


def _broadcast_spec(*specs: TensorSpec, dtype: Any = None) -> TensorSpec:
    try:
        shape = np.broadcast_shapes(*(spec.shape for spec in specs))
    except ValueError:
        shapes = " and ".join(str(spec.shape) for spec in specs)
        raise InvalidArgumentError(f"Incompatible shapes: {shapes} cannot be broadcast together.") from None
    return TensorSpec(shape, dtype or specs[-1].dtype)


def elementwise(
    name: str, expr: str | Callable[..., str], numpy: Callable, vjp: Callable | None = None, dtype: Any = None
) -> Primitive:
    """Declare an element-wise primitive.

    Args:
        vjp: (gradient, output, *inputs) -> gradient or function for each input, before broadcasting is undone.
        dtype: The output's type where it is not the last input's.
    """
    primitive = Primitive(name, expr=expr, numpy=numpy)
    primitive.def_shape(lambda *specs, **params: _broadcast_spec(*specs, dtype=dtype))
    if vjp is not None:
        primitive.def_vjp(functools.partial(_broadcast_vjp, vjp))
    return primitive


def _broadcast_vjp(vjp: Callable, gradients: tuple, inputs: tuple, outputs: tuple, **params: Any) -> tuple:
    parts = vjp(gradients[0], outputs[0], *inputs, **params)
    return tuple(
        None if part is None else functools.partial(_reduced, part, tensor.shape)
        for part, tensor in zip(parts, inputs, strict=True)
    )


def _reduced(part: Any, shape: Any) -> Tensor:
    return sum_to(part() if callable(part) else part, tuple(shape))


# --- arithmetic

_add = elementwise("add", "({0} + {1})", np.add, lambda g, out, x, y: (g, g))
_subtract = elementwise("subtract", "({0} - {1})", np.subtract, lambda g, out, x, y: (g, lambda: -g))
_multiply = elementwise("multiply", "({0} * {1})", np.multiply, lambda g, out, x, y: (lambda: g * y, lambda: g * x))
_divide = elementwise(
    "divide", "({0} / {1})", np.divide, lambda g, out, x, y: (lambda: g / y, lambda: -(g * (out / y)))
)
_floor_divide = elementwise("floor_divide", "({0} // {1})", np.floor_divide, lambda g, out, x, y: (None, None))
_floor_mod = elementwise(
    "floor_mod", "({0} % {1})", np.mod, lambda g, out, x, y: (g, lambda: -(g * floor_divide(x, y)))
)
_maximum = elementwise(
    "maximum",
    "({0} if ({0} > {1}) | ({0} != {0}) else {1})",
    np.maximum,
    lambda g, out, x, y: (lambda: where(x >= y, g, zeros_of(g)), lambda: where(x >= y, zeros_of(g), g)),
)
_minimum = elementwise(
    "minimum",
    "({0} if ({0} < {1}) | ({0} != {0}) else {1})",
    np.minimum,
    lambda g, out, x, y: (lambda: where(x <= y, g, zeros_of(g)), lambda: where(x <= y, zeros_of(g), g)),
)
_pow = elementwise(
    "pow",
    "({0} ** {1})",
    np.power,
    lambda g, out, x, y: (
        lambda: g * y * pow(x, y - ones_of(y)),
        lambda: g * where(x > zeros_of(x), log(where(x > zeros_of(x), x, ones_of(x))) * out, zeros_of(out)),
    ),
)
_squared_difference = elementwise(
    "squared_difference",
    "(({0} - {1}) * ({0} - {1}))",
    lambda x, y: np.square(x - y),
    lambda g, out, x, y: (lambda: g * (x - y) * 2.0, lambda: g * (y - x) * 2.0),
)
_divide_no_nan = elementwise(
    "divide_no_nan",
    "({T}(0) if {1} == {T}(0) else {0} / {1})",
    lambda x, y: np.where(y == 0, np.zeros((), x.dtype), x / np.where(y == 0, np.ones((), y.dtype), y)),
    lambda g, out, x, y: (lambda: divide_no_nan(g, y), lambda: -divide_no_nan(g * out, y)),
)
_negative = elementwise("negative", "(-{0})", np.negative, lambda g, out, x: (lambda: -g,))
_reciprocal = elementwise("reciprocal", "({T}(1) / {0})", np.reciprocal, lambda g, out, x: (lambda: -(g * out * out),))
_abs = elementwise("abs", "abs({0})", np.abs, lambda g, out, x: (lambda: g * sign(x),))
_sign = elementwise(
    "sign",
    "({0} if {0} != {0} else ({T}({0} > {T}(0)) - {T}({0} < {T}(0))))",
    np.sign,
    lambda g, out, x: (lambda: broadcast_to(zeros_of(x), x.shape),),
)
_square = elementwise("square", "({0} * {0})", np.square, lambda g, out, x: (lambda: g * x * 2.0,))
_sqrt = elementwise("sqrt", "math.sqrt({0})", np.sqrt, lambda g, out, x: (lambda: g * 0.5 / out,))
_rsqrt = elementwise(
    "rsqrt",
    "({T}(1) / math.sqrt({0}))",
    lambda x: (1 / np.sqrt(x)).astype(x.dtype),
    lambda g, out, x: (lambda: g * -0.5 * out * out * out,),
)

# --- transcendental

_exp = elementwise("exp", "vmath.exp({0})", np.exp, lambda g, out, x: (lambda: g * out,))
_expm1 = elementwise("expm1", "vmath.expm1({0})", np.expm1, lambda g, out, x: (lambda: g * (out + 1.0),))
_log = elementwise("log", "vmath.log({0})", np.log, lambda g, out, x: (lambda: g / x,))
_log1p = elementwise("log1p", "vmath.log1p({0})", np.log1p, lambda g, out, x: (lambda: g / (x + 1.0),))
_tanh = elementwise("tanh", "vmath.tanh({0})", np.tanh, lambda g, out, x: (lambda: g * (1.0 - out * out),))
_sigmoid = elementwise(
    "sigmoid",
    "vmath.sigmoid({0})",
    lambda x: np.where(x < 0, np.exp(-np.abs(x)), np.ones((), x.dtype)) / (1 + np.exp(-np.abs(x))),
    lambda g, out, x: (lambda: g * out * (1.0 - out),),
)
_softplus = elementwise(
    "softplus",
    "vmath.softplus({0})",
    lambda x: np.logaddexp(x, np.zeros((), x.dtype)),
    lambda g, out, x: (lambda: g * sigmoid(x),),
)
_sin = elementwise("sin", "math.sin({0})", np.sin, lambda g, out, x: (lambda: g * cos(x),))
_cos = elementwise("cos", "math.cos({0})", np.cos, lambda g, out, x: (lambda: -(g * sin(x)),))
_tan = elementwise("tan", "math.tan({0})", np.tan, lambda g, out, x: (lambda: g * (out * out + 1.0),))
_asin = elementwise("asin", "math.asin({0})", np.arcsin, lambda g, out, x: (lambda: g * rsqrt(1.0 - x * x),))
_acos = elementwise("acos", "math.acos({0})", np.arccos, lambda g, out, x: (lambda: -(g * rsqrt(1.0 - x * x)),))
_atan = elementwise("atan", "math.atan({0})", np.arctan, lambda g, out, x: (lambda: g / (x * x + 1.0),))
_sinh = elementwise("sinh", "math.sinh({0})", np.sinh, lambda g, out, x: (lambda: g * cosh(x),))
_cosh = elementwise("cosh", "math.cosh({0})", np.cosh, lambda g, out, x: (lambda: g * sinh(x),))
_erf = elementwise(
    "erf",
    "{T}(math.erf({0}))",
    lambda x: np.vectorize(_erf_scalar, otypes=[x.dtype])(x) if x.size else x.copy(),
    lambda g, out, x: (lambda: g * exp(-(x * x)) * (2.0 / np.pi**0.5),),
)


def _erf_scalar(x: float) -> float:
    import math

    return math.erf(x)


# --- rounding and comparison: no derivative

_floor = elementwise("floor", "np.floor({0})", np.floor, lambda g, out, x: (None,))
_ceil = elementwise("ceil", "np.ceil({0})", np.ceil, lambda g, out, x: (None,))
_round = elementwise("round", "np.rint({0})", np.rint, lambda g, out, x: (None,))
_is_nan = elementwise("is_nan", "({0} != {0})", np.isnan, dtype="bool")
_is_inf = elementwise("is_inf", "np.isinf({0})", np.isinf, dtype="bool")
_is_finite = elementwise("is_finite", "np.isfinite({0})", np.isfinite, dtype="bool")

_equal = elementwise("equal", "({0} == {1})", np.equal, dtype="bool")
_not_equal = elementwise("not_equal", "({0} != {1})", np.not_equal, dtype="bool")
_less = elementwise("less", "({0} < {1})", np.less, dtype="bool")
_less_equal = elementwise("less_equal", "({0} <= {1})", np.less_equal, dtype="bool")
_greater = elementwise("greater", "({0} > {1})", np.greater, dtype="bool")
_greater_equal = elementwise("greater_equal", "({0} >= {1})", np.greater_equal, dtype="bool")
_logical_and = elementwise("logical_and", "({0} & {1})", np.logical_and, dtype="bool")
_logical_or = elementwise("logical_or", "({0} | {1})", np.logical_or, dtype="bool")
_logical_xor = elementwise("logical_xor", "({0} ^ {1})", np.logical_xor, dtype="bool")
_logical_not = elementwise("logical_not", "(not {0})", np.logical_not, dtype="bool")

# --- selection and activation

_select = elementwise(
    "select",
    "({1} if {0} else {2})",
    np.where,
    lambda g, out, condition, x, y: (
        None,
        lambda: where(condition, g, zeros_of(g)),
        lambda: where(condition, zeros_of(g), g),
    ),
)
_relu = elementwise(
    "relu",
    "({0} if not ({0} < {T}(0)) else {T}(0))",
    lambda x: np.maximum(x, np.zeros((), x.dtype)),
    lambda g, out, x: (lambda: _relu_gradient(g, out),),
)
_relu_gradient = elementwise(
    "relu_gradient",
    "({0} if {1} > {T}(0) else {T}(0))",
    lambda g, out: np.where(out > 0, g, np.zeros((), g.dtype)),
    lambda gg, _, g, out: (lambda: _relu_gradient(gg, out), None),
)
_identity = elementwise("identity", "{0}", np.array, lambda g, out, x: (g,))
_stop_gradient = elementwise("stop_gradient", "{0}", np.array, lambda g, out, x: (None,))


def _cast_numpy(x: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        return x.astype(dtype)


def _cast_expr(dtype: str) -> str:
    return "({0} != 0)" if dtype == "bool" else "{T}({0})"


_cast = Primitive("cast", expr=_cast_expr, numpy=_cast_numpy)
_cast.def_shape(lambda spec, dtype: TensorSpec(spec.shape, dtype))
_cast.def_vjp(
    lambda gradients, inputs, outputs, dtype: (
        (lambda: cast(gradients[0], inputs[0].dtype)) if inputs[0].dtype.is_floating else None,
    )
)


# --- the public ops


def unary_op(name: str, primitive: Primitive, summary: str, floating: bool = True) -> Callable:
    def function(x: Any, name: str | None = None) -> Tensor:
        x = to_tensor(x)
        if floating and not (x.dtype.is_floating or x.dtype.is_complex):
            raise InvalidArgumentError(
                f"{function.__name__} takes floating-point tensors, received dtype {x.dtype.name}: cast it first with "
                "tf.cast(x, tf.float32)."
            )
        return primitive(x)

    return op(named(function, name, summary))


def binary_op(name: str, primitive: Primitive, summary: str) -> Callable:
    def function(x: Any, y: Any, name: str | None = None) -> Tensor:
        return primitive(*operands(x, y))

    return op(named(function, name, summary))


def _logical_op(name: str, primitive: Primitive, summary: str) -> Callable:
    def function(*values: Any, name: str | None = None) -> Tensor:
        tensors = [to_tensor(value) for value in values]
        for tensor in tensors:
            if not tensor.dtype.is_bool:
                raise InvalidArgumentError(
                    f"{function.__name__} takes bool tensors, received dtype {tensor.dtype.name}: compare it, as in "
                    "x != 0."
                )
        return primitive(*tensors)

    return op(named(function, name, summary))


add = binary_op("add", _add, "x + y, element by element, broadcast as NumPy does.")
subtract = binary_op("subtract", _subtract, "x - y, element by element.")
multiply = binary_op("multiply", _multiply, "x * y, element by element.")
floor_divide = floordiv = binary_op("floordiv", _floor_divide, "The largest integer not above x / y.")
floor_mod = mod = binary_op("floormod", _floor_mod, "x - floor(x / y) * y.")
maximum = binary_op("maximum", _maximum, "The larger of x and y; NaN where either is NaN.")
minimum = binary_op("minimum", _minimum, "The smaller of x and y; NaN where either is NaN.")
pow = binary_op("pow", _pow, "x to the power y.")
squared_difference = binary_op("squared_difference", _squared_difference, "(x - y) squared.")
divide_no_nan = binary_op("divide_no_nan", _divide_no_nan, "x / y, and 0 where y is 0.")
equal = binary_op("equal", _equal, "Whether x == y, element by element.")
not_equal = binary_op("not_equal", _not_equal, "Whether x != y, element by element.")
less = binary_op("less", _less, "Whether x < y, element by element.")
less_equal = binary_op("less_equal", _less_equal, "Whether x <= y, element by element.")
greater = binary_op("greater", _greater, "Whether x > y, element by element.")
greater_equal = binary_op("greater_equal", _greater_equal, "Whether x >= y, element by element.")
logical_and = _logical_op("logical_and", _logical_and, "x and y, element by element.")
logical_or = _logical_op("logical_or", _logical_or, "x or y, element by element.")
logical_xor = _logical_op("logical_xor", _logical_xor, "Either x or y, element by element.")
logical_not = _logical_op("logical_not", _logical_not, "Not x, element by element.")
negative = unary_op("negative", _negative, "-x.", floating=False)
abs = unary_op("abs", _abs, "The absolute value.", floating=False)
sign = unary_op("sign", _sign, "-1, 0 or 1 as x is negative, zero or positive.", floating=False)
square = unary_op("square", _square, "x * x.", floating=False)
reciprocal = unary_op("reciprocal", _reciprocal, "1 / x.")
sqrt = unary_op("sqrt", _sqrt, "The square root.")
rsqrt = unary_op("rsqrt", _rsqrt, "1 / sqrt(x).")
exp = unary_op("exp", _exp, "e to the power x.")
expm1 = unary_op("expm1", _expm1, "exp(x) - 1, exact for small x.")
log = unary_op("log", _log, "The natural logarithm.")
log1p = unary_op("log1p", _log1p, "log(1 + x), exact for small x.")
tanh = unary_op("tanh", _tanh, "The hyperbolic tangent.")
sigmoid = unary_op("sigmoid", _sigmoid, "1 / (1 + exp(-x)).")
softplus = unary_op("softplus", _softplus, "log(1 + exp(x)), without overflow.")
sin = unary_op("sin", _sin, "The sine; x in radians.")
cos = unary_op("cos", _cos, "The cosine; x in radians.")
tan = unary_op("tan", _tan, "The tangent; x in radians.")
asin = unary_op("asin", _asin, "The inverse sine, in radians.")
acos = unary_op("acos", _acos, "The inverse cosine, in radians.")
atan = unary_op("atan", _atan, "The inverse tangent, in radians.")
sinh = unary_op("sinh", _sinh, "The hyperbolic sine.")
cosh = unary_op("cosh", _cosh, "The hyperbolic cosine.")
erf = unary_op("erf", _erf, "The error function.")
floor = unary_op("floor", _floor, "The largest integer not above x.")
ceil = unary_op("ceil", _ceil, "The smallest integer not below x.")
is_nan = unary_op("is_nan", _is_nan, "Whether x is NaN.")
is_inf = unary_op("is_inf", _is_inf, "Whether x is infinite.")
is_finite = unary_op("is_finite", _is_finite, "Whether x is neither infinite nor NaN.")
relu = unary_op("relu", _relu, "max(x, 0).", floating=False)
identity = unary_op("identity", _identity, "x itself.", floating=False)
stop_gradient = unary_op("stop_gradient", _stop_gradient, "x, as a constant to differentiation.", floating=False)


@op
def round(x: Any, name: str | None = None) -> Tensor:
    """The nearest integer; halves go to the even one."""
    x = to_tensor(x)
    return x if x.dtype.is_integer else _round(x)


@op
def divide(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, element by element; integers are divided as float64, as Python divides."""
    x, y = operands(x, y)
    if x.dtype.is_integer:
        wide = "float32" if x.dtype.size <= 2 else "float64"
        x, y = cast(x, wide), cast(y, wide)
    return _divide(x, y)


@op
def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """x with another element type; floats are cut towards zero to become integers.

    >>> import distkeras as tf
    >>> tf.cast([1.8, -1.8], tf.int32).numpy().tolist()
    [1, -1]
    """
    x, dtype = to_tensor(x), as_dtype(dtype)
    if x.dtype is dtype:
        return x
    if "string" in (x.dtype.name, dtype.name):
        raise InvalidArgumentError(
            f"cast: {x.dtype.name} to {dtype.name} is not supported; see tf.strings.to_number and as_string."
        )
    return _cast(x, dtype=dtype.name)


@op
def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """x where the condition holds and y elsewhere, broadcast; without x and y, the indices at which it holds."""
    condition = to_tensor(condition)
    if (x is None) != (y is None):
        raise ValueError("x and y must both be non-None or both be None.")
    if x is None:
        return Tensor(np.argwhere(condition._value("indices")))
    x, y = operands(x, y)
    return _select(condition if condition.dtype.is_bool else cast(condition, "bool"), x, y)


@op
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Tensor:
    """t with what lies outside [clip_value_min, clip_value_max] set to the nearer bound."""
    t = to_tensor(t)
    return maximum(minimum(t, clip_value_max), clip_value_min)


@op
def add_n(inputs: Any, name: str | None = None) -> Tensor:
    """The sum of tensors of one shape."""
    inputs = [to_tensor(item) for item in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
    if not inputs:
        raise ValueError("add_n: expected at least one tensor, received an empty list.")
    if len({item.spec for item in inputs}) > 1:
        raise InvalidArgumentError(
            f"add_n: shapes and types must be equal, received {[f'{item.dtype.name} {item.shape}' for item in inputs]}."
        )
    return functools.reduce(_add, inputs)


def zeros_of(tensor: Tensor) -> Tensor:
    """A scalar 0 of the tensor's type."""
    return Tensor(np.zeros((), tensor.dtype.numpy))


def ones_of(tensor: Tensor) -> Tensor:
    """A scalar 1 of the tensor's type."""
    return Tensor(np.ones((), tensor.dtype.numpy))
