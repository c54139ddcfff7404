"""Optimizers that treat each variable as a layer: decoupled weight decay, steps as long as the weights allow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.keras.optimizers.adam import Adam, Moments
from distkeras.keras.optimizers.arena import ParameterGroup
from distkeras.keras.optimizers.base import OPTIMIZERS, Optimizer
from distkeras.keras.optimizers.hyper import Hyper, checked_epsilon
from distkeras.kernels import update_layers as kernels


class _Layers:
    """Which variables lie where in a part of a group's arenas, and which of them a rule leaves out.

    Args:
        **excluded: For each rule the regular expressions of the variables' names that it is not for.
    """

    def __init__(self, **excluded: Sequence[str] | None) -> None:
        self.excluded = {rule: _patterns(rule, given) for rule, given in excluded.items()}
        self._made: dict[tuple, list[np.ndarray]] = {}

    def arrays(self, group: ParameterGroup, part: slice) -> list[np.ndarray]:
        """Starts and stops within the part, and for each rule 1 or 0 for each variable."""
        key = (id(group), part.start, part.stop)
        if key not in self._made:
            slices = zip(group.variables, group.parameters.layout.slices, strict=True)
            pairs = [(v, s) for v, s in slices if max(part.start, s.start) < min(part.stop, s.stop)]
            bounds = [
                np.array([max(part.start, s.start) - part.start for _, s in pairs], np.int64),
                np.array([min(part.stop, s.stop) - part.start for _, s in pairs], np.int64),
            ]
            applied = [
                np.array([not any(re.search(p, v.name) for p in patterns) for v, _ in pairs], group.dtype)
                for patterns in self.excluded.values()
            ]
            self._made[key] = [*bounds, *applied]
        return self._made[key]

    def config(self) -> dict[str, list[str]]:
        """The arguments, where there are any: other libraries do not know them."""
        return {rule: list(patterns) for rule, patterns in self.excluded.items() if patterns}


def _patterns(argument: str, given: Sequence[str] | None) -> tuple[str, ...]:
    if given is not None and not (isinstance(given, (list, tuple)) and all(isinstance(p, str) for p in given)):
        raise TypeError(f"`{argument}` must be a list of regular expressions, received {given!r}.")
    for pattern in given or ():
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"`{argument}`: {pattern!r} is no regular expression: {error}.") from None
    return tuple(given or ())


@OPTIMIZERS.register(aliases=("adamw",))
class AdamW(Adam):
    """Adam with weight decay that is not part of the gradient: p -= learning_rate * weight_decay * p, beside the step.

    Args:
        learning_rate: A number, a schedule, a variable, or a function without arguments.
        weight_decay: How fast weights decay; not negative.
        beta_1: How slowly the average of the gradient moves.
        beta_2: How slowly the average of its square moves.
        epsilon: Keeps the division finite; `keras.backend.epsilon()` if None.
        amsgrad: Whether to divide by the largest average of the square so far.
        exclude_from_weight_decay: Regular expressions; a variable in whose name one is found does not decay.
        name: Comes before the names of the optimizer's variables.
        **kwargs: As for `Optimizer`.

    Source: Loshchilov, Hutter, "Decoupled weight decay regularization", 2019.

    >>> import distkeras as tf
    >>> optimizer = tf.keras.optimizers.AdamW(0.1, weight_decay=0.5, exclude_from_weight_decay=["bias"])
    >>> kernel, bias = tf.Variable(1.0, name="kernel"), tf.Variable(1.0, name="bias")
    >>> _ = optimizer.apply_gradients([(tf.constant(0.0), kernel), (tf.constant(0.0), bias)])
    >>> round(float(kernel), 4), float(bias)
    (0.95, 1.0)
    """

    weight_decay = Hyper(low=0.0)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: Any = 0.004,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: float | None = 1e-7,
        amsgrad: bool = False,
        exclude_from_weight_decay: Sequence[str] | None = None,
        name: str = "AdamW",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, name, **kwargs)
        self.weight_decay = weight_decay
        self._layers = _Layers(exclude_from_weight_decay=exclude_from_weight_decay)

    def begin_step(self) -> None:
        super().begin_step()
        self._scalars = (*self._scalars, self.decayed_learning_rate() * self.value_of("weight_decay"))

    def update(self, group: ParameterGroup, part: slice) -> None:
        kernel = kernels.amsgradw if self.amsgrad else kernels.adamw
        layers = self._layers.arrays(group, part)
        kernel[group.dtype](*group.arrays(part), *layers, *map(group.dtype.type, self._scalars))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.hyper_config("weight_decay"), **self._layers.config()}


@OPTIMIZERS.register(aliases=("lamb", "Lamb"))
class LAMB(Moments):
    """Adam whose step in each variable has the length learning_rate * |variable|: for very large batches.

    Args:
        learning_rate: A number, a schedule, a variable, or a function without arguments.
        beta_1: How slowly the average of the gradient moves.
        beta_2: How slowly the average of its square moves.
        epsilon: Keeps the division finite; `keras.backend.epsilon()` if None.
        weight_decay: The part of the weights that is added to the step before it is scaled; not negative.
        exclude_from_weight_decay: Regular expressions; a variable in whose name one is found does not decay.
        exclude_from_layer_adaptation: The same for the scaling of the step; by default what does not decay.
        name: Comes before the names of the optimizer's variables.
        **kwargs: As for `Optimizer`.

    Source: You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2020.

    >>> import distkeras as tf
    >>> optimizer = tf.keras.optimizers.LAMB(0.1)
    >>> x = tf.Variable([3.0, 4.0])
    >>> _ = optimizer.apply_gradients([(tf.constant([1.0, 0.0]), x)])
    >>> x.numpy().round(3).tolist()
    [2.5, 4.0]
    """

    updates_elements = False
    weight_decay = Hyper(low=0.0)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: float | None = 1e-6,
        weight_decay: Any = 0.0,
        exclude_from_weight_decay: Sequence[str] | None = None,
        exclude_from_layer_adaptation: Sequence[str] | None = None,
        name: str = "LAMB",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name, **kwargs)
        self.weight_decay = weight_decay
        self._layers = _layers(exclude_from_weight_decay, exclude_from_layer_adaptation)

    def begin_step(self) -> None:
        step = self.iterations._array.item() + 1
        beta_1, beta_2 = self.value_of("beta_1"), self.value_of("beta_2")
        corrections = (1.0 / (1.0 - beta_1**step), 1.0 / (1.0 - beta_2**step))
        rate, decay = self.decayed_learning_rate(), self.value_of("weight_decay")
        self._scalars = (rate, beta_1, beta_2, *corrections, self.epsilon, decay)

    def update(self, group: ParameterGroup, part: slice) -> None:
        layers = self._layers.arrays(group, part)
        kernels.lamb[group.dtype](*group.arrays(part), *layers, *map(group.dtype.type, self._scalars))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.hyper_config("weight_decay"), **self._layers.config()}


@OPTIMIZERS.register(aliases=("lars",))
class LARS(Optimizer):
    """Momentum whose learning rate in each variable is trust_coefficient * |variable| / |gradient|.

    Args:
        learning_rate: A number, a schedule, a variable, or a function without arguments.
        momentum: From 0 to 1.
        weight_decay: The part of the weights that is added to the gradient; not negative.
        trust_coefficient: How far a step may change a variable, as a part of it; not negative.
        epsilon: Added to the denominator of the learning rate; not negative.
        nesterov: Whether to step as if the velocity had been applied already.
        exclude_from_weight_decay: Regular expressions; a variable in whose name one is found does not decay.
        exclude_from_layer_adaptation: The same for the scaling of the step; by default what does not decay.
        name: Comes before the names of the optimizer's variables.
        **kwargs: As for `Optimizer`.

    Source: You, Gitman, Ginsburg, "Large batch training of convolutional networks", 2017.

    >>> import distkeras as tf
    >>> optimizer = tf.keras.optimizers.LARS(1.0, momentum=0.0, trust_coefficient=0.1)
    >>> x = tf.Variable([3.0, 4.0])
    >>> _ = optimizer.apply_gradients([(tf.constant([20.0, 0.0]), x)])
    >>> x.numpy().round(3).tolist()
    [2.5, 4.0]
    """

    momentum = Hyper(low=0.0, high=1.0)
    weight_decay = Hyper(low=0.0)

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: Any = 0.9,
        weight_decay: Any = 0.0,
        trust_coefficient: float = 0.001,
        epsilon: float = 0.0,
        nesterov: bool = False,
        exclude_from_weight_decay: Sequence[str] | None = None,
        exclude_from_layer_adaptation: Sequence[str] | None = None,
        name: str = "LARS",
        **kwargs: Any,
    ) -> None:
        if trust_coefficient < 0:
            raise ValueError(f"`trust_coefficient` must not be negative, received {trust_coefficient!r}.")
        super().__init__(name, **kwargs)
        self.learning_rate = kwargs.get("lr", learning_rate)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.trust_coefficient = trust_coefficient
        self.epsilon = checked_epsilon(epsilon, 0.0)
        self.nesterov = nesterov
        self._layers = _layers(exclude_from_weight_decay, exclude_from_layer_adaptation)

    @property
    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0}

    def begin_step(self) -> None:
        decay = self.value_of("weight_decay")
        rate = self.decayed_learning_rate()
        self._scalars = (rate, self.value_of("momentum"), decay, self.trust_coefficient, self.epsilon)

    def update(self, group: ParameterGroup, part: slice) -> None:
        layers = self._layers.arrays(group, part)
        kernel = kernels.lars[group.dtype]
        kernel(*group.arrays(part), *layers, *map(group.dtype.type, self._scalars), bool(self.nesterov))

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("trust_coefficient", "epsilon", "nesterov")}
        hyper = self.hyper_config("learning_rate", "decay", "momentum", "weight_decay")
        return {**super().get_config(), **hyper, **own, **self._layers.config()}


def _layers(from_decay: Sequence[str] | None, from_adaptation: Sequence[str] | None) -> _Layers:
    adapted = from_decay if from_adaptation is None else from_adaptation
    return _Layers(exclude_from_weight_decay=from_decay, exclude_from_layer_adaptation=adapted)
