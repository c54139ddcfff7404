"""Stopping when the loss is no number any more."""

from __future__ import annotations

import math

from distkeras.keras.callbacks.base import Callback, Logs


class TerminateOnNaN(Callback):
    """Ends training at the first batch whose loss is NaN or infinite.

    It also says where that came from: with `DISTKERAS_DEBUG=1` the rank and the layer, else the variables with such
    gradients.
    """

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            self._print(f"Batch {batch}: Invalid loss, terminating training")
            if origin := self._origin():
                self._print(origin)
            self.model.stop_training = True

    def _origin(self) -> str:
        if origin := getattr(self.model, "_non_finite_origin", ""):
            return origin
        groups = getattr(getattr(self.model, "optimizer", None), "groups", ())
        names = [name for group in groups for name in group.non_finite()]
        if not names:
            return ""
        return f"Gradients that are not finite: {names}. DISTKERAS_DEBUG=1 tells in which layer and rank it began"
