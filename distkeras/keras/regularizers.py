"""Weight penalties that are added to the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from distkeras import _config, ops
from distkeras._registry import Registry
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object

REGULARIZERS = Registry("regularizer")


class Regularizer:
    """A function of a weight tensor that gives a scalar penalty; subclasses define `__call__` and `get_config`."""

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, x).")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(f"{type(self).__name__} must define get_config(self), so that it can be saved.")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Regularizer:
        """The inverse of `get_config`."""
        return cls(**config)


@REGULARIZERS.register()
class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x^2).

    Args:
        l1: Factor of the sum of absolute values.
        l2: Factor of the sum of squares.

    >>> from distkeras.keras import regularizers
    >>> float(regularizers.l2(0.5)([1.0, 2.0]))
    2.5
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = _factor("l1", l1), _factor("l2", l2)

    def __call__(self, x: Any) -> Tensor:
        x = to_tensor(x)
        penalty = ops.zeros((), x.dtype)
        if self.l1:
            penalty = penalty + self.l1 * ops.reduce_sum(ops.abs(x))
        if self.l2:
            penalty = penalty + self.l2 * ops.reduce_sum(ops.square(x))
        return penalty

    def get_config(self) -> dict[str, float]:
        return {"l1": self.l1, "l2": self.l2}


def _factor(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number, np.ndarray)) or np.ndim(value):
        raise ValueError(f"The regularization factor {name} must be a number, received {value!r}.")
    return float(np.asarray(value, _config.floatx()))


def _single(name: str, value: Any, others: dict[str, Any]) -> Any:
    """The factor, which may also have been given by its old name `l`."""
    value = others.pop("l", value)
    if others:
        raise TypeError(f"{name}() got unexpected keyword arguments {sorted(others)}: expected {name!r} or 'l'.")
    return value


def l1(l1: float = 0.01, **kwargs: Any) -> L1L2:
    """The penalty l1 * sum(|x|)."""
    return L1L2(l1=_single("l1", l1, kwargs))


def l2(l2: float = 0.01, **kwargs: Any) -> L1L2:
    """The penalty l2 * sum(x^2)."""
    return L1L2(l2=_single("l2", l2, kwargs))


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """The penalty l1 * sum(|x|) + l2 * sum(x^2)."""
    return L1L2(l1=l1, l2=l2)


REGULARIZERS.add("l1", l1, aliases=("L1",))
REGULARIZERS.add("l2", l2, aliases=("L2",))
REGULARIZERS.add("l1_l2", l1_l2)


def serialize(regularizer: Any) -> Any:
    """What stands for a regularizer in a config."""
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer that a config stands for."""
    return deserialize_keras_object(config, REGULARIZERS, custom_objects, "regularizer")


def get(identifier: Any) -> Any:
    """The regularizer meant by a name, a config, a function or regularizer itself, or None.

    Raises:
        ValueError: There is no such regularizer.
    """
    if isinstance(identifier, str):  # a config without settings: `l2` is a function that makes the regularizer
        identifier = {"class_name": identifier, "config": {}}
    return deserialize(identifier)
