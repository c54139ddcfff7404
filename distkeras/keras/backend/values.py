"""The part of `tf.keras.backend` that makes variables, reads and writes them, and runs functional models on arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import _nest, ops
from distkeras._config import floatx
from distkeras.core.tensor import to_tensor
from distkeras.core.variable import Variable
from distkeras.keras.layers.call_context import clear_learning_phase
from distkeras.keras.layers.naming import reset_uids

# --- session and values


def clear_session() -> None:
    """Number the names of layers from the beginning again: `dense`, `dense_1`, ...; and forget the learning phase."""
    reset_uids()
    clear_learning_phase()


def get_value(x: Any) -> Any:
    """The value of a variable or tensor as an ndarray."""
    return x.numpy() if hasattr(x, "numpy") else x


eval = get_value


def set_value(x: Variable, value: Any) -> None:
    """Set a variable's value.

    Raises:
        ValueError: The shape is another one.
    """
    x.assign(np.asarray(value, x.dtype.numpy))


def batch_get_value(tensors: Sequence[Any]) -> list[Any]:
    """The values of several variables."""
    return [get_value(tensor) for tensor in tensors]


def batch_set_value(tuples: Sequence[tuple[Variable, Any]]) -> None:
    """Set several variables: (variable, value) pairs."""
    for variable, value in tuples:
        set_value(variable, value)


def function(inputs: Any, outputs: Any) -> Callable[..., Any]:
    """What a functional model's tensors are for given arrays.

    Args:
        inputs: A tensor from `tf.keras.Input`, or a list of them.
        outputs: Symbolic tensors that depend on these, such as `layer.output`; one or a list.

    Returns:
        A function that takes a list of arrays and returns ndarrays in the structure of `outputs`.

    >>> import distkeras as tf
    >>> x = tf.keras.Input((2,))
    >>> double = tf.keras.backend.function([x], [x * 2.0])
    >>> double([[[1.0, 3.0]]])[0].tolist()
    [[2.0, 6.0]]
    """
    from distkeras.keras.models import Model

    several = isinstance(inputs, (list, tuple))
    model = Model(list(inputs) if several else inputs, outputs, name="function")
    as_list = isinstance(outputs, list)

    def run(values: Any) -> Any:
        arrays = [to_tensor(value) for value in values] if several else to_tensor(values)
        results = model(arrays[0] if several and len(arrays) == 1 else arrays)
        results = [results] if as_list and not isinstance(results, list) else results
        return _nest.map_structure(get_value, results)

    return run


# --- variables


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Variable:
    """A variable that begins with `value`, of type `floatx()` by default."""
    return Variable(value, dtype=dtype or floatx(), name=name, constraint=constraint)


def zeros(shape: Sequence[int], dtype: Any = None, name: str | None = None) -> Variable:
    """A variable of zeros."""
    return variable(ops.zeros(shape, dtype or floatx()), dtype, name)


def ones(shape: Sequence[int], dtype: Any = None, name: str | None = None) -> Variable:
    """A variable of ones."""
    return variable(ops.ones(shape, dtype or floatx()), dtype, name)


def eye(size: int, dtype: Any = None, name: str | None = None) -> Variable:
    """A variable that is the identity matrix."""
    return variable(ops.eye(size, dtype=dtype or floatx()), dtype, name)


def update(x: Variable, new_x: Any) -> Any:
    """Assign a new value."""
    return x.assign(new_x)


def update_add(x: Variable, increment: Any) -> Any:
    """Add to a variable."""
    return x.assign_add(increment)


def update_sub(x: Variable, decrement: Any) -> Any:
    """Subtract from a variable."""
    return x.assign_sub(decrement)


def moving_average_update(x: Variable, value: Any, momentum: float) -> Any:
    """x = momentum * x + (1 - momentum) * value."""
    return x.assign_sub((x.value() - value) * (1.0 - momentum))
