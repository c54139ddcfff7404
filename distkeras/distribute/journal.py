"""Which collective each thread of this process is in, and how many it has entered on each communicator.

Collectives match by their order: the k-th call of one rank on a communicator meets the k-th call of every other. So two
counts decide whether a waiting rank will ever be answered. If a rank has left the program after k calls and another
waits in call k + 1, nobody will come; if the other waits in call k, the answer is only late.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import NamedTuple


class Call(NamedTuple):
    """One collective that a thread has entered and not left.

    Attributes:
        communicator: Key of the communicator: its position in the order in which they were made.
        index: 1 for the communicator's first collective.
        name: The method, `"allreduce"` for instance.
        since: `time.monotonic()` at the start of the call.
    """

    communicator: int
    index: int
    name: str
    since: float


class Journal:
    """Counts the collectives of one process, over all of its communicators.

    >>> journal = Journal()
    >>> key = journal.new_communicator()
    >>> journal.enter(key, "barrier")
    >>> [call.name for call in journal.waiting()]
    ['barrier']
    >>> journal.leave()
    >>> journal.waiting(), journal.entered
    ([], {0: 1})
    """

    def __init__(self) -> None:
        self.entered: dict[int, int] = {}
        self._calls: dict[int, Call] = {}

    def new_communicator(self) -> int:
        """Key for a communicator. Making one is itself collective, so the keys are the same on all ranks."""
        key = len(self.entered)
        self.entered[key] = 0
        return key

    def enter(self, communicator: int, name: str) -> None:
        """Note that the calling thread enters a collective."""
        index = self.entered[communicator] + 1
        self.entered[communicator] = index
        self._calls[threading.get_ident()] = Call(communicator, index, name, time.monotonic())

    def leave(self) -> None:
        """Note that the calling thread's collective is over, by success or by an exception."""
        del self._calls[threading.get_ident()]

    def waiting(self) -> list[Call]:
        """The calls that are under way, oldest first."""
        return sorted(self._calls.copy().values(), key=lambda call: call.since)

    def unanswerable(self, entered: Mapping[int, int]) -> Call | None:
        """The first call under way that a rank which left after `entered` calls can never meet."""
        return next((call for call in self.waiting() if call.index > entered.get(call.communicator, 0)), None)
