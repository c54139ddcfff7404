"""Hyper-parameters: numbers that a compiled step reads anew each time, so that they can be changed during training."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.core.context import init_scope
from distkeras.core.variable import Variable
from distkeras.keras.optimizers import schedules
from distkeras.keras.optimizers.accumulation import checked_steps


class Hyper:
    """A hyper-parameter as an attribute of an optimizer.

    It may be given as a number, a variable, a function without arguments, or (the learning rate) a schedule. A number
    reads as a float32 variable; assigning to the attribute, or to the variable, takes effect at the next step.

    Args:
        low: The smallest number allowed.
        high: The largest number allowed.
        below: What a number must be less than.
    """

    def __init__(self, low: float | None = None, high: float | None = None, below: float | None = None) -> None:
        self._bounds = low, high, below

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Any, owner: type | None = None) -> Any:
        if optimizer is None:
            return self
        value = optimizer._hyper[self.name]
        if isinstance(value, float):
            with init_scope():
                value = Variable(np.float32(value), trainable=False, name=f"{optimizer.name}/{self.name}")
            optimizer._hyper[self.name] = value
        return value

    def __set__(self, optimizer: Any, value: Any) -> None:
        value = _checked(self.name, value)
        if isinstance(value, float):
            self._check_range(value)
        current = optimizer._hyper.get(self.name)
        if isinstance(current, Variable) and isinstance(value, float):
            current.assign(np.float32(value))
        else:
            if self.name in optimizer._hyper:
                optimizer.forget_calls()  # a plan may read the variable that was there
            optimizer._hyper[self.name] = value

    def _check_range(self, value: float) -> None:
        low, high, below = self._bounds
        if (low is None or value >= low) and (high is None or value <= high) and (below is None or value < below):
            return
        if high is None and below is None:
            raise ValueError(f"Expected {self.name} >= {low:g}, received: {value}.")
        bounds = f"[{low:g}, {high:g}]" if below is None else f"[{low:g}, {below:g})"
        raise ValueError(f"`{self.name}` must be between {bounds}, received {value}.")


class Choice:
    """A setting of an optimizer that its compiled steps are made for: when it changes, they are made anew."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __set__(self, optimizer: Any, value: Any) -> None:
        if vars(optimizer).get(self.name, value) != value:
            optimizer.forget_calls()
        vars(optimizer)[self.name] = value

    def __get__(self, optimizer: Any, owner: type | None = None) -> Any:
        return self if optimizer is None else vars(optimizer)[self.name]


_OPTIONS = ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps", "lr", "decay")


def check_options(options: dict[str, Any]) -> None:
    """Raise TypeError or ValueError unless these are keyword arguments that all optimizers take."""
    for option, value in options.items():
        if option not in _OPTIONS:
            raise TypeError(
                f"Unexpected keyword argument passed to optimizer: {option}. Allowed: {', '.join(_OPTIONS)}."
            )
        if option == "gradient_accumulation_steps":
            checked_steps(value)
            continue
        if isinstance(value, (int, float)) and value < 0:
            raise ValueError(f"Expected {option} >= 0, received: {value}")
        if option not in ("lr", "decay") and not (value is None or isinstance(value, (int, float, np.number))):
            raise ValueError(f"Expected {option} to be a number >= 0 or None, received: {value!r}")
    if options.get("clipnorm") is not None and options.get("global_clipnorm") is not None:
        raise ValueError("Cannot accept both `clipnorm` and `global_clipnorm`: choose one.")


def checked_epsilon(epsilon: float | None, default: float) -> float:
    """What keeps a division finite: the default for None and, as in TensorFlow, for 0."""
    if epsilon is not None and not (isinstance(epsilon, (int, float, np.number)) and epsilon >= 0):
        raise ValueError(f"`epsilon` must be a number that is not negative, or None; received {epsilon!r}.")
    return epsilon or default


def _checked(name: str, value: Any) -> Any:
    if isinstance(value, (Variable, schedules.LearningRateSchedule)) or callable(value):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"The hyper-parameter {name} must be a number, a variable, a function without arguments"
            f"{' or a LearningRateSchedule' if name == 'learning_rate' else ''}; received {value!r}."
        ) from None


def current_value(value: Any, step: int) -> float:
    """What a hyper-parameter is at a step, rounded to float32 as a variable's value is."""
    if isinstance(value, Variable):
        return value._array.item()
    if isinstance(value, schedules.LearningRateSchedule):
        return value.value_at(step)
    if callable(value):
        with init_scope():
            value = value()
    return float(np.float32(float(value)))


def config_value(value: Any) -> Any:
    """What stands for a hyper-parameter in a config."""
    if isinstance(value, schedules.LearningRateSchedule):
        return schedules.serialize(value)
    if isinstance(value, Variable):
        return float(value._array)
    return float(value()) if callable(value) else value
