"""`tf.debugging`'s assertions: checked at once, or, inside a traced function, each time it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.spec import TensorShape, as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import named, operands
from distkeras.ops.elementwise import abs as absolute
from distkeras.ops.elementwise import (
    equal,
    greater,
    greater_equal,
    is_finite,
    less,
    less_equal,
    not_equal,
    zeros_of,
)
from distkeras.ops.reduction import reduce_all

_assert = Primitive("assert", effect=True)
_assert.def_shape(lambda *specs, message, labels, summarize: ())


@_assert.def_kernel
def _assert_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Callable, *, message: str, labels: tuple, summarize: int
) -> Calls:
    return [(_refuse_unless, (*inputs[:1], inputs[1:], message, labels, summarize))]


def _refuse_unless(
    condition: np.ndarray, values: Sequence[np.ndarray], message: str, labels: tuple, summarize: int
) -> None:
    if not condition.all():
        shown = [
            f"{label}{value.reshape(-1)[:summarize].tolist()}{' ...' if value.size > summarize >= 0 else ''}"
            for label, value in zip(labels, values, strict=True)
        ]
        raise InvalidArgumentError(" ".join([message, *shown]).strip())


def _check(condition: Any, values: Sequence[Any], message: str, labels: Sequence[str], summarize: int | None) -> None:
    tensors = [to_tensor(value) for value in values]
    count = 3 if summarize is None else int(summarize)
    _assert(to_tensor(condition, "bool"), *tensors, message=message, labels=tuple(labels), summarize=count)


def Assert(condition: Any, data: Sequence[Any], summarize: int | None = None, name: str | None = None) -> None:
    """Refuse to go on, showing `data`, unless the condition holds for all elements.

    Raises:
        InvalidArgumentError: It does not.
    """
    _check(condition, [], "assertion failed:", [], summarize) if not data else _check(
        condition, data, "assertion failed:", [""] * len(data), summarize
    )


def _of_two(name: str, holds: Callable, sign: str) -> Callable:
    def function(
        x: Any, y: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
    ) -> None:
        x, y = operands(x, y)
        text = f"{message or ''} Condition x {sign} y did not hold element-wise:".strip()
        _check(reduce_all(holds(x, y)), [x, y], text, ["x =", "y ="], summarize)

    return named(function, name, f"Refuse to go on unless x {sign} y for every element, broadcast.")


def _of_one(name: str, holds: Callable, sign: str) -> Callable:
    def function(x: Any, message: str | None = None, summarize: int | None = None, name: str | None = None) -> None:
        x = to_tensor(x)
        text = f"{message or ''} Condition x {sign} 0 did not hold element-wise:".strip()
        _check(reduce_all(holds(x, zeros_of(x))), [x], text, ["x ="], summarize)

    return named(function, name, f"Refuse to go on unless x {sign} 0 for every element.")


assert_equal = _of_two("assert_equal", equal, "==")
assert_none_equal = _of_two("assert_none_equal", not_equal, "!=")
assert_less = _of_two("assert_less", less, "<")
assert_less_equal = _of_two("assert_less_equal", less_equal, "<=")
assert_greater = _of_two("assert_greater", greater, ">")
assert_greater_equal = _of_two("assert_greater_equal", greater_equal, ">=")
assert_negative = _of_one("assert_negative", less, "<")
assert_positive = _of_one("assert_positive", greater, ">")
assert_non_negative = _of_one("assert_non_negative", greater_equal, ">=")
assert_non_positive = _of_one("assert_non_positive", less_equal, "<=")


def assert_near(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    message: str | None = None,
    summarize: int | None = None,
    name: str | None = None,
) -> None:
    """Refuse to go on unless |x - y| <= atol + rtol |y|; both are 10 times the type's precision by default."""
    x, y = operands(x, y)
    precision = 10 * float(np.finfo(x.dtype.numpy).eps)
    bound = absolute(y) * (precision if rtol is None else rtol) + (precision if atol is None else atol)
    text = f"{message or ''} x and y not equal to tolerance".strip()
    _check(reduce_all(less_equal(absolute(x - y), bound)), [x, y], text, ["x =", "y ="], summarize)


def assert_all_finite(x: Any, message: str, name: str | None = None) -> Tensor:
    """x itself; refuses to go on if it holds NaN or infinity."""
    x = to_tensor(x)
    if not x.dtype.is_floating:
        raise TypeError(f"check_numerics: expected floating-point numbers, received dtype {x.dtype.name}.")
    _check(reduce_all(is_finite(x)), [x], f"{message} : Tensor had NaN or Inf values:", ["x ="], None)
    return x


def check_numerics(tensor: Any, message: str, name: str | None = None) -> Tensor:
    """The tensor itself; refuses to go on if it holds NaN or infinity."""
    return assert_all_finite(tensor, message)


# --- what is known without values: refused at once, also while tracing


def _ranked(message: str | None, wanted: str, x: Tensor) -> str:
    return f"{message or ''} Tensor must have {wanted}. Received rank {x.ndim}, shape {x.shape}.".strip()


def assert_rank(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> None:
    """Refuse, with ValueError, a tensor of another number of dimensions."""
    x = to_tensor(x)
    if x.ndim != int(rank):
        raise ValueError(_ranked(message, f"rank {int(rank)}", x))


def assert_rank_at_least(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> None:
    """Refuse, with ValueError, a tensor of fewer dimensions."""
    x = to_tensor(x)
    if x.ndim < int(rank):
        raise ValueError(_ranked(message, f"rank at least {int(rank)}", x))


def assert_rank_in(x: Any, ranks: Sequence[Any], message: str | None = None, name: str | None = None) -> None:
    """Refuse, with ValueError, a tensor whose number of dimensions is none of `ranks`."""
    x, wanted = to_tensor(x), tuple(int(rank) for rank in ranks)
    if x.ndim not in wanted:
        raise ValueError(_ranked(message, f"rank in {wanted}", x))


def assert_scalar(tensor: Any, message: str | None = None, name: str | None = None) -> Tensor:
    """The tensor itself; ValueError if it is not a scalar."""
    tensor = to_tensor(tensor)
    if tensor.ndim:
        raise ValueError(f"{message or ''} Expected scalar shape, saw shape: {tensor.shape}.".strip())
    return tensor


def assert_type(tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None) -> None:
    """Refuse, with TypeError, a tensor of another element type."""
    tensor = to_tensor(tensor)
    if tensor.dtype is not as_dtype(tf_type):
        raise TypeError(f"{message or ''} tensor must be of type {as_dtype(tf_type)!r}; got {tensor.dtype!r}".strip())


def assert_integer(x: Any, message: str | None = None, name: str | None = None) -> None:
    """Refuse, with TypeError, a tensor that is not of an integer type."""
    x = to_tensor(x)
    if not x.dtype.is_integer:
        raise TypeError(f"{message or ''} Expected x to be integer type. Found type: {x.dtype!r}".strip())


def assert_same_float_dtype(tensors: Sequence[Any] | None = None, dtype: Any = None) -> Any:
    """The floating-point type that all tensors have; ValueError if they have not."""
    kinds = {to_tensor(tensor).dtype for tensor in tensors or ()} | ({as_dtype(dtype)} if dtype else set())
    if len(kinds) > 1 or any(not kind.is_floating for kind in kinds):
        raise ValueError(f"Expected one floating point type, got {sorted(kind.name for kind in kinds)}.")
    return kinds.pop() if kinds else as_dtype("float32")


def assert_proper_iterable(values: Any) -> None:
    """Refuse, with TypeError, what is not a list or the like: a tensor, an array, text."""
    if isinstance(values, (Tensor, np.ndarray, str, bytes)) or not hasattr(values, "__iter__"):
        raise TypeError(f"Expected argument 'values' to be a list or tuple of tensors. Found: {type(values).__name__}.")


def assert_shapes(
    shapes: Any, data: Any = None, summarize: int | None = None, message: str | None = None, name: str | None = None
) -> None:
    """Refuse, with ValueError, tensors whose sizes do not agree.

    Args:
        shapes: A dict, or (tensor, sizes) pairs; a size is a number, a name that stands for the same number
            everywhere, or None for any.
        data, summarize: What to show with the message.
    """
    sizes: dict[Any, int] = {}
    shown = "" if data is None else f" {[str(item) for item in _nest.flatten(data)][:summarize]}"
    for tensor, wanted in shapes.items() if isinstance(shapes, dict) else shapes:
        shape = to_tensor(tensor).shape
        wanted = tuple(wanted) if isinstance(wanted, (list, tuple, TensorShape)) else (wanted,)
        if len(wanted) != len(shape):
            raise ValueError(f"{message or ''} Tensor of shape {shape} must have rank {len(wanted)}.{shown}".strip())
        for axis, (size, symbol) in enumerate(zip(shape, wanted, strict=True)):
            expected = symbol if isinstance(symbol, (int, np.integer)) else sizes.setdefault(symbol, size)
            if symbol is not None and size != expected:
                raise ValueError(
                    f"{message or ''} Tensor dimension {axis} of shape {shape} must have size {expected} "
                    f"({symbol!r}), received {size}.{shown}".strip()
                )


def is_numeric_tensor(tensor: Any) -> bool:
    """Whether it is a tensor of numbers."""
    return isinstance(tensor, Tensor) and not (tensor.dtype.is_bool or tensor.dtype.name == "string")
