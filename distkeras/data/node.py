"""Items that one rank reads for all ranks of its node, or of the job.

    the rank that reads                     slots (data/ring.py)             the node's other ranks
    items --- written once, or already ---> [ item | item | ... ] ---------> views of them, of which each rank
      |       there from data workers                                        takes its rows
      |--- a pipe to each: "slot 3 holds 51 MB" ----------------------------->|
      |<-- a pipe from each: "nothing views slot 3 any more" -----------------'
      |
      '--- MPI: the rows of another node's ranks ---> the rank there that hands them on in the same way

In an elastic job nothing is shared: a rank that hands on what others need might be lost. Each reads for itself; what
may be read only once, rank 0 sends to all.

Each rank asks for item after item in the same order, so nothing has to be agreed on. Slots and pipes have no names and
are opened through /proc: when the processes end, however they do, nothing is left.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import select
import struct
import sys
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from distkeras import _nest
from distkeras._errors import DataWorkerError, RankLostError
from distkeras.data.adapter import DataOptions
from distkeras.data.ring import Parcel, Ring, Slot, opened, unpack
from distkeras.data.sharding import shard_bounds

_MOST_AHEAD = 16  # items that the rank that reads may have announced, and another not taken
_SECONDS_TO_TAKE, _SECONDS_AFTER_ERROR = 30.0, 0.5
_ITEM, _ENDED, _FAILED = range(3)
_TAKEN, _FREE = range(2)
_ANSWER = struct.Struct("<BI")


class Announcement(NamedTuple):
    """What the rank that reads says to the others.

    Attributes:
        kind: _ITEM, _ENDED or _FAILED (the slot holds the exception and its traceback).
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


class NodeReader:
    """Reads items on one rank for all ranks of the node; every rank goes through them.

    Args:
        options: Which rank this is, and how it talks to the others. Every rank must make the reader: it is collective.
        once: Whether the items are read on rank 0 alone, instead of once on each node.

    Attributes:
        reads: Whether this rank reads.
        is_alone: Whether no other rank gets what this one reads.
    """

    def __init__(self, options: DataOptions, once: bool = False) -> None:
        self._options = options
        self._ring = Ring()
        self._readers: dict[int, list[int]] = {0: [0]}
        self._announcer: _Announcer | None = None
        self._listener: _Listener | None = None
        if options.is_elastic:
            self._readers = {rank: [rank] for rank in range(options.num_replicas)}
        elif options.num_replicas > 1:
            self._meet()
        self._sends = once and len(self._readers) > 1
        self._leads = options.rank in self._readers
        self.reads = options.rank == 0 if once else self._leads
        self.is_alone = self._leads and not self._sends and len(self._readers[options.rank]) == 1
        self._end = weakref.finalize(self, _end, self._announcer, self._listener, self._ring)
        self._end.atexit = False

    def _meet(self) -> None:
        """Find the ranks of this node, and connect to them."""
        rank, gather = self._options.rank, self._options.gather
        nodes = gather(_node())
        by_node: dict[Any, list[int]] = {}
        for other, key in enumerate(nodes):
            by_node.setdefault(key, []).append(other)
        mine = by_node[nodes[rank]]
        announcer = _Announcer(len(mine) - 1) if rank == mine[0] else None
        offers = gather(None if announcer is None else announcer.offers)
        listener = None
        if announcer is None:
            with contextlib.suppress(OSError):
                listener = _Listener(*offers[mine[0]][mine.index(rank) - 1])
        if not all(gather(announcer is not None or listener is not None)):
            # Processes may be kept from each other's files: each is then a node of its own.
            for end in (announcer, listener):
                if end is not None:
                    end.close()
            announcer, listener = _Announcer(0), None
            by_node = {other: [other] for other in range(len(nodes))}
        self._announcer, self._listener = announcer, listener
        self._readers = {ranks[0]: ranks for ranks in by_node.values()}
        if announcer is not None:
            announcer.close_offers()

    # --- what reads

    def prepare(self, value: Any) -> Any:
        """An item as others can take it from here; called in the thread that read it, so that it is copied there.

        Raises:
            TypeError: It cannot be pickled.
        """
        if self.is_alone or self._options.is_elastic:
            return value
        try:
            return self._ring.put(value)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(
                f"An item of type {type(value).__qualname__} cannot be handed to the other ranks of this node: "
                f"{error}. Give arrays, or what can be pickled."
            ) from error

    # --- what all ranks do

    def items(self, begin: Callable[[], Iterator]) -> Iterator[Shared]:
        """The items of a pass.

        Args:
            begin: Gives, on the rank that reads, an iterator over items that were `prepare`d, or lie in the slots of
                data workers.

        Raises:
            Exception: What reading raised; on every rank.
        """
        if self.is_alone:
            return map(Shared, map(opened, begin()))
        return self._sent_to_all(begin) if self._options.is_elastic else self._items(begin)

    def _sent_to_all(self, begin: Callable[[], Iterator]) -> Iterator[Shared]:
        """The items of rank 0, whole, on every rank."""
        source = map(opened, begin()) if self.reads else None
        while True:
            message = self._options.broadcast(_message(source) if self.reads else None)
            if message is None:
                raise RankLostError(
                    "The rank that read the data, which may be read only once, was lost with its place in it. Put what "
                    "a generator does into a keras.utils.Sequence; distkeras run --elastic starts the program again"
                )
            kind, value = message
            if kind == _ENDED:
                return
            if kind == _FAILED:
                next(_raised(*value))
            yield Shared(value)

    def _items(self, begin: Callable[[], Iterator]) -> Iterator[Shared]:
        source = _reported(begin, self._ring) if self.reads else None
        while True:
            kind, shared = self._read(source) if self.reads else self._receive()
            if kind == _ENDED:
                return
            if kind == _FAILED:
                next(source or _raised(*shared.value))
            yield shared

    def _read(self, source: Iterator[tuple[int, Parcel | None]]) -> tuple[int, Shared | None]:
        kind, parcel = next(source)
        shared = self._announce(kind, parcel)
        if self._sends:
            self._options.scatter(self._pieces(kind, shared))
        return kind, shared

    def _receive(self) -> tuple[int, Shared | None]:
        """The next item, that another rank has read."""
        kind, shared = self._options.scatter(None) if self._sends else (_ENDED, None)
        if self._listener is not None:
            return self._listener.receive()
        return kind, self._announce(kind, None if shared is None else self._ring.put(shared.value), shared)

    def _announce(self, kind: int, parcel: Parcel | None, place: Shared | None = None) -> Shared | None:
        """Let the other ranks of this node know of an item, or of the end."""
        if parcel is None:
            self._announcer.announce(Announcement(kind))
            return None
        rows, first = (place.rows, place.first) if place is not None else (None, 0)
        self._announcer.announce(Announcement(kind, parcel.descriptor, parcel.size, rows or 0, first), parcel)
        return Shared(parcel.open(writeable=False), rows, first)

    def _pieces(self, kind: int, shared: Shared | None) -> list[tuple[int, Shared | None]]:
        """What each rank is sent: that which leads a node the rows of all ranks there."""
        pieces: list = [(kind, None)] * self._options.num_replicas
        for leader, ranks in self._readers.items():
            if leader:
                pieces[leader] = kind, shared and _rows_of(shared.value, ranks, self._options)
        return pieces

    def close(self) -> None:
        """Stop. Items that were given out stay valid."""
        self._end()


def _end(announcer: _Announcer | None, listener: _Listener | None, ring: Ring) -> None:
    for end in (announcer, listener):
        if end is not None:
            end.close()
    ring.close()


def _reported(begin: Callable[[], Iterator], ring: Ring) -> Iterator[tuple[int, Parcel | None]]:
    """(kind, parcel) of each item, and of the error or the end after them."""
    try:
        for parcel in begin():
            yield _ITEM, parcel
    except Exception as error:
        yield _FAILED, ring.put(_failure(error))
        raise
    while True:
        yield _ENDED, None


def _message(source: Iterator) -> tuple[int, Any]:
    """The next item, the end or the error."""
    try:
        for value in source:
            return _ITEM, value
    except Exception as error:
        return _FAILED, _failure(error)
    return _ENDED, None


def _failure(error: Exception) -> tuple[Exception | None, str]:
    """An exception, if it can be raised elsewhere, and its traceback."""
    text = "".join(traceback.format_exception(error))
    try:
        return pickle.loads(pickle.dumps(error)), text
    except Exception:
        return None, text


def _raised(error: Exception | None, text: str) -> Iterator:
    """Raises, when it is asked for an item, what was raised on another rank."""
    report = DataWorkerError(f"The rank that reads data for this one raised an exception:\n\n{text}")
    if error is None:
        raise report
    raise error from report
    yield


def _rows_of(value: Any, ranks: list[int], options: DataOptions) -> Shared:
    """The rows of an item that some ranks take; all of it where they cannot be told."""
    leaves = [leaf for leaf in _nest.flatten(value) if leaf is not None]
    are_rows = options.by_rows and all(isinstance(leaf, np.ndarray) and leaf.ndim for leaf in leaves)
    sizes = {len(leaf) for leaf in leaves} if are_rows else set()
    if len(sizes) != 1 or 0 in sizes:
        return Shared(value)
    (size,) = sizes
    bounds = [shard_bounds(size, rank, options.num_replicas) for rank in ranks]
    start, stop = min(first for first, _ in bounds), max(last for _, last in bounds)
    rows = slice(start, max(stop, start + 1))  # one that does not count tells of the shape
    return Shared(_nest.map_structure(lambda leaf: None if leaf is None else leaf[rows], value), size, start)


def _node() -> tuple:
    """What processes have in common that can open each other's files."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read(), os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return os.uname().nodename, os.getpid()


def _open_file_of(process: int, descriptor: int, flags: int) -> int:
    return os.open(f"/proc/{process}/fd/{descriptor}", flags | os.O_CLOEXEC)


class _Announcer:
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


class _Listener:
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
        return kind, None if kind == _ENDED else Shared(self._open(descriptor, nbytes), rows or None, first)

    def _open(self, descriptor: int, nbytes: int) -> Any:
        if descriptor not in self._slots:
            self._slots[descriptor] = Slot(_open_file_of(self._process, descriptor, os.O_RDONLY), mmap.ACCESS_READ)
        self._answer(_TAKEN, descriptor)
        whole, parts = self._slots[descriptor].read(nbytes)
        weakref.finalize(whole, self._answer, _FREE, descriptor).atexit = False
        return unpack(parts)

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
