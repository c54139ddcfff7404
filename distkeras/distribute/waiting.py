"""How long a thread has waited for other ranks: in collectives, and for sums that another thread makes."""

from __future__ import annotations

import threading


class _Total(threading.local):
    seconds = 0.0


_total = _Total()


def add(seconds: float) -> None:
    """Note that the calling thread has waited."""
    _total.seconds += seconds


def total() -> float:
    """Seconds that the calling thread has waited so far.

    >>> before = total()
    >>> add(0.25)
    >>> total() - before
    0.25
    """
    return _total.seconds
