"""Stopping when the loss is no number any more."""

from __future__ import annotations

import math

from distkeras.keras.callbacks.base import Callback, Logs


class TerminateOnNaN(Callback):
    """Ends training at the first batch whose loss is NaN or infinite."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            self._print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True
