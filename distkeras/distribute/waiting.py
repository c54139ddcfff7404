"""What threads wait for: how long for other ranks, and at this moment for data that another rank reads."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

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


class DataWait(NamedTuple):
    """A thread's wait for an item of data.

    Attributes:
        rank: The one that reads it.
        number: How many this process has waited for, this one included.
        since: `time.monotonic()` at its start.
    """

    rank: int
    number: int
    since: float


_numbers = itertools.count(1)
_data: dict[int, DataWait] = {}


@contextlib.contextmanager
def for_data(rank: int) -> Iterator[None]:
    """Note that the calling thread waits for data that a rank reads.

    >>> with for_data(3):
    ...     [wait.rank for wait in data_waits()]
    [3]
    >>> data_waits()
    []
    """
    thread = threading.get_ident()
    _data[thread] = DataWait(rank, next(_numbers), time.monotonic())
    try:
        yield
    finally:
        del _data[thread]


def data_waits() -> list[DataWait]:
    """The waits for data that are under way."""
    return list(_data.copy().values())
