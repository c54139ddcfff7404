"""How a public op is declared: entered by name, open to the functional API's symbolic tensors."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError, InvalidArgumentError
from distkeras._registry import Registry
from distkeras.core import context
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.tensor import Tensor, to_tensor

OPS = Registry("op")


def op(function: Callable) -> Callable:
    """Declare a public op: it is found in `OPS` by its name, and on a symbolic Keras tensor it becomes a layer.

    The layer takes the `name` that ops are given; without graphs, which have names for operations, nothing else does.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if context.symbolic_call is not None and (_symbolic(args) or (kwargs and _symbolic(kwargs.values()))):
            return context.symbolic_call(call, args, kwargs)
        if context.ragged_call is not None and (_ragged(args) or (kwargs and _ragged(kwargs.values()))):
            return context.ragged_call(call, args, kwargs)
        return function(*args, **kwargs)

    OPS.add(function.__name__.rstrip("_"), call)
    return call


def named(function: Callable, name: str, summary: str) -> Callable:
    """The function, which is one of a family that one `def` makes, under a name of its own."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = summary
    return function


def _symbolic(values: Any) -> bool:
    for value in values:
        if hasattr(value, "_keras_history"):
            return True
        if isinstance(value, (list, tuple)) and _symbolic(value):
            return True
    return False


def _ragged(values: Any) -> bool:
    return any(
        isinstance(value, RaggedTensor) or (isinstance(value, (list, tuple)) and _ragged(value)) for value in values
    )


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
        TypeError: It is no integer.
    """
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, Tensor) or hasattr(axis, "tolist"):
        axis = to_tensor(axis).numpy().tolist()
    given = list(axis) if hasattr(axis, "__iter__") and not isinstance(axis, str) else [axis]
    if not ndim and set(given) <= {0, -1}:
        return ()
    axes = tuple(sorted(axis_of(item, ndim) for item in given))
    if len(set(axes)) != len(axes):
        raise InvalidArgumentError(f"An axis is given twice in {given}.")
    return axes


def axis_of(axis: Any, ndim: int) -> int:
    """One axis, non-negative.

    Raises:
        InvalidArgumentError: It is out of range, as every axis of a scalar is.
        TypeError: It is no integer.
    """
    axis = integer(axis, "an axis")
    if not -ndim <= axis < ndim:
        raise InvalidArgumentError(f"Axis {axis} is out of range for a tensor of {ndim} dimensions.")
    return axis % ndim


def static_ints(values: Any, what: str = "shape") -> tuple[int, ...]:
    """Sizes as Python ints: from ints, a list that may hold scalar tensors, an array, or a tensor with a value."""
    if isinstance(values, (int, str)) or not getattr(values, "ndim", 1):
        values = [values]
    if isinstance(values, Tensor):
        values = values._value(f"a {what}")
    if not hasattr(values, "__iter__"):
        values = [values]
    return tuple(integer(value, f"each entry of a {what}") for value in values)


def sizes_of(values: Any, what: str = "shape") -> tuple[int, ...]:
    """`static_ints` that are sizes.

    Raises:
        InvalidArgumentError: One is negative.
    """
    sizes = static_ints(values, what)
    if min(sizes, default=0) < 0:
        raise InvalidArgumentError(f"Expected a {what} of sizes >= 0, received {sizes}.")
    return sizes


def integer(value: Any, what: str) -> int:
    """`value`, a number or a scalar tensor with a value, as an int.

    Raises:
        TypeError: It is no integer.
    """
    try:
        return operator.index(value)
    except CaptureError:
        raise
    except TypeError:
        raise TypeError(f"Expected an integer for {what}, received {value!r}.") from None
