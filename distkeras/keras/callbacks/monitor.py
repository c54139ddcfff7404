"""What callbacks that watch a metric share: which way is better, and the metric's value in the logs."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import numpy as np

from distkeras.keras.callbacks.base import Callback, Logs


class MonitorCallback(Callback):
    """A callback that watches one metric.

    Args:
        monitor: Name of the metric in an epoch's logs.
        mode: 'min' if less is better, 'max' if more is, 'auto' to tell by the name: more accuracy is better.

    Raises:
        ValueError: The mode is none of these.
        TypeError: The metric is not given by its name.
    """

    def __init__(self, monitor: str, mode: str = "auto") -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: `mode` must be 'auto', 'min' or 'max', received {mode!r}.")
        if not isinstance(monitor, str):
            raise TypeError(f"{type(self).__name__}: `monitor` must be the name of a metric, received {monitor!r}.")
        self.monitor = monitor
        self.mode = mode
        is_max = mode == "max" or (mode == "auto" and ("acc" in monitor or monitor.startswith("fmeasure")))
        self.monitor_op = np.greater if is_max else np.less
        self.worst = -np.inf if is_max else np.inf

    def get_monitor_value(self, logs: Logs) -> float | None:
        """The metric's value, the same on every rank; None, with a warning, if the logs do not have it."""
        value = self._agree((logs or {}).get(self.monitor))
        if value is None:
            warnings.warn(
                f"{type(self).__name__} conditioned on metric `{self.monitor}` which is not available. Available "
                f"metrics are: {','.join(logs or {})}",
                stacklevel=3,
            )
        return value

    def _check_patience(self, patience: Any, cooldown: Any = 0) -> None:
        for name, value in (("patience", patience), ("cooldown", cooldown)):
            if not isinstance(value, numbers.Real) or value < 0:
                raise ValueError(f"{type(self).__name__}: `{name}` must be a number of epochs, received {value!r}.")

    def is_better(self, value: float, than: Any, min_delta: float = 0.0) -> bool:
        """Whether `value` is better by more than `min_delta`."""
        signed = min_delta if self.monitor_op is np.greater else -min_delta
        return bool(self.monitor_op(value - signed, than))
