"""How long a thread has waited for other ranks: in collectives, and for sums that another thread makes."""

from __future__ import annotations

import threading

import numpy as np


class _Total(threading.local):
    def __init__(self) -> None:
        self.seconds = 0.0
        self.clocks: list[np.ndarray] = []


_total = _Total()


def add(seconds: float) -> None:
    """Note that the calling thread has waited."""
    _total.seconds += seconds


def count(nanoseconds: np.ndarray) -> None:
    """Take in what a kernel counts, in the first word of an array, while the calling thread waits in it."""
    _total.clocks.append(nanoseconds)


def total() -> float:
    """Seconds that the calling thread has waited so far.

    >>> before = total()
    >>> add(0.25)
    >>> total() - before
    0.25
    """
    return _total.seconds + 1e-9 * sum(clock.item(0) for clock in _total.clocks)
