"""Learning rates that fall along a cosine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.random_state import global_seed
from distkeras.keras.optimizers.schedules.base import SCHEDULES, Formula, Numbers, positive_steps


def _half_cosine(progress: Any, m: Any) -> Any:
    """1 at 0, 0 at 1."""
    return 0.5 * (1.0 + m.cos(math.pi * progress))


@SCHEDULES.register()
class CosineDecay(Formula):
    """From initial_learning_rate to alpha times it in decay_steps steps, along half a cosine.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: The number of steps; positive.
        alpha: The last rate, kept afterwards, as a part of the first.
        name: The schedule's name.

    Source: Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, alpha: float = 0.0, name: str | None = None
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = positive_steps(self, "decay_steps", decay_steps)
        self.alpha = alpha
        self.name = name

    def formula(self, step: Any, m: Any) -> Any:
        cosine = _half_cosine(m.minimum(step / float(self.decay_steps), 1.0), m)
        return float(self.initial_learning_rate) * ((1.0 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
        }


@SCHEDULES.register()
class CosineDecayRestarts(Formula):
    """Half cosines one after the other, each longer and lower than the one before.

    Args:
        initial_learning_rate: The rate at step 0.
        first_decay_steps: The steps of the first half cosine; positive.
        t_mul: How much longer each one is than the one before; at least 1.
        m_mul: What the rate at which each one starts is multiplied with.
        alpha: The smallest rate, as a part of the first.
        name: The schedule's name.

    Source: Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.

    >>> import distkeras as tf
    >>> schedule = tf.keras.experimental.CosineDecayRestarts(1.0, 10, t_mul=2.0, m_mul=0.5)
    >>> [float(schedule(step)) for step in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str | None = None,
    ) -> None:
        if t_mul < 1:
            raise ValueError(f"CosineDecayRestarts: `t_mul` must be at least 1, received {t_mul!r}.")
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = positive_steps(self, "first_decay_steps", first_decay_steps)
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def formula(self, step: Any, m: Any) -> Any:
        progress, ratio = step / float(self.first_decay_steps), float(self.t_mul)
        if ratio == 1.0:
            restarts = m.floor(progress)
            progress = progress - restarts
        else:  # `restarts` half cosines take (ratio^restarts - 1) / (ratio - 1) times the steps of the first
            restarts = m.floor(m.log(1.0 + progress * (ratio - 1.0)) / math.log(ratio))
            length = m.pow(ratio, restarts)
            progress = (progress - (length - 1.0) / (ratio - 1.0)) / length
        cosine = m.pow(float(self.m_mul), restarts) * _half_cosine(progress, m)
        return float(self.initial_learning_rate) * ((1.0 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }


@SCHEDULES.register()
class LinearCosineDecay(Formula):
    """A straight line to 0 times a cosine: rate * ((alpha + 1 - progress) * cosine + beta).

    Args:
        initial_learning_rate: The rate that all is multiplied with.
        decay_steps: The number of steps until the progress is 1, where it stays; positive.
        num_periods: How many periods the cosine has in that time.
        alpha: Added to the line.
        beta: Added to the product.
        name: The schedule's name.

    Source: Bello et al., "Neural optimizer search with reinforcement learning", 2017.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        num_periods: float = 0.5,
        alpha: float = 0.0,
        beta: float = 0.001,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = positive_steps(self, "decay_steps", decay_steps)
        self.num_periods = num_periods
        self.alpha = alpha
        self.beta = beta
        self.name = name

    def formula(self, step: Any, m: Any) -> Any:
        progress = m.minimum(step, float(self.decay_steps)) / float(self.decay_steps)
        cosine = _half_cosine(2.0 * self.num_periods * progress, m)
        line = self.alpha + self._line(progress, step, m)
        return float(self.initial_learning_rate) * (line * cosine + self.beta)

    def _line(self, progress: Any, step: Any, m: Any) -> Any:
        return 1.0 - progress

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "num_periods": self.num_periods,
            "alpha": self.alpha,
            "beta": self.beta,
            "name": self.name,
        }


@SCHEDULES.register()
class NoisyLinearCosineDecay(LinearCosineDecay):
    """As LinearCosineDecay, with noise added to the line that gets less from step to step.

    An optimizer draws the noise by the global seed and the number of the step: it is the same on all ranks, and when
    training is resumed.

    Args:
        initial_learning_rate: The rate that all is multiplied with.
        decay_steps: The number of steps until the progress is 1, where it stays; positive.
        initial_variance: The variance of the noise at step 0; not negative.
        variance_decay: The variance is divided by (1 + step) to this power.
        num_periods: How many periods the cosine has in that time.
        alpha: Added to the line.
        beta: Added to the product.
        name: The schedule's name.

    Source: Bello et al., "Neural optimizer search with reinforcement learning", 2017.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        initial_variance: float = 1.0,
        variance_decay: float = 0.55,
        num_periods: float = 0.5,
        alpha: float = 0.0,
        beta: float = 0.001,
        name: str | None = None,
    ) -> None:
        if initial_variance < 0:
            raise ValueError(
                f"NoisyLinearCosineDecay: `initial_variance` must not be negative, received {initial_variance!r}."
            )
        super().__init__(initial_learning_rate, decay_steps, num_periods, alpha, beta, name)
        self.initial_variance = initial_variance
        self.variance_decay = variance_decay

    def _line(self, progress: Any, step: Any, m: Any) -> Any:
        step = m.minimum(step, float(self.decay_steps))
        deviation = m.sqrt(self.initial_variance / m.pow(1.0 + step, float(self.variance_decay)))
        noise = _noise(int(step)) if m is Numbers else ops.random_normal((), dtype="float64")
        return 1.0 - progress + deviation * noise

    def get_config(self) -> dict[str, Any]:
        noise = {"initial_variance": self.initial_variance, "variance_decay": self.variance_decay}
        return {**super().get_config(), **noise}


def _noise(step: int) -> float:
    """A standard normal number that belongs to the step."""
    return float(np.random.Generator(np.random.Philox(key=[global_seed(), step])).standard_normal())
