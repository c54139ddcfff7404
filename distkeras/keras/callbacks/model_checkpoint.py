"""Saving the model while it is trained."""

from __future__ import annotations

import glob
import numbers
import os
import re
import string
import warnings
from typing import Any

from distkeras.keras.callbacks.base import Logs
from distkeras.keras.callbacks.monitor import MonitorCallback

_FIELDS = string.Formatter()
# The files that a checkpoint of TensorFlow's consists of.
_OF_CHECKPOINT = re.compile(r"\.index$|\.data-\d{5}-of-\d{5}$")


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after every epoch or after so many samples.

    Args:
        filepath: Where to; may hold fields for the epoch and the logs: 'weights.{epoch:02d}-{val_loss:.2f}.h5'.
        monitor: Name of the metric that tells which model is best.
        verbose: 1 prints each time.
        save_best_only: Whether to save only when the metric has improved.
        save_weights_only: Whether to save only the weights.
        mode: 'min', 'max' or 'auto' (by the metric's name).
        save_freq: 'epoch', or the number of samples after which to save.
        **kwargs: `period`, the number of epochs between saves (older name of this wish), and
            `load_weights_on_restart`, whether to start from the file if it exists; from the newest of them if its name
            has fields.

    Raises:
        ValueError: `save_freq` or `mode` are unknown.
        TypeError: An unknown argument.
    """

    state_names = ("best", "epochs_since_last_save", "_samples_since_last_save", "_current_epoch")

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        **kwargs: Any,
    ) -> None:
        super().__init__(monitor, mode)
        is_count = isinstance(save_freq, numbers.Integral) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not is_count:
            raise ValueError(f"`save_freq` must be 'epoch' or a positive number of samples, received {save_freq!r}.")
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.period = kwargs.pop("period", 1)
        self.load_weights_on_restart = kwargs.pop("load_weights_on_restart", False)
        if not isinstance(self.period, numbers.Integral) or self.period < 1:
            raise ValueError(f"`period` must be a positive number of epochs, received {self.period!r}.")
        if kwargs:
            raise TypeError(f"ModelCheckpoint got unexpected arguments: {sorted(kwargs)}.")
        self.best = self.worst
        self.epochs_since_last_save = 0
        self._samples_since_last_save = 0
        self._current_epoch = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        newest = self._agree(self._newest_file()) if self.load_weights_on_restart else None
        if newest is not None:
            self.model.load_weights(newest)

    def _newest_file(self) -> str | None:
        """The file or checkpoint written last of those that `filepath` may mean."""
        parts = [glob.escape(text) + ("" if field is None else "*") for text, field, *_ in _FIELDS.parse(self.filepath)]
        pattern = "".join(parts)
        indices = glob.glob(f"{pattern}.index")
        files = [path for path in glob.glob(pattern) if not _OF_CHECKPOINT.search(path)]
        written = {path: os.path.getmtime(path) for path in files}
        written |= {path.removesuffix(".index"): os.path.getmtime(path) for path in indices}
        return max(written, key=lambda path: (written[path], path), default=None)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._current_epoch = epoch

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            return
        self._samples_since_last_save += (logs or {}).get("size", 1)
        if self._samples_since_last_save >= self.save_freq:
            self._samples_since_last_save = 0
            self._save(self._current_epoch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epochs_since_last_save += 1
        if self.save_freq == "epoch" and self.epochs_since_last_save >= self.period:
            self.epochs_since_last_save = 0
            self._save(epoch, logs or {})

    def _save(self, epoch: int, logs: dict[str, Any]) -> None:
        if self.save_best_only and not self._is_best(epoch, logs):
            return
        filepath = self._format(epoch, logs)
        if not self.save_best_only and self.verbose > 0:
            self._print(f"\nEpoch {epoch + 1:05d}: saving model to {filepath}")
        if self.save_weights_only:
            self.model.save_weights(filepath, overwrite=True)
        else:
            self.model.save(filepath, overwrite=True)

    def _is_best(self, epoch: int, logs: dict[str, Any]) -> bool:
        current = self._agree(logs.get(self.monitor))
        if current is None:
            warnings.warn(f"Can save best model only with {self.monitor} available, skipping.", stacklevel=4)
            return False
        is_best = self.is_better(current, self.best)
        if self.verbose > 0 and is_best:
            change = f"improved from {self.best:0.5f} to {current:0.5f}, saving model to {self._format(epoch, logs)}"
            self._print(f"\nEpoch {epoch + 1:05d}: {self.monitor} {change}")
        elif self.verbose > 0:
            self._print(f"\nEpoch {epoch + 1:05d}: {self.monitor} did not improve from {self.best:0.5f}")
        if is_best:
            self.best = current
        return is_best

    def _format(self, epoch: int, logs: dict[str, Any]) -> str:
        try:
            return self.filepath.format(epoch=epoch + 1, **{key: logs[key] for key in logs if key != "epoch"})
        except (KeyError, IndexError) as error:
            raise KeyError(
                f"Failed to format this callback filepath: {self.filepath!r}. Reason: {error} is not among "
                f"'epoch', {', '.join(map(repr, sorted(logs)))}."
            ) from None
