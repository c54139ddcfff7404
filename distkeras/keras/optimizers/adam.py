"""Adam and its relatives: moving averages of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras import _config
from distkeras.core.variable import Variable
from distkeras.keras.optimizers.base import OPTIMIZERS, Optimizer
from distkeras.keras.optimizers.hyper import Choice, Hyper, checked_epsilon
from distkeras.kernels import update as kernels
from distkeras.kernels.compile import Kernel


class Moments(Optimizer):
    """What Adam, Adamax and Nadam share."""

    updates_elements = True
    beta_1 = Hyper(low=0.0, below=1.0)
    beta_2 = Hyper(low=0.0, below=1.0)
    epsilon = Choice()

    def __init__(
        self, learning_rate: Any, beta_1: Any, beta_2: Any, epsilon: float | None, name: str, **kwargs: Any
    ) -> None:
        super().__init__(name, **kwargs)
        self.learning_rate = kwargs.get("lr", learning_rate)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = checked_epsilon(epsilon, _config.epsilon())

    @property
    def slots(self) -> dict[str, float]:
        return {"m": 0.0, "v": 0.0}

    def get_config(self) -> dict[str, Any]:
        hyper = self.hyper_config("learning_rate", "decay", "beta_1", "beta_2")
        return {**super().get_config(), **hyper, "epsilon": self.epsilon}


@OPTIMIZERS.register(aliases=("adam",))
class Adam(Moments):
    """Adam: steps along a moving average of the gradient, divided by the root of one of its square.

    Args:
        learning_rate: A number, a schedule, a variable, or a function without arguments.
        beta_1: How slowly the average of the gradient moves.
        beta_2: How slowly the average of its square moves.
        epsilon: Keeps the division finite (the paper's "epsilon hat"); `keras.backend.epsilon()` if None.
        amsgrad: Whether to divide by the largest average of the square so far.
        name: Comes before the names of the optimizer's variables.
        **kwargs: As for `Optimizer`.

    Source: Kingma, Ba, "Adam: a method for stochastic optimization", 2015; Reddi, Kale, Kumar, "On the convergence of
    Adam and beyond", 2018, for amsgrad.

    >>> import distkeras as tf
    >>> optimizer = tf.keras.optimizers.Adam(learning_rate=0.1)
    >>> x = tf.Variable(10.0)
    >>> _ = optimizer.minimize(lambda: (x ** 2) / 2.0, [x])
    >>> round(float(x), 4)
    9.9
    """

    amsgrad = Choice()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: float | None = 1e-7,
        amsgrad: bool = False,
        name: str = "Adam",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name, **kwargs)
        self.amsgrad = amsgrad

    @property
    def slots(self) -> dict[str, float]:
        return {"m": 0.0, "v": 0.0, **({"vhat": 0.0} if self.amsgrad else {})}

    def begin_step(self) -> None:
        beta_1, beta_2 = self.value_of("beta_1"), self.value_of("beta_2")
        rate = kernels.adam_rate(self.decayed_learning_rate(), beta_1, beta_2, self.iterations._array.item() + 1)
        self._scalars = (rate, beta_1, beta_2, self.epsilon)

    begin_kernel = kernels.begin_adam
    begin_hypers = ("learning_rate", "decay", "beta_1", "beta_2")

    @property
    def kernel(self) -> Kernel:
        return kernels.amsgrad if self.amsgrad else kernels.adam

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the values of `weights`; those of an amsgrad optimizer also fit one without."""
        if not self.amsgrad and len(weights) == 3 * ((len(self.weights) - 1) // 2) + 1:
            weights = weights[: len(self.weights)]
        super().set_weights(weights)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "amsgrad": self.amsgrad}


@OPTIMIZERS.register(aliases=("adamax",))
class Adamax(Moments):
    """Adam with the infinity norm: steps divided by the largest recent gradient.

    Args:
        learning_rate: A number, a schedule, a variable, or a function without arguments.
        beta_1: How slowly the average of the gradient moves.
        beta_2: How slowly the norm is forgotten.
        epsilon: Keeps the division finite; `keras.backend.epsilon()` if None.
        name: Comes before the names of the optimizer's variables.
        **kwargs: As for `Optimizer`.

    Source: Kingma, Ba, "Adam: a method for stochastic optimization", 2015, section 7.1.
    """

    updates_rows = True

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: float | None = 1e-7,
        name: str = "Adamax",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name, **kwargs)

    def begin_step(self) -> None:
        beta_1 = self.value_of("beta_1")
        rate = self.decayed_learning_rate() / (1.0 - beta_1 ** (self.iterations._array.item() + 1))
        self._scalars = (rate, beta_1, self.value_of("beta_2"), self.epsilon)

    kernel = kernels.adamax


@OPTIMIZERS.register(aliases=("nadam",))
class Nadam(Moments):
    """Adam with Nesterov momentum, which is warmed up by a schedule.

    Args:
        learning_rate: A number, a variable, or a function without arguments.
        beta_1: How slowly the average of the gradient moves.
        beta_2: How slowly the average of its square moves.
        epsilon: Keeps the division finite; `keras.backend.epsilon()` if None.
        name: Comes before the names of the optimizer's variables.
        **kwargs: As for `Optimizer`, but `decay` (or `schedule_decay`), 0.004 by default, is that of the momentum.

    Raises:
        ValueError: The learning rate is a schedule.

    Source: Dozat, "Incorporating Nesterov momentum into Adam", 2016.
    """

    updates_rows = True

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: float | None = 1e-7,
        name: str = "Nadam",
        **kwargs: Any,
    ) -> None:
        kwargs["decay"] = kwargs.pop("schedule_decay", kwargs.get("decay", 0.004))
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name, **kwargs)
        if hasattr(self._hyper["learning_rate"], "get_config"):
            raise ValueError("Nadam does not take a LearningRateSchedule: its momentum has a schedule of its own.")
        self._momentum_cache: Variable | None = None

    def extra_weights(self) -> list[Variable]:
        if self._momentum_cache is None:
            name = f"{self.name}/momentum_cache"
            self._momentum_cache = Variable(np.float32(1.0), trainable=False, name=name)
        return [self._momentum_cache]

    def decaying_slots(self) -> dict[str, float]:
        return {"m": self.value_of("beta_1"), "v": self.value_of("beta_2")}

    def begin_step(self) -> None:
        step = self.iterations._array.item() + 1
        beta_1, beta_2, rate = self.value_of("beta_1"), self.value_of("beta_2"), self.value_of("learning_rate")
        decay = self.value_of("decay")
        momentum, following = (beta_1 * (1.0 - 0.5 * 0.96 ** (decay * count)) for count in (step, step + 1))
        product = float(self._momentum_cache._array) * momentum
        self._momentum_cache._array[...] = product
        gradient_rate = rate * (1.0 - momentum) / (1.0 - product)
        mean_rate = rate * following / (1.0 - product * following)
        self._scalars = (gradient_rate, mean_rate, beta_1, beta_2, 1.0 / (1.0 - beta_2**step), self.epsilon)

    kernel = kernels.nadam
