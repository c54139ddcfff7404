"""Epoch logs in a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from distkeras.keras.callbacks.base import Callback, Logs


class CSVLogger(Callback):
    """Writes a row for each epoch: its number, then the logs by name.

    Args:
        filename: The file.
        separator: What stands between the columns.
        append: Whether to go on in a file that exists; else it is begun anew.

    >>> import distkeras as tf
    >>> callback = tf.keras.callbacks.CSVLogger("training.csv")
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self._begins_anew = not append
        self._file: Any = None
        self._writer: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self.keys = None
        self._begins_anew = not self.append

    def get_state(self) -> dict[str, Any]:
        return {"keys": self.keys, "length": 0 if self._file is None else self._file.tell()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on behind the rows that were written when the state was saved; later ones will be written again."""
        self.keys = state["keys"]
        length = os.path.getsize(self.filename) if os.path.exists(self.filename) else 0
        if self._writes and state["length"] and length >= state["length"]:
            self._begins_anew = False
            os.truncate(self.filename, state["length"])

    def _open(self) -> None:
        # Closed by on_train_end: the file lives as long as the training.
        self._file = open(self.filename, "w" if self._begins_anew else "a", newline="")  # noqa: SIM115
        needs_header = not self._file.tell()
        self._writer = csv.DictWriter(
            self._file, ["epoch", *self.keys], delimiter=self.sep, restval="NA", extrasaction="ignore"
        )
        if needs_header:
            self._writer.writeheader()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if not self._writes:
            return
        logs = logs or {}
        # Validation may be absent from the first epoch's logs and come later.
        self.keys = self.keys or sorted({*logs, *self.params.get("metrics", [])})
        if self._file is None:
            self._open()
        self._writer.writerow({"epoch": epoch, **{key: _text(value) for key, value in logs.items()}})
        self._file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = self._writer = None


def _text(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable) or np.ndim(value) == 0:
        return value
    return '"[{}]"'.format(", ".join(map(str, value)))
