"""Learning rates that fall exponentially, hyperbolically, in stairs, or as a power."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras.keras.optimizers.schedules.base import SCHEDULES, Formula, positive_steps


class _Decay(Formula):
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
        self.decay_steps = positive_steps(self, "decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def _progress(self, step: Any, m: Any) -> Any:
        """How often the decay has been applied."""
        progress = step / float(self.decay_steps)
        return m.floor(progress) if self.staircase else progress

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
        decay_steps: After how many steps the rate is multiplied once; positive.
        decay_rate: What it is multiplied with.
        staircase: Whether it changes only every `decay_steps` steps.
        name: The schedule's name.

    >>> import distkeras as tf
    >>> schedule = tf.keras.optimizers.schedules.ExponentialDecay(0.5, decay_steps=10, decay_rate=0.5)
    >>> float(schedule(20))
    0.125
    """

    def formula(self, step: Any, m: Any) -> Any:
        return float(self.initial_learning_rate) * m.pow(float(self.decay_rate), self._progress(step, m))


@SCHEDULES.register()
class InverseTimeDecay(_Decay):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps).

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: How often the decay is applied; positive.
        decay_rate: How fast the rate falls.
        staircase: Whether it changes only every `decay_steps` steps.
        name: The schedule's name.
    """

    def formula(self, step: Any, m: Any) -> Any:
        return float(self.initial_learning_rate) / (1.0 + float(self.decay_rate) * self._progress(step, m))


@SCHEDULES.register()
class PiecewiseConstantDecay(Formula):
    """values[0] up to and including step boundaries[0], then values[1] up to boundaries[1], and so on.

    Args:
        boundaries: Increasing step numbers.
        values: One more rate than there are boundaries.
        name: The schedule's name.

    Raises:
        ValueError: The lengths do not fit, or the boundaries do not increase.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str | None = None) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values: received "
                f"{len(boundaries)} boundaries and {len(values)} values."
            )
        if any(not first < second for first, second in zip(boundaries, boundaries[1:], strict=False)):
            raise ValueError(f"The boundaries must increase, received {list(boundaries)}.")
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def formula(self, step: Any, m: Any) -> Any:
        rate = float(self.values[0])
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            rate = m.where(step > float(boundary), float(value), rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


@SCHEDULES.register()
class PolynomialDecay(Formula):
    """From initial_learning_rate to end_learning_rate in decay_steps steps, as (1 - step / decay_steps) ** power.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: The number of steps; positive.
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
        self.decay_steps = positive_steps(self, "decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def formula(self, step: Any, m: Any) -> Any:
        steps = float(self.decay_steps)
        if self.cycle:  # the number of steps is stretched to the next multiple
            steps = steps * m.maximum(m.ceil(step / steps), 1.0)
        else:
            step = m.minimum(step, steps)
        span = float(self.initial_learning_rate) - float(self.end_learning_rate)
        return span * m.pow(1.0 - step / steps, float(self.power)) + float(self.end_learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }
