"""Optimizers that give each parameter a step size by the sum of its past squared gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras import _config
from distkeras.keras.optimizers.base import OPTIMIZERS, Optimizer
from distkeras.keras.optimizers.hyper import Hyper, checked_epsilon
from distkeras.kernels import update as kernels


@OPTIMIZERS.register(aliases=("adagrad",))
class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients.

    Args:
        learning_rate: A number, a schedule, a variable, or a function without arguments.
        initial_accumulator_value: What the sums start with; not negative.
        epsilon: Keeps the division finite; `keras.backend.epsilon()` if None.
        name: Comes before the names of the optimizer's variables.
        **kwargs: As for `Optimizer`.

    Raises:
        ValueError: The initial value is negative.

    Source: Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning", 2011.
    """

    updates_elements = updates_rows = True

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float | None = 1e-7,
        name: str = "Adagrad",
        **kwargs: Any,
    ) -> None:
        if initial_accumulator_value < 0.0:
            raise ValueError(f"initial_accumulator_value must be non-negative: {initial_accumulator_value}")
        super().__init__(name, **kwargs)
        self.learning_rate = kwargs.get("lr", learning_rate)
        self.epsilon = checked_epsilon(epsilon, _config.epsilon())
        self._initial_accumulator_value = initial_accumulator_value

    @property
    def slots(self) -> dict[str, float]:
        return {"accumulator": self._initial_accumulator_value}

    def begin_step(self) -> None:
        self._scalars = (self.decayed_learning_rate(), self.epsilon)

    kernel = kernels.adagrad

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the values of `weights`; a list without the iterations, as Keras 1 wrote it, is taken too."""
        if len(weights) == len(self.weights) - 1:
            weights = [np.array(0), *weights]
        super().set_weights(weights)

    def get_config(self) -> dict[str, Any]:
        hyper = self.hyper_config("learning_rate", "decay")
        start = {"initial_accumulator_value": self._initial_accumulator_value}
        return {**super().get_config(), **hyper, **start, "epsilon": self.epsilon}


@OPTIMIZERS.register(aliases=("adadelta",))
class Adadelta(Optimizer):
    """Steps scaled by the ratio of the roots of moving averages of squared steps and of squared gradients.

    Args:
        learning_rate: A number, a schedule, a variable, or a function without arguments.
        rho: How slowly the averages move.
        epsilon: Keeps the division finite; `keras.backend.epsilon()` if None.
        name: Comes before the names of the optimizer's variables.
        **kwargs: As for `Optimizer`.

    Source: Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
    """

    updates_elements = updates_rows = True
    rho = Hyper(low=0.0, high=1.0)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: Any = 0.95,
        epsilon: float | None = 1e-7,
        name: str = "Adadelta",
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        self.learning_rate = kwargs.get("lr", learning_rate)
        self.rho = rho
        self.epsilon = checked_epsilon(epsilon, _config.epsilon())

    @property
    def slots(self) -> dict[str, float]:
        return {"accum_grad": 0.0, "accum_var": 0.0}

    def begin_step(self) -> None:
        self._scalars = (self.decayed_learning_rate(), self.value_of("rho"), self.epsilon)

    kernel = kernels.adadelta

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.hyper_config("learning_rate", "decay", "rho"), "epsilon": self.epsilon}


@OPTIMIZERS.register(aliases=("ftrl",))
class Ftrl(Optimizer):
    """Follow the regularized leader: each parameter is what minimizes all past linear losses and the penalties.

    Args:
        learning_rate: A number, a schedule, a variable, or a function without arguments.
        learning_rate_power: How fast steps shrink with the sum of squared gradients; not positive.
        initial_accumulator_value: What the sums start with; not negative.
        l1_regularization_strength: Penalty on absolute values; sets small parameters to zero.
        l2_regularization_strength: Penalty on squares.
        name: Comes before the names of the optimizer's variables.
        l2_shrinkage_regularization_strength: Penalty on squares that enters as a gradient.
        **kwargs: As for `Optimizer`.

    Raises:
        ValueError: An argument has the wrong sign.

    Source: McMahan et al., "Ad click prediction: a view from the trenches", 2013.
    """

    updates_elements = updates_rows = True
    learning_rate_power = Hyper()
    l1_regularization_strength = Hyper()
    l2_regularization_strength = Hyper()
    interleaves_slots = True

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: Any = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: Any = 0.0,
        l2_regularization_strength: Any = 0.0,
        name: str = "Ftrl",
        l2_shrinkage_regularization_strength: float = 0.0,
        **kwargs: Any,
    ) -> None:
        for argument, value in (
            ("initial_accumulator_value", initial_accumulator_value),
            ("l1_regularization_strength", l1_regularization_strength),
            ("l2_regularization_strength", l2_regularization_strength),
            ("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength),
        ):
            if value < 0.0:
                raise ValueError(f"{argument} {value} needs to be positive or zero")
        if learning_rate_power > 0.0:
            raise ValueError(f"learning_rate_power {learning_rate_power} needs to be negative or zero")
        super().__init__(name, **kwargs)
        self.learning_rate = kwargs.get("lr", learning_rate)
        self.learning_rate_power = learning_rate_power
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self._initial_accumulator_value = initial_accumulator_value
        self._l2_shrinkage = l2_shrinkage_regularization_strength

    @property
    def slots(self) -> dict[str, float]:
        return {"accumulator": self._initial_accumulator_value, "linear": 0.0}

    def begin_step(self) -> None:
        self._scalars = (
            self.decayed_learning_rate(),
            self.value_of("learning_rate_power"),
            self.value_of("l1_regularization_strength"),
            self.value_of("l2_regularization_strength"),
            self._l2_shrinkage,
        )

    kernel = kernels.ftrl

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self.hyper_config("learning_rate", "decay"),
            "initial_accumulator_value": self._initial_accumulator_value,
            **self.hyper_config("learning_rate_power", "l1_regularization_strength", "l2_regularization_strength"),
            "l2_shrinkage_regularization_strength": self._l2_shrinkage,
        }
