"""What a schedule is: a function of the step, which is a tensor, or a number where an optimizer reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from distkeras import ops
from distkeras._registry import Registry
from distkeras.core.context import init_scope
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object

SCHEDULES = Registry("decay schedule")


class LearningRateSchedule:
    """Base of schedules; subclasses define `__call__(step)` and `get_config`.

    >>> import distkeras as tf
    >>> class Halving(tf.keras.optimizers.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.5 ** (tf.cast(step, "float32") + 1.0)
    >>> optimizer = tf.keras.optimizers.SGD(Halving())
    >>> x = tf.Variable(0.0)
    >>> for _ in range(2):
    ...     _ = optimizer.apply_gradients([(tf.constant(1.0), x)])
    >>> float(x)
    -0.75
    """

    def __call__(self, step: Any) -> Tensor:
        """The learning rate for a step.

        Args:
            step: How many steps were taken before: a number, or a scalar tensor; optimizers give a float32 tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, step).")

    def value_at(self, step: int) -> float:
        """The same as a number, rounded to float32 as a variable's value is."""
        with init_scope():
            return float(np.float32(float(self(Tensor(np.array(step, np.float32))))))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(f"{type(self).__name__} must define get_config(self), so that it can be saved.")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LearningRateSchedule:
        """The inverse of `get_config`."""
        return cls(**config)


class Formula(LearningRateSchedule):
    """A schedule with a formula that takes numbers as well as tensors: an optimizer reads it in a few microseconds."""

    def formula(self, step: Any, m: Any) -> Any:
        """The rate.

        Args:
            step: A float, or a float64 scalar tensor: float32 does not tell steps beyond 2^24 apart.
            m: Where the functions of `step` are found: `Numbers`, or `ops`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define formula(self, step, m).")

    def __call__(self, step: Any) -> Tensor:
        return ops.cast(self.formula(ops.cast(to_tensor(step), "float64"), ops), "float32")

    def value_at(self, step: int) -> float:
        if type(self).__call__ is not Formula.__call__:  # a subclass has another idea
            return super().value_at(step)
        try:
            return float(np.float32(self.formula(float(step), Numbers)))
        except ArithmeticError:  # numbers raise where tensors overflow to infinity
            return super().value_at(step)


class Numbers:
    """Functions of numbers under the names that `ops` has for those of tensors."""

    ceil, cos, floor, log, sqrt = math.ceil, math.cos, math.floor, math.log, math.sqrt
    maximum, minimum, pow = max, min, pow

    @staticmethod
    def where(condition: bool, x: float, y: float) -> float:
        return x if condition else y


def rate_at(rate: Any, step: Any, m: Any) -> Any:
    """What a number or a schedule inside of another schedule's formula gives at a step."""
    if not isinstance(rate, LearningRateSchedule):
        return rate
    return rate.value_at(int(step)) if m is Numbers else ops.cast(rate(step), "float64")


def positive_steps(schedule: LearningRateSchedule, name: str, steps: Any) -> Any:
    """A checked number of steps to divide by."""
    if isinstance(steps, str) or not steps > 0:
        raise ValueError(f"{type(schedule).__name__}: `{name}` must be positive, received {steps!r}.")
    return steps


def serialize(learning_rate_schedule: Any) -> Any:
    """What stands for a schedule in a config."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule that a config stands for."""
    return deserialize_keras_object(config, SCHEDULES, custom_objects, "decay schedule")
