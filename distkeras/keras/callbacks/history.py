"""Records of training: what `fit` returns."""

from __future__ import annotations

from collections.abc import Iterable

from distkeras.data.handler import EpochTimes
from distkeras.keras.callbacks.base import Callback, Logs


class History(Callback):
    """Records what each epoch's logs hold; `fit` returns one.

    Attributes:
        epoch: Numbers of the epochs.
        history: Name -> values, one for each epoch in which there was one.
        report: Where the time of each epoch went: `seconds`, the seconds `waited` for data and `communicated` with
            other ranks, and the shares of them: `data_share`, `communication_share`, `compute_share`.
    """

    state_names = ("epoch", "history")

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list] = {}
        self.report: list[EpochTimes] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []
        self.history = {}
        self.report = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class BaseLogger(Callback):
    """Averages what the batches' logs hold over an epoch, weighted by batch size.

    `fit` gives the right epoch logs without it; it is for training loops of one's own.

    Args:
        stateful_metrics: Names of metrics that are running values already: their last value counts.
    """

    state_names = ("seen", "totals")

    def __init__(self, stateful_metrics: Iterable[str] | None = None) -> None:
        super().__init__()
        self.stateful_metrics = set(stateful_metrics or [])
        self.seen = 0
        self.totals: dict[str, float] = {}

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.seen = 0
        self.totals = {}

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        logs = logs or {}
        size = logs.get("size", 0)
        self.seen += size
        for name, value in logs.items():
            if name in self.stateful_metrics:
                self.totals[name] = value
            else:
                self.totals[name] = self.totals.get(name, 0.0) + value * size

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is None:
            return
        for name in self.params.get("metrics", []):
            if name in self.totals:
                divisor = 1 if name in self.stateful_metrics else max(self.seen, 1)
                logs[name] = self.totals[name] / divisor
