"""Items that one rank reads for all ranks of its node, or of the job.

    the rank that reads                     slots (data/ring.py)             the node's other ranks
    items --- written once, or already ---> [ item | item | ... ] ---------> views of them, of which each rank
      |       there from data workers                                        takes its rows
      |--- a pipe to each (data/announcing.py): "slot 3 holds 51 MB" ------->|
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
import os
import pickle
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import DataWorkerError, RankLostError
from distkeras.data.adapter import DataOptions
from distkeras.data.announcing import ENDED, FAILED, ITEM, Announcement, Announcer, Listener, Shared
from distkeras.data.ring import Parcel, Ring, opened
from distkeras.data.sharding import span_of
from distkeras.distribute import waiting


class NodeReader:
    """Reads items on one rank for all ranks of the node; every rank goes through them.

    Args:
        options: Which rank this is, and how it talks to the others. Every rank must make the reader: it is collective.
        once: Whether the items are read on rank 0 alone, instead of once on each node.

    Attributes:
        ranks: The ranks of this node.
        reads: Whether this rank reads.
        num_readers: How many ranks do.
        is_alone: Whether no other rank gets what this one reads.
    """

    def __init__(self, options: DataOptions, once: bool = False) -> None:
        self._options = options
        self._ring = Ring()
        self._readers: dict[int, list[int]] = {0: [0]}
        self._announcer: Announcer | None = None
        self._listener: Listener | None = None
        if options.is_elastic:
            self._readers = {rank: [rank] for rank in range(options.num_replicas)}
        elif options.num_replicas > 1:
            self._meet()
        self._sends = once and len(self._readers) > 1
        self._leads = options.rank in self._readers
        (self.ranks,) = (ranks for ranks in self._readers.values() if options.rank in ranks)
        self.reads = options.rank == 0 if once else self._leads
        self.num_readers = 1 if once else len(self._readers)
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
        announcer = Announcer(len(mine) - 1) if rank == mine[0] else None
        offers = gather(None if announcer is None else announcer.offers)
        listener = None
        if announcer is None:
            with contextlib.suppress(OSError):
                listener = Listener(*offers[mine[0]][mine.index(rank) - 1])
        if not all(gather(announcer is not None or listener is not None)):
            # Processes may be kept from each other's files: each is then a node of its own.
            for end in (announcer, listener):
                if end is not None:
                    end.close()
            announcer, listener = Announcer(0), None
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
            if kind == ENDED:
                return
            if kind == FAILED:
                next(_raised(*value))
            yield Shared(value)

    def _items(self, begin: Callable[[], Iterator]) -> Iterator[Shared]:
        source = _reported(begin, self._ring) if self.reads else None
        while True:
            kind, shared = self._read(source) if self.reads else self._receive()
            if kind == ENDED:
                return
            if kind == FAILED:
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
        kind, shared = self._options.scatter(None) if self._sends else (ENDED, None)
        if self._listener is not None:
            with waiting.for_data(self.ranks[0]):
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


def _end(announcer: Announcer | None, listener: Listener | None, ring: Ring) -> None:
    for end in (announcer, listener):
        if end is not None:
            end.close()
    ring.close()


def _reported(begin: Callable[[], Iterator], ring: Ring) -> Iterator[tuple[int, Parcel | None]]:
    """(kind, parcel) of each item, and of the error or the end after them."""
    try:
        for parcel in begin():
            yield ITEM, parcel
    except Exception as error:
        yield FAILED, ring.put(_failure(error))
        raise
    while True:
        yield ENDED, None


def _message(source: Iterator) -> tuple[int, Any]:
    """The next item, the end or the error."""
    try:
        for value in source:
            return ITEM, value
    except Exception as error:
        return FAILED, _failure(error)
    return ENDED, None


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
    start, stop = span_of(size, ranks, options.num_replicas)
    rows = slice(start, max(stop, start + 1))  # one that does not count tells of the shape
    return Shared(_nest.map_structure(lambda leaf: None if leaf is None else leaf[rows], value), size, start)


def _node() -> tuple:
    """What processes have in common that can open each other's files."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read(), os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return os.uname().nodename, os.getpid()
