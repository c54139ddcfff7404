"""Callbacks that set the learning rate between epochs."""

from __future__ import annotations

import inspect
import numbers
import warnings
from collections.abc import Callable
from typing import Any

from distkeras.keras.callbacks.base import Callback, Logs
from distkeras.keras.callbacks.monitor import MonitorCallback


def get_learning_rate(model: Any) -> float:
    """The learning rate that the model's optimizer works with now.

    Raises:
        ValueError: It has none that could be set: no optimizer, or a schedule by step.
    """
    rate = getattr(getattr(model, "optimizer", None), "lr", None)
    if rate is None:
        raise ValueError('Optimizer must have a "lr" attribute: compile the model with one of tf.keras.optimizers.')
    try:
        return float(rate)
    except TypeError:
        raise ValueError(
            f"The optimizer's learning rate is the schedule {rate!r}, which a callback cannot set: give the "
            "optimizer a number, or leave the callback away."
        ) from None


def set_learning_rate(model: Any, value: float) -> None:
    """Let the model's optimizer go on with another learning rate."""
    model.optimizer.lr = float(value)


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch.

    Args:
        schedule: (epoch) or (epoch, learning rate) -> the learning rate for that epoch.
        verbose: 1 prints it.

    >>> import distkeras as tf
    >>> callback = tf.keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 * 0.5**epoch)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(
                f"LearningRateScheduler: `schedule` must be a function of the epoch, received {schedule!r}."
            )
        self.schedule = schedule
        self.verbose = verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        current = get_learning_rate(self.model)
        rate = self.schedule(epoch, current) if self._takes_rate else self.schedule(epoch)
        if not isinstance(rate, numbers.Real) or isinstance(rate, (bool, numbers.Integral)):
            raise ValueError(f'The output of the "schedule" function should be float, received {rate!r}.')
        rate = self._agree(float(rate))
        set_learning_rate(self.model, rate)
        if self.verbose > 0:
            self._print(f"\nEpoch {epoch + 1:05d}: LearningRateScheduler reducing learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["lr"] = get_learning_rate(self.model)


def _takes_two(function: Callable) -> bool:
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # some built-in functions have no signature
        return True
    return True


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when a metric has not improved for some epochs.

    Args:
        monitor: Name of the metric.
        factor: The learning rate is multiplied by this, less than 1.
        patience: How many epochs without improvement lead to it.
        verbose: 1 prints when it happens.
        mode: 'min', 'max' or 'auto' (by the metric's name).
        min_delta: Changes of no more than this are no improvement.
        cooldown: How many epochs to wait afterwards before counting again.
        min_lr: The learning rate never becomes less than this.
        **kwargs: `epsilon`, an older name of `min_delta`.

    Raises:
        ValueError: `factor` is not less than 1, or `mode` is unknown.
        TypeError: An unknown argument.
    """

    state_names = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(monitor, mode)
        self._check_patience(patience, cooldown)
        if not isinstance(factor, numbers.Real) or factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau does not support a factor >= 1.0, received {factor!r}.")
        if "epsilon" in kwargs:
            warnings.warn("`epsilon` argument is deprecated, use `min_delta` instead.", stacklevel=2)
            min_delta = kwargs.pop("epsilon")
        if kwargs:
            raise TypeError(f"ReduceLROnPlateau got unexpected arguments: {sorted(kwargs)}.")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.min_delta = min_delta
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._reset()

    def _reset(self) -> None:
        self.best = self.worst
        self.wait = 0
        self.cooldown_counter = 0

    def in_cooldown(self) -> bool:
        """Whether it still waits after a reduction."""
        return self.cooldown_counter > 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        rate = get_learning_rate(self.model)
        if logs is not None:
            logs["lr"] = rate
        current = self.get_monitor_value(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(current, self.best, self.min_delta):
            self.best, self.wait = current, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                self._reduce(epoch, rate)

    def _reduce(self, epoch: int, rate: float) -> None:
        new_rate = max(rate * self.factor, self.min_lr)
        set_learning_rate(self.model, new_rate)
        if self.verbose > 0:
            self._print(f"\nEpoch {epoch + 1:05d}: ReduceLROnPlateau reducing learning rate to {new_rate}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0
