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

import numpy as np

from distkeras.distribute import timeline, waiting
from distkeras.distribute.board import Board


class Call(NamedTuple):
    """One collective that a thread has entered and not left.

    Attributes:
        communicator: Key of the communicator: its position in the order in which they were made.
        index: 1 for the communicator's first collective.
        name: The method, `"allreduce"` for instance.
        since: `time.monotonic()` at the start of the call.
        purpose: What is exchanged, in words.
        nbytes: How much of it this rank gives.
    """

    communicator: int
    index: int
    name: str
    since: float
    purpose: str = ""
    nbytes: int = 0


class Journal:
    """Counts the collectives of one process, over all of its communicators.

    Args:
        board: Where they are also noted for other ranks to see.

    >>> journal = Journal()
    >>> key = journal.new_communicator()
    >>> journal.enter(key, "barrier")
    >>> [call.name for call in journal.waiting()]
    ['barrier']
    >>> journal.leave()
    >>> journal.waiting(), journal.entered
    ([], {0: 1})
    """

    def __init__(self, board: Board | None = None) -> None:
        self.board = board or Board()
        self._entered: dict[int, int] = {}
        self._counted: dict[int, np.ndarray] = {}
        self._calls: dict[int, tuple] = {}
        self._sites: dict[tuple, int] = {}
        self._timeline = timeline.current()

    @property
    def entered(self) -> dict[int, int]:
        """How many collectives have been entered, by communicator."""
        return {**self._entered, **{key: words.item(0) for key, words in self._counted.items()}}

    @property
    def next_key(self) -> int:
        """The key that the next communicator will have."""
        return max(self.entered, default=-1) + 1

    def new_communicator(self, key: int | None = None) -> int:
        """Key for a communicator. Making one is itself collective, so the keys are the same on all ranks.

        Args:
            key: One that has been agreed, not below `next_key`, which is the default.
        """
        key = self.next_key if key is None else key
        self._entered[key] = 0
        return key

    def enter(self, communicator: int, name: str, dtype: object = "", count: int = 0, purpose: str = "") -> None:
        """Note that the calling thread enters a collective.

        Args:
            communicator: Its key.
            name: The method.
            dtype, count: Of the array concerned.
            purpose: What is exchanged, in words: `"gradients"`.
        """
        words = self._counted.get(communicator)
        index = 1 + (self._entered[communicator] if words is None else words.item(0))
        if words is None:
            self._entered[communicator] = index
        else:
            words[0] = index
        self._calls[threading.get_ident()] = (
            communicator,
            index,
            name,
            time.monotonic(),
            purpose,
            count * getattr(dtype, "itemsize", 0),
        )
        self.board.enter(communicator, index, self._site(name, dtype, purpose), count)

    def _site(self, name: str, dtype: object, purpose: str) -> int:
        site = self._sites.get((name, dtype, purpose))
        if site is None:
            site = self._sites[name, dtype, purpose] = self.board.site(described(name, dtype, purpose))
        return site

    def counted(self, communicator: int, name: str, purpose: str) -> tuple[np.ndarray, np.ndarray, int]:
        """What a kernel needs that enters collectives of a communicator: from now on its words say how many there were.

        Returns:
            The communicator's words and that of the step, see `Board.words`, and the number of this name and purpose.
        """
        words, step = self.board.words(communicator)
        if communicator not in self._counted:
            words[0] = self._entered[communicator]
            self._counted[communicator] = words
        return self._counted[communicator], step, self._site(name, "", purpose)

    def leave(self) -> None:
        """Note that the calling thread's collective is over, by success or by an exception."""
        call = self._calls.pop(threading.get_ident())
        self.board.leave(call[0])
        ended = time.monotonic()
        waiting.add(ended - call[3])
        if self._timeline:
            communicator, index, name, since, purpose, nbytes = call
            self._timeline.add("collective", described(name, "", purpose), since, ended, communicator, index, nbytes)

    def waiting(self) -> list[Call]:
        """The calls that are under way, oldest first."""
        return sorted((Call(*call) for call in self._calls.copy().values()), key=lambda call: call.since)

    def unanswerable(self, entered: Mapping[int, int]) -> Call | None:
        """The first call under way that a rank which left after `entered` calls can never meet."""
        return next((call for call in self.waiting() if call.index > entered.get(call.communicator, 0)), None)


def described(name: str, dtype: object = "", purpose: str = "") -> str:
    """A collective in words.

    >>> described("allreduce", "float32", "gradients")
    'allreduce of gradients in float32'
    """
    return name + (f" of {purpose}" if purpose else "") + (f" in {dtype}" if str(dtype) else "")
