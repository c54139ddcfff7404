"""How a public op is declared: entered by name, open to the functional API's symbolic tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError, InvalidArgumentError
from distkeras._registry import Registry
from distkeras.core import context
from distkeras.core.tensor import Tensor, to_tensor

OPS = Registry("op")


def op(function: Callable) -> Callable:
    """Declare a public op: it is found in `OPS` by its name, and on a symbolic Keras tensor it becomes a layer."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if context.symbolic_call is not None and (_symbolic(args) or (kwargs and _symbolic(kwargs.values()))):
            return context.symbolic_call(call, args, kwargs)
        return function(*args, **kwargs)

    OPS.add(function.__name__.rstrip("_"), call)
    return call


def _symbolic(values: Any) -> bool:
    for value in values:
        if hasattr(value, "_keras_history"):
            return True
        if isinstance(value, (list, tuple)) and _symbolic(value):
            return True
    return False


def refuse_symbolic(function: str, values: Any) -> None:
    """Raise TypeError if a symbolic Keras tensor is among the values of a function that cannot become a layer."""
    if context.symbolic_call is not None and _symbolic(_nest.flatten(values)):
        raise TypeError(
            f"{function}: a symbolic tensor of the functional API only describes what a model will compute. Put the "
            "call into a Lambda layer, or a Layer of your own: tf.keras.layers.Lambda(lambda x: ...)(tensor)."
        )


def operands(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors of one element type; numbers and arrays take a tensor's where it fits.

    Raises:
        InvalidArgumentError: The types differ.
    """
    if _typed(x) or not (_typed(y) or isinstance(y, (np.ndarray, np.generic))):
        left = to_tensor(x)
        right = to_tensor(y, like=left)
    else:
        right = to_tensor(y)
        left = to_tensor(x, like=right)
    if left.dtype is not right.dtype:
        raise InvalidArgumentError(
            f"Both operands must have one element type, received {left.dtype.name} and {right.dtype.name}: "
            f"cast one of them, as in tf.cast(x, tf.{left.dtype.name})."
        )
    return left, right


def _typed(value: Any) -> bool:
    """Whether it is a tensor or a variable: an array, or a number, takes their type."""
    return hasattr(value, "dtype") and not isinstance(value, (np.ndarray, np.generic))


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """`axis` (an int, a sequence or None for all) as sorted, non-negative axes.

    Raises:
        InvalidArgumentError: An axis is out of range or given twice.
    """
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, Tensor) or hasattr(axis, "tolist"):
        axis = to_tensor(axis).numpy().tolist()
    given = [axis] if isinstance(axis, int) else [int(item) for item in axis]
    for item in given:
        if not -ndim <= item < max(ndim, 1):
            raise InvalidArgumentError(f"Axis {item} is out of range for a tensor of {ndim} dimensions.")
    axes = tuple(sorted(item % ndim for item in given)) if ndim else ()
    if len(set(axes)) != len(axes):
        raise InvalidArgumentError(f"An axis is given twice in {given}.")
    return axes


def static_ints(values: Any, what: str = "shape") -> tuple[int, ...]:
    """Sizes as Python ints: from ints, a list that may hold scalar tensors, an array, or a tensor with a value."""
    if isinstance(values, (int,)) or (hasattr(values, "ndim") and not getattr(values, "ndim", 1)):
        values = [values]
    if isinstance(values, Tensor):
        values = values._value(f"a {what}")
    try:
        return tuple(int(value) for value in values)
    except CaptureError:
        raise
    except TypeError:
        raise TypeError(f"Expected a {what} of integers, received {values!r}.") from None
