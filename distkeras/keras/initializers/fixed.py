"""Initializers that draw nothing: constants and the identity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.core.tensor import Tensor
from distkeras.keras.initializers.base import INITIALIZERS, Initializer, floating, tensor_of, type_of


@INITIALIZERS.register(aliases=("zeros", "zero"))
class Zeros(Initializer):
    """All zeros.

    >>> from distkeras.keras import initializers
    >>> initializers.Zeros()((2,)).numpy().tolist()
    [0.0, 0.0]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        return tensor_of(np.zeros(tuple(shape)), type_of(dtype))


@INITIALIZERS.register(aliases=("ones", "one"))
class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        return tensor_of(np.ones(tuple(shape)), type_of(dtype))


@INITIALIZERS.register(aliases=("constant",))
class Constant(Initializer):
    """One value everywhere, or the values of a list that has as many elements as the weight.

    Args:
        value: A number, or a list or array of numbers.

    Raises:
        ValueError: (when called) The number of values is neither one nor that of the shape's elements.
    """

    def __init__(self, value: Any = 0) -> None:
        if not (np.isscalar(value) or isinstance(value, (list, tuple, np.ndarray))):
            raise TypeError(f"Constant: expected a number or a list or array of numbers, received {value!r}.")
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        values, shape = np.asarray(self.value), tuple(shape)
        if values.size not in (1, math.prod(shape)):
            raise ValueError(
                f"Constant: expected one value or {math.prod(shape)} for the shape {shape}, received {values.size}."
            )
        return tensor_of(np.full(shape, values) if values.size == 1 else values.reshape(shape), type_of(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


@INITIALIZERS.register(aliases=("identity", "eye"))
class Identity(Initializer):
    """The identity matrix times `gain`; only for matrices.

    Args:
        gain: A factor.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        dtype, shape = floating(self, dtype), tuple(shape)
        if len(shape) != 2:
            raise ValueError(f"Identity matrix initializer can only be used for 2D matrices, received shape {shape}.")
        return tensor_of(self.gain * np.eye(*shape), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}
