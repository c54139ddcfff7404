"""Pipes on which a rank that reads tells the others of its node of items, and they that they have done with them.

    the rank that reads                            each other rank
    Announcer --- "slot 3 holds 51 MB" ----------> Listener --> views of the slot
              <-- "taken", "viewed no more" ------'

Pipes and slots have no names: the other ranks open them through /proc.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import struct
import sys
import time
from typing import Any, NamedTuple

from distkeras._errors import DataWorkerError
from distkeras.data.packing import PackedForms
from distkeras.data.ring import Parcel, Ring, Slot

_MOST_AHEAD = 16  # items that the rank that reads may have announced, and another not taken
_SECONDS_TO_TAKE, _SECONDS_AFTER_ERROR = 30.0, 0.5
ITEM, ENDED, FAILED = range(3)
_TAKEN, _FREE = range(2)
_ANSWER = struct.Struct("<BI")


class Announcement(NamedTuple):
    """What the rank that reads says to the others.

    Attributes:
        kind: ITEM, ENDED or FAILED (the slot holds the exception and its traceback).
        descriptor, nbytes: The slot's file in the process that reads, and how much of it was written.
        rows: Rows of the whole item, if the slot holds only some of them; else 0.
        first: Which row of the whole the first one is.
    """

    kind: int
    descriptor: int = 0
    nbytes: int = 0
    rows: int = 0
    first: int = 0


_ANNOUNCEMENT = struct.Struct("<BIQQQ")


class Shared(NamedTuple):
    """An item, or the rows of it that this node's ranks take.

    Attributes:
        value: The item; other ranks view its arrays too, so that they cannot be written to.
        rows: Rows of the whole; None if the value is the whole.
        first: Which row of the whole the value's first one is.
    """

    value: Any
    rows: int | None = None
    first: int = 0


def _open_file_of(process: int, descriptor: int, flags: int) -> int:
    return os.open(f"/proc/{process}/fd/{descriptor}", flags | os.O_CLOEXEC)


class Announcer:
    """The end of the pipes of a rank that reads.

    Attributes:
        offers: For each other rank the process and descriptors that it opens: to read announcements, to write answers.
    """

    def __init__(self, count: int) -> None:
        pipes = [(os.pipe(), os.pipe()) for _ in range(count)]
        self.offers = [(os.getpid(), down[0], up[1]) for down, up in pipes]
        self._announcements = [down[1] for down, _ in pipes]
        self._answers = [up[0] for _, up in pipes]
        self._parcels: dict[int, tuple[Ring, int]] = {}
        self._behind = dict.fromkeys(self._answers, 0)  # items that a rank has not taken yet
        self._poll = select.poll()
        for descriptor in self._answers:
            self._poll.register(descriptor, select.POLLIN)

    def close_offers(self) -> None:
        """The others have opened their ends."""
        for _, down, up in self.offers:
            os.close(down)
            os.close(up)
        self.offers = []

    def announce(self, announcement: Announcement, parcel: Parcel | None = None) -> None:
        """Tell all; a parcel's slot is held until none of them views it any more."""
        self._wait(_MOST_AHEAD, None)
        if parcel is not None:
            parcel.ring.hold(parcel.number, len(self._behind))
            self._parcels[announcement.descriptor] = parcel.ring, parcel.number
            self._behind = {descriptor: count + 1 for descriptor, count in self._behind.items()}
        message = _ANNOUNCEMENT.pack(*announcement)
        for descriptor in self._announcements:
            with contextlib.suppress(BrokenPipeError):  # that rank is gone, which is found out elsewhere
                os.write(descriptor, message)

    def _wait(self, most: int, seconds: float | None) -> None:
        """Take note of answers, and wait until nobody is `most` items behind, but not for longer than some seconds."""
        end = None if seconds is None else time.monotonic() + seconds
        self._collect(0)
        while any(count >= most for count in self._behind.values()):
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return
            self._collect(left)

    def _collect(self, seconds: float | None) -> None:
        for descriptor, _ in self._poll.poll(None if seconds is None else 1000 * seconds):
            answers = os.read(descriptor, 512 * _ANSWER.size)
            if not answers:  # that rank is gone
                self._poll.unregister(descriptor)
                del self._behind[descriptor]
            for kind, slot in _ANSWER.iter_unpack(answers):
                if kind == _TAKEN:
                    self._behind[descriptor] -= 1
                else:
                    ring, number = self._parcels[slot]
                    ring.release(number)

    def close(self) -> None:
        """Close the pipes, when the others have taken what was announced: they could not open its slots any more."""
        self._wait(1, _SECONDS_TO_TAKE if sys.exc_info()[0] is None else _SECONDS_AFTER_ERROR)
        self.close_offers()
        for descriptor in [*self._announcements, *self._answers]:
            os.close(descriptor)
        self._announcements, self._answers, self._behind = [], [], {}


class Listener:
    """The end of the pipes of a rank that does not read.

    Args:
        process: That which reads.
        announcements, answers: Its descriptors of the pipes.

    Raises:
        OSError: They cannot be opened.
    """

    def __init__(self, process: int, announcements: int, answers: int) -> None:
        self._process = process
        self._slots: dict[int, Slot] = {}
        self._forms = PackedForms()
        self._announcements = _open_file_of(process, announcements, os.O_RDONLY)
        self._answers = -1
        try:
            self._answers = _open_file_of(process, answers, os.O_WRONLY)
        except OSError:
            self.close()
            raise

    def receive(self) -> tuple[int, Shared | None]:
        """The next item.

        Raises:
            DataWorkerError: The process that reads has ended.
        """
        message = os.read(self._announcements, _ANNOUNCEMENT.size)
        if not message:
            raise DataWorkerError(f"Process {self._process}, which reads data for this node, has ended.")
        kind, descriptor, nbytes, rows, first = _ANNOUNCEMENT.unpack(message)
        return kind, None if kind == ENDED else Shared(self._open(descriptor, nbytes), rows or None, first)

    def _open(self, descriptor: int, nbytes: int) -> Any:
        if descriptor not in self._slots:
            self._slots[descriptor] = Slot(_open_file_of(self._process, descriptor, os.O_RDONLY), mmap.ACCESS_READ)
        self._answer(_TAKEN, descriptor)
        return self._slots[descriptor].open(nbytes, self._forms, lambda _: self._answer(_FREE, descriptor), False)

    def _answer(self, kind: int, descriptor: int) -> None:
        if self._answers >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._answers, _ANSWER.pack(kind, descriptor))

    def close(self) -> None:
        for descriptor in (self._announcements, self._answers):
            if descriptor >= 0:
                os.close(descriptor)
        self._announcements = self._answers = -1
        for slot in self._slots.values():
            slot.close()
