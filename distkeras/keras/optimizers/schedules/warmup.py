"""Learning rates that rise first: large batches need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distkeras.keras.optimizers.schedules.base import (
    SCHEDULES,
    Formula,
    deserialize,
    positive_steps,
    rate_at,
    serialize,
)


@SCHEDULES.register()
class LinearWarmup(Formula):
    """A straight line from a small rate to the one, or the schedule, that is wanted afterwards.

    Args:
        after_warmup: A rate, or a schedule; it counts its steps from the beginning of the warm-up.
        warmup_steps: The number of steps until its rate is reached; positive.
        warmup_learning_rate: The rate at step 0.
        name: The schedule's name.

    Source: Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017, section 2.2.

    >>> import distkeras as tf
    >>> schedules = tf.keras.optimizers.schedules
    >>> schedule = schedules.LinearWarmup(schedules.PolynomialDecay(1.0, 100, 0.0), warmup_steps=20)
    >>> [round(float(schedule(step)), 3) for step in (0, 10, 20, 50)]
    [0.0, 0.4, 0.8, 0.5]
    """

    def __init__(
        self, after_warmup: Any, warmup_steps: int, warmup_learning_rate: float = 0.0, name: str | None = None
    ) -> None:
        self.after_warmup = after_warmup
        self.warmup_steps = positive_steps(self, "warmup_steps", warmup_steps)
        self.warmup_learning_rate = warmup_learning_rate
        self.name = name

    def formula(self, step: Any, m: Any) -> Any:
        steps, first = float(self.warmup_steps), float(self.warmup_learning_rate)
        rising = first + (rate_at(self.after_warmup, steps, m) - first) * (step / steps)
        return m.where(step < steps, rising, rate_at(self.after_warmup, step, m))

    def get_config(self) -> dict[str, Any]:
        after = self.after_warmup
        return {
            "after_warmup": serialize(after) if hasattr(after, "get_config") else after,
            "warmup_steps": self.warmup_steps,
            "warmup_learning_rate": self.warmup_learning_rate,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> LinearWarmup:
        """The inverse of `get_config`."""
        after = config["after_warmup"]
        return cls(
            **{**config, "after_warmup": deserialize(after, custom_objects) if isinstance(after, dict) else after}
        )
