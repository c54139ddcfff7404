"""Constraints: functions that pull a weight back into its bounds after each update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from distkeras import _config, ops
from distkeras._registry import Registry
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object

CONSTRAINTS = Registry("constraint")


class Constraint:
    """A function of a weight tensor that gives a tensor of the same shape; subclasses define `__call__`."""

    def __call__(self, w: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, w).")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Constraint:
        """The inverse of `get_config`."""
        return cls(**config)


def _norms(w: Tensor, axis: Any) -> Tensor:
    return ops.sqrt(ops.reduce_sum(ops.square(w), axis=axis, keepdims=True))


@CONSTRAINTS.register(aliases=("max_norm", "maxnorm"))
class MaxNorm(Constraint):
    """Scales vectors down to a norm of at most `max_value`.

    Args:
        max_value: The largest norm.
        axis: The axis or axes along which norms are taken: 0 for the inputs of a Dense unit, [0, 1, 2] for a filter of
            Conv2D.

    Raises:
        ValueError: max_value is negative.

    >>> from distkeras.keras import constraints
    >>> constraints.MaxNorm(1.0)([[3.0], [4.0]]).numpy().round(3).tolist()
    [[0.6...], [0.8...]]
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        if max_value < 0:
            raise ValueError(f"MaxNorm: max_value must not be negative, received {max_value!r}.")
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = to_tensor(w)
        norms = _norms(w, self.axis)
        return w * (ops.clip_by_value(norms, 0.0, self.max_value) / (norms + _config.epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


@CONSTRAINTS.register(aliases=("non_neg", "nonneg"))
class NonNeg(Constraint):
    """Sets negative weights to zero."""

    def __call__(self, w: Any) -> Tensor:
        w = to_tensor(w)
        return w * ops.cast(w >= 0.0, w.dtype)


@CONSTRAINTS.register(aliases=("unit_norm", "unitnorm"))
class UnitNorm(Constraint):
    """Scales vectors to norm 1.

    Args:
        axis: The axis or axes along which norms are taken.
    """

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = to_tensor(w)
        return w / (_norms(w, self.axis) + _config.epsilon())

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


@CONSTRAINTS.register(aliases=("min_max_norm", "minmaxnorm"))
class MinMaxNorm(Constraint):
    """Pulls norms towards the range [min_value, max_value].

    Args:
        min_value: The smallest norm.
        max_value: The largest norm.
        rate: How much of the way is gone at once: 1 enforces the range, less approaches it.
        axis: The axis or axes along which norms are taken.

    Raises:
        ValueError: Not 0 <= min_value <= max_value, or the rate is not in [0, 1].
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0) -> None:
        if not 0 <= min_value <= max_value:
            raise ValueError(f"MinMaxNorm: expected 0 <= min_value <= max_value, received {min_value} and {max_value}.")
        if not 0 <= rate <= 1:
            raise ValueError(f"MinMaxNorm: rate must be in [0, 1], received {rate!r}.")
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = to_tensor(w)
        norms = _norms(w, self.axis)
        desired = self.rate * ops.clip_by_value(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (desired / (norms + _config.epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


@CONSTRAINTS.register(aliases=("radial_constraint",))
class RadialConstraint(Constraint):
    """Makes the filters of a Conv2D rotationally symmetric: places on one square ring round the centre are made equal.

    Each ring takes the value of one place on the diagonal, the one that TensorFlow takes: rings are counted from the
    one before the middle, and for an even size the place in the middle is passed over.

    Raises:
        ValueError: (when called) The weight has not the four dimensions (size, size, inputs, outputs).

    >>> from distkeras.keras import constraints
    >>> kernel = np.arange(9.0).reshape(3, 3, 1, 1)
    >>> constraints.RadialConstraint()(kernel).numpy()[:, :, 0, 0].tolist()
    [[4.0, 4.0, 4.0], [4.0, 0.0, 4.0], [4.0, 4.0, 4.0]]
    """

    def __call__(self, w: Any) -> Tensor:
        w = to_tensor(w)
        if len(w.shape) != 4 or w.shape[0] != w.shape[1]:
            raise ValueError(
                "RadialConstraint: expected the kernel of a Conv2D with as many rows as columns, of shape (size, size, "
                f"inputs, outputs); received shape {w.shape}."
            )
        size = w.shape[0]
        diagonal = ops.gather(ops.reshape(w, (size * size, *w.shape[2:])), np.arange(size) * (size + 1))
        return ops.gather(diagonal, _rings(size))


def _rings(size: int) -> np.ndarray:
    """For each place of a square the place on the diagonal that its ring takes its value from."""
    distance = np.abs(2 * np.arange(size) - (size - 1)) // 2
    ring = np.maximum.outer(distance, distance)
    return np.maximum(size // 2 - 1 + ring + (ring > 0) * (size % 2 == 0), 0)


def serialize(constraint: Any) -> Any:
    """What stands for a constraint in a config."""
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint that a config stands for."""
    return deserialize_keras_object(config, CONSTRAINTS, custom_objects, "constraint")


def get(identifier: Any) -> Any:
    """The constraint meant by a name, a config, a function or constraint itself, or None.

    Raises:
        ValueError: There is no such constraint.
    """
    return deserialize(identifier)


max_norm = MaxNorm
non_neg = NonNeg
unit_norm = UnitNorm
min_max_norm = MinMaxNorm
radial_constraint = RadialConstraint
