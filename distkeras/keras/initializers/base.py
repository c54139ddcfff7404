"""What an initializer is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distkeras import _config
from distkeras._registry import Registry
from distkeras.core.spec import DType, as_dtype
from distkeras.core.tensor import Tensor, to_tensor

INITIALIZERS = Registry("initializer")


class Initializer:
    """A function (shape, dtype) -> tensor; subclasses define `__call__` and `get_config`."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, shape, dtype).")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Initializer:
        """The inverse of `get_config`; a 'dtype' that older configs hold is not needed."""
        return cls(**{key: value for key, value in config.items() if key != "dtype"})


def type_of(dtype: Any) -> DType:
    """The element type, `floatx()` for None."""
    return as_dtype(_config.floatx() if dtype is None else dtype)


def floating(initializer: Initializer, dtype: Any) -> DType:
    """The same; ValueError unless it is of floating-point numbers."""
    dtype = type_of(dtype)
    if not dtype.is_floating:
        raise ValueError(f"{type(initializer).__name__}: expected a floating point dtype, received {dtype.name}.")
    return dtype


def tensor_of(array: Any, dtype: DType) -> Tensor:
    """An array as a tensor of an element type."""
    return to_tensor(np.asarray(array).astype(dtype.numpy))
