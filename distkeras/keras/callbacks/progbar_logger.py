"""Progress on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from distkeras.keras.callbacks.base import Callback, Logs
from distkeras.keras.utils.progbar import Progbar

_WORTH_TELLING = 1.0  # seconds


class ProgbarLogger(Callback):
    """Prints a progress bar with the logs; `fit` adds one itself unless `verbose=0`.

    The last line of an epoch that took a second or more ends with the shares of it that went into waiting for data and
    for other ranks, and into computing.

    Args:
        count_mode: Whether the bar counts 'samples' or 'steps'.
        stateful_metrics: Names of metrics that are shown as they are, because they are running values; all others are
            averaged over the epoch.

    Raises:
        ValueError: `count_mode` is neither.
    """

    state_names = ("_seen",)

    def __init__(self, count_mode: str = "samples", stateful_metrics: Iterable[str] | None = None) -> None:
        super().__init__()
        if count_mode not in ("samples", "steps"):
            raise ValueError(f"Unknown `count_mode`: {count_mode!r}. Expected 'samples' or 'steps'.")
        self.use_steps = count_mode == "steps"
        self.stateful_metrics = set(stateful_metrics or [])
        self._training = False
        self._bar: Progbar | None = None
        self._seen = 0

    # --- training

    def on_train_begin(self, logs: Logs = None) -> None:
        self._training = True

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self._writes and self.params["verbose"] and self.params["epochs"] > 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._begin()

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._count(logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._finish(logs, self._shares(epoch))

    def _shares(self, epoch: int) -> str:
        """Where the time of an epoch went, if it took long enough to matter."""
        report = getattr(getattr(self.model, "history", None), "report", ())
        times = report[-1] if report else None
        if times is None or times.epoch != epoch or times.seconds < _WORTH_TELLING:
            return ""
        ranks = f", ranks {times.communication_share:.0%}" if times.communicated else ""
        return f" - data {times.data_share:.0%}{ranks}, compute {times.compute_share:.0%}"

    def on_train_end(self, logs: Logs = None) -> None:
        self._training = False

    # --- evaluation and prediction; validation during training has no bar of its own

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._training:
            self._begin()

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._training:
            self._count(logs)

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._training:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._count(logs)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._finish(logs)

    # --- the bar

    def _begin(self) -> None:
        self._seen = 0
        if not (self._writes and self.params["verbose"]):
            self._bar = None
            return
        self._bar = Progbar(
            target=self.params["steps" if self.use_steps else "samples"],
            verbose=self.params["verbose"],
            stateful_metrics=self.stateful_metrics,
            unit_name="step" if self.use_steps else "sample",
        )

    def _shown(self, logs: Logs) -> list[tuple[str, Any]]:
        return [(name, logs[name]) for name in self.params.get("metrics", []) if name in (logs or {})]

    def _count(self, logs: Logs) -> None:
        if self._bar is None:
            return
        logs = logs or {}
        self._seen += 1 if self.use_steps else logs.get("size", 0)
        # The last drawing waits for the epoch's logs, which are complete.
        if self._bar.target is None or self._seen < self._bar.target:
            self._bar.update(self._seen, self._shown(logs))

    def _finish(self, logs: Logs, note: str = "") -> None:
        if self._bar is None:
            return
        self._bar.finish(self._seen, self._shown(logs), note)
        self._bar = None
