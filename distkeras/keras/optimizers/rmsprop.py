"""RMSprop."""

from __future__ import annotations

from typing import Any

from distkeras import _config
from distkeras.keras.optimizers.base import OPTIMIZERS, Optimizer
from distkeras.keras.optimizers.hyper import Choice, Hyper, checked_epsilon
from distkeras.kernels import update as kernels
from distkeras.kernels.compile import Kernel


@OPTIMIZERS.register(aliases=("rmsprop",))
class RMSprop(Optimizer):
    """Steps divided by the root of a moving average of squared gradients.

    Args:
        learning_rate: A number, a schedule, a variable, or a function without arguments.
        rho: How slowly the average moves.
        momentum: From 0 to 1; 0 keeps no velocity.
        epsilon: Keeps the division finite; `keras.backend.epsilon()` if None.
        centered: Whether to divide by the variance rather than the second moment.
        name: Comes before the names of the optimizer's variables.
        **kwargs: As for `Optimizer`.

    Raises:
        ValueError: The momentum is out of range.

    Source: Hinton, "Neural networks for machine learning", lecture 6e, 2012; Graves, "Generating sequences with
    recurrent neural networks", 2013, for the centered form.
    """

    updates_elements = updates_rows = True
    centered = Choice()
    epsilon = Choice()
    rho = Hyper(low=0.0, high=1.0)
    momentum = Hyper(low=0.0, high=1.0)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: Any = 0.9,
        momentum: Any = 0.0,
        epsilon: float | None = 1e-7,
        centered: bool = False,
        name: str = "RMSprop",
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        self.learning_rate = kwargs.get("lr", learning_rate)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = checked_epsilon(epsilon, _config.epsilon())
        self.centered = centered
        self._has_momentum = not isinstance(momentum, (int, float)) or momentum > 0

    @property
    def slots(self) -> dict[str, float]:
        return {
            "rms": 0.0,
            **({"mg": 0.0} if self.centered else {}),
            **({"momentum": 0.0} if self._has_momentum else {}),
        }

    def _slots_by_weight_order(self) -> list[str]:
        return [slot for slot in ("rms", "momentum", "mg") if slot in self.slots]

    def decaying_slots(self) -> dict[str, float]:
        if self._has_momentum:
            return {}
        return dict.fromkeys(("rms", "mg") if self.centered else ("rms",), self.value_of("rho"))

    def begin_step(self) -> None:
        self._scalars = [self.decayed_learning_rate(), self.value_of("rho")]
        if self._has_momentum:
            self._scalars.append(self.value_of("momentum"))
        self._scalars.append(self.epsilon)

    begin_kernel = kernels.begin_rmsprop
    begin_hypers = ("learning_rate", "decay", "rho", "momentum")

    @property
    def kernel(self) -> Kernel:
        if self.centered:
            return kernels.rmsprop_centered_momentum if self._has_momentum else kernels.rmsprop_centered
        return kernels.rmsprop_momentum if self._has_momentum else kernels.rmsprop

    def get_config(self) -> dict[str, Any]:
        hyper = self.hyper_config("learning_rate", "decay", "rho", "momentum")
        return {**super().get_config(), **hyper, "epsilon": self.epsilon, "centered": self.centered}
