"""Stopping when a metric no longer improves."""

from __future__ import annotations

from typing import Any

from distkeras.keras.callbacks.base import Logs
from distkeras.keras.callbacks.monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Ends training when a metric has not improved for some epochs.

    Args:
        monitor: Name of the metric.
        min_delta: Changes of no more than this are no improvement.
        patience: How many epochs without improvement end the training.
        verbose: 1 prints when it stops.
        mode: 'min', 'max' or 'auto' (by the metric's name).
        baseline: A value that the metric must improve upon.
        restore_best_weights: Whether to go back to the weights of the best epoch when it stops.

    >>> import distkeras as tf
    >>> callback = tf.keras.callbacks.EarlyStopping(monitor="val_loss", patience=3)
    """

    state_names = ("wait", "stopped_epoch", "best", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
    ) -> None:
        super().__init__(monitor, mode)
        self._check_patience(patience)
        self.min_delta = abs(min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = self.worst if self.baseline is None else self.baseline
        self.best_weights: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        current = self.get_monitor_value(logs)
        if current is None:
            return
        if self.is_better(current, self.best, self.min_delta):
            self.best, self.wait = current, 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            if self.restore_best_weights and self.best_weights is not None:
                if self.verbose:
                    self._print("Restoring model weights from the end of the best epoch.")
                self.model.set_weights(self.best_weights)

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch > 0 and self.verbose:
            self._print(f"Epoch {self.stopped_epoch + 1:05d}: early stopping")
