"""A progress bar for terminals, and plain lines for everything else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np


class Progbar:
    """Shows how far a loop is, how long it will take, and averages of some values.

    On a terminal or in a notebook with `verbose=1` the line is redrawn; into a file only the finished line is written,
    so that logs stay readable. `verbose=2` writes just the finished line, without a bar.

    Args:
        target: Number of steps or samples in all, None if not known.
        width: Width of the bar in characters.
        verbose: 0 nothing, 1 a bar, 2 one line when it is done.
        stateful_metrics: Names of values that are shown as they are; all others are averaged over steps.
        interval: Seconds between two drawings, at least.
        unit_name: What is counted: 'step' or 'sample'.

    >>> bar = Progbar(target=4, verbose=2)
    >>> bar.update(4, [("loss", 0.5)])
    4/4 - 0s - loss: 0.5000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 30,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.stateful_metrics = set(stateful_metrics or [])
        self.unit_name = unit_name
        self._values: dict[str, tuple[float, float]] = {}  # name -> (weighted sum, sum of weights)
        self._seen_so_far = 0
        self._note = ""
        self._start = time.monotonic()
        self._last_drawn = -float("inf")
        self._total_width = 0
        self._redraws = _is_interactive()

    def update(self, current: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Go to step `current`.

        Args:
            current: How many steps are done.
            values: (name, value) pairs; averages weight them by the steps since the last update.
        """
        weight = current - self._seen_so_far
        for name, value in values or ():
            total, count = self._values.get(name, (0.0, 0.0))
            is_mean = name not in self.stateful_metrics
            self._values[name] = (total + value * weight, count + weight) if is_mean else (value, 1)
        self._seen_so_far = current
        self._draw(current, done=self.target is not None and current >= self.target)

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Go on by `n` steps; see `update`."""
        self.update(self._seen_so_far + n, values)

    def finish(self, current: int, values: Iterable[tuple[str, Any]] | None = None, note: str = "") -> None:
        """Draw for the last time, at step `current`, with these values as they are, and a note after them."""
        self._note = note
        for name, value in values or ():
            self._values[name] = (value, 1)
        self._seen_so_far = current
        self._draw(current, done=True)

    def _draw(self, current: int, done: bool) -> None:
        if self.verbose == 2 and done:
            elapsed = f" - {time.monotonic() - self._start:.0f}s"
            sys.stdout.write(f"{self._count(current)}{elapsed}{self._shown_values()}\n")
        elif self.verbose == 1 and (done or self._redraws):
            self._draw_bar(current, done)
        sys.stdout.flush()

    def _draw_bar(self, current: int, done: bool) -> None:
        now = time.monotonic()
        if not done and now - self._last_drawn < self.interval:
            return
        self._last_drawn = now
        line = self._bar(current) + self._timing(current, now - self._start, done) + self._shown_values()
        previous_width, self._total_width = self._total_width, len(line)
        if self._redraws:
            sys.stdout.write("\b" * previous_width + "\r" + line.ljust(previous_width))
        else:
            sys.stdout.write(line)
        if done:
            sys.stdout.write("\n")

    def _count(self, current: int) -> str:
        if self.target is None:
            return f"{current:7d}/Unknown"
        return f"{current:{len(str(self.target))}d}/{self.target}"

    def _bar(self, current: int) -> str:
        if self.target is None:
            return self._count(current)
        filled = min(int(self.width * current / max(self.target, 1)), self.width)
        head = "" if not filled else "=" * (filled - 1) + (">" if current < self.target else "=")
        return f"{self._count(current)} [{head.ljust(self.width, '.')}]"

    def _timing(self, current: int, elapsed: float, done: bool) -> str:
        per_unit = elapsed / current if current else 0.0
        if not done and self.target is not None:
            return f" - ETA: {_duration(per_unit * (self.target - current))}"
        if per_unit >= 1 or not per_unit:
            pace = f"{per_unit:.0f}s"
        elif per_unit >= 1e-3:
            pace = f"{per_unit * 1e3:.0f}ms"
        else:
            pace = f"{per_unit * 1e6:.0f}us"
        return f" - {elapsed:.0f}s {pace}/{self.unit_name}"

    def _shown_values(self) -> str:
        values = "".join(f" - {name}: {_number(total, count)}" for name, (total, count) in self._values.items())
        return values + self._note


def _is_interactive() -> bool:
    isatty = getattr(sys.stdout, "isatty", None)
    return bool(isatty and isatty()) or "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ


def _duration(seconds: float) -> str:
    if seconds > 3600:
        return f"{seconds // 3600:.0f}:{seconds % 3600 // 60:02.0f}:{seconds % 60 // 1:02.0f}"
    if seconds > 60:
        return f"{seconds // 60:.0f}:{seconds % 60 // 1:02.0f}"
    return f"{seconds // 1:.0f}s"


def _number(total: Any, count: float) -> str:
    mean = float(np.mean(total)) / max(1.0, count)
    return f"{mean:.4f}" if abs(mean) > 1e-3 else f"{mean:.4e}"
