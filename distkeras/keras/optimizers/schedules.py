"""Learning rates that depend on the number of steps taken."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distkeras import ops
from distkeras._registry import Registry
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object

SCHEDULES = Registry("decay schedule")


class LearningRateSchedule:
    """Base of schedules; subclasses define `__call__(step)` and `get_config`."""

    def __call__(self, step: Any) -> Tensor:
        """The learning rate for a step.

        Args:
            step: How many steps were taken before: an int, or a scalar integer tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, step).")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(f"{type(self).__name__} must define get_config(self), so that it can be saved.")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LearningRateSchedule:
        """The inverse of `get_config`."""
        return cls(**config)


def _progress(step: Any, steps: Any, staircase: bool = False) -> Tensor:
    """step / steps as float32, rounded down for a staircase."""
    progress = ops.cast(to_tensor(step), "float32") / float(steps)
    return ops.floor(progress) if staircase else progress


class _Decay(LearningRateSchedule):
    """What ExponentialDecay and InverseTimeDecay share."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@SCHEDULES.register()
class ExponentialDecay(_Decay):
    """initial_learning_rate * decay_rate ** (step / decay_steps).

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: After how many steps the rate is multiplied once.
        decay_rate: What it is multiplied with.
        staircase: Whether it changes only every `decay_steps` steps.
        name: The schedule's name.

    >>> import distkeras as tf
    >>> schedule = tf.keras.optimizers.schedules.ExponentialDecay(0.5, decay_steps=10, decay_rate=0.5)
    >>> float(schedule(20))
    0.125
    """

    def __call__(self, step: Any) -> Tensor:
        progress = _progress(step, self.decay_steps, self.staircase)
        return float(self.initial_learning_rate) * ops.pow(float(self.decay_rate), progress)


@SCHEDULES.register()
class InverseTimeDecay(_Decay):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps).

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: How often the decay is applied.
        decay_rate: How fast the rate falls.
        staircase: Whether it changes only every `decay_steps` steps.
        name: The schedule's name.
    """

    def __call__(self, step: Any) -> Tensor:
        progress = _progress(step, self.decay_steps, self.staircase)
        return float(self.initial_learning_rate) / (1.0 + float(self.decay_rate) * progress)


@SCHEDULES.register()
class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], then values[1] up to boundaries[1], and so on.

    Args:
        boundaries: Increasing step numbers.
        values: One more rate than there are boundaries.
        name: The schedule's name.

    Raises:
        ValueError: The lengths do not fit.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str | None = None) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values: received "
                f"{len(boundaries)} boundaries and {len(values)} values."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        step = ops.cast(to_tensor(step), "float64")
        rates = [to_tensor(np.float32(value)) for value in self.values]
        rate = rates[0]
        for boundary, value in zip(self.boundaries, rates[1:], strict=True):
            rate = ops.where(step > float(boundary), value, rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


@SCHEDULES.register()
class PolynomialDecay(LearningRateSchedule):
    """From initial_learning_rate to end_learning_rate in decay_steps steps, as (1 - step / decay_steps) ** power.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: The number of steps.
        end_learning_rate: The last rate, kept afterwards.
        power: 1 for a straight line.
        cycle: Whether the decay starts over, from a lower rate each time, instead of staying at its end.
        name: The schedule's name.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        step = ops.cast(to_tensor(step), "float32")
        steps = to_tensor(np.float32(self.decay_steps))
        if self.cycle:  # the number of steps is stretched to the next multiple
            steps = steps * ops.maximum(ops.ceil(step / steps), 1.0)
        else:
            step = ops.minimum(step, steps)
        span = float(self.initial_learning_rate) - float(self.end_learning_rate)
        return span * ops.pow(1.0 - step / steps, float(self.power)) + float(self.end_learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


@SCHEDULES.register()
class CosineDecay(LearningRateSchedule):
    """From initial_learning_rate to alpha times it in decay_steps steps, along half a cosine.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: The number of steps.
        alpha: The last rate, kept afterwards, as a part of the first.
        name: The schedule's name.

    Source: Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, alpha: float = 0.0, name: str | None = None
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        progress = ops.minimum(_progress(step, self.decay_steps), 1.0)
        cosine = 0.5 * (1.0 + ops.cos(math.pi * progress))
        return float(self.initial_learning_rate) * ((1.0 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
        }


def serialize(learning_rate_schedule: Any) -> Any:
    """What stands for a schedule in a config."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule that a config stands for."""
    return deserialize_keras_object(config, SCHEDULES, custom_objects, "decay schedule")
