"""`tf.keras.backend`: settings, names, and variables by value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._config import (
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from distkeras.core.variable import Variable
from distkeras.keras.layers.naming import get_uid, reset_uids


def clear_session() -> None:
    """Number the names of layers from the beginning again: `dense`, `dense_1`, ..."""
    reset_uids()


def get_value(x: Any) -> Any:
    """The value of a variable or tensor as an ndarray."""
    return x.numpy() if hasattr(x, "numpy") else x


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


__all__ = [
    "batch_get_value",
    "batch_set_value",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "get_value",
    "image_data_format",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_value",
]
