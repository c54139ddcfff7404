"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from distkeras.keras.optimizers.base import OPTIMIZERS, Optimizer
from distkeras.keras.optimizers.hyper import Choice, Hyper
from distkeras.kernels import update as kernels
from distkeras.kernels.compile import Kernel


@OPTIMIZERS.register(aliases=("sgd",))
class SGD(Optimizer):
    """p -= learning_rate * g; with momentum v = momentum * v - learning_rate * g, p += v.

    Args:
        learning_rate: A number, a schedule, a variable, or a function without arguments.
        momentum: From 0 to 1; 0 keeps no velocity.
        nesterov: Whether to step as if the velocity had been applied already (Nesterov).
        name: Comes before the names of the optimizer's variables.
        **kwargs: As for `Optimizer`.

    Raises:
        ValueError: The momentum is out of range.

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.

    >>> import distkeras as tf
    >>> optimizer = tf.keras.optimizers.SGD(learning_rate=0.1, momentum=0.9)
    >>> x = tf.Variable(1.0)
    >>> for _ in range(2):
    ...     _ = optimizer.apply_gradients([(tf.constant(1.0), x)])
    >>> round(float(x), 4)
    0.71
    """

    updates_elements = updates_rows = True
    momentum = Hyper(low=0.0, high=1.0)
    nesterov = Choice()

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: Any = 0.0,
        nesterov: bool = False,
        name: str = "SGD",
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        self.learning_rate = kwargs.get("lr", learning_rate)
        self.momentum = momentum
        self.nesterov = nesterov
        self._has_momentum = not isinstance(momentum, (int, float)) or momentum > 0

    @property
    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0} if self._has_momentum else {}

    def begin_step(self) -> None:
        rate = self.decayed_learning_rate()
        self._scalars = (rate, self.value_of("momentum")) if self._has_momentum else (rate,)

    begin_kernel = kernels.begin_sgd
    begin_hypers = ("learning_rate", "decay", "momentum")

    @property
    def kernel(self) -> Kernel:
        if not self._has_momentum:
            return kernels.sgd
        return kernels.nesterov if self.nesterov else kernels.momentum

    def get_config(self) -> dict[str, Any]:
        hyper = self.hyper_config("learning_rate", "decay", "momentum")
        return {**super().get_config(), **hyper, "nesterov": self.nesterov}
