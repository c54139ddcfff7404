"""Where each rank is, written where the other ranks can read it without its help.

    run folder/position-0  | pid step beat .. | communicator 0: index inside step site count | 1: .. | names of sites |
    run folder/position-1  | ...

A rank writes a few integers into its own file, which is mapped into memory, at each collective. On one node the others
see them at once, even if the rank was stopped in that very moment; on other nodes, through a shared folder, as of its
last `beat`, which sends them off.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import socket
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

MOST_COMMUNICATORS = 64
_ROW = 8  # integers for the process, and for each communicator
_NAMES = 8 * _ROW * (1 + MOST_COMMUNICATORS)
_SIZE = _NAMES + 8192
_PID, _STEP, _BEAT = range(3)
_INDEX, _INSIDE, _AT_STEP, _SITE, _COUNT = range(5)


class Entry(NamedTuple):
    """What a rank has last done on a communicator.

    Attributes:
        index: How many collectives it has entered.
        inside: Whether it has not left the last one.
        step: The step in which it entered that.
        site: Operation and purpose, in words.
        count: Elements of the array concerned, 0 if there is none.
    """

    index: int
    inside: bool
    step: int
    site: str
    count: int

    def __str__(self) -> str:
        size = f" of {self.count} elements" if self.count else ""
        return f"{self.site}{size} (collective {self.index}) at step {self.step}"


class Position(NamedTuple):
    """What a rank's file says: host, process, step, when it was last seen to run, and an entry by communicator."""

    host: str
    pid: int
    step: int
    beat: float
    entries: dict[int, Entry]


class Board:
    """This rank's file; without a path, memory that only this process sees.

    Attributes:
        crosses_hosts: Whether `beat` is to have the file's content sent to where other hosts see it.

    >>> board = Board()
    >>> board.enter(0, 1, board.site("allreduce of float32"), 10)
    >>> str(board.position().entries[0])
    'allreduce of float32 of 10 elements (collective 1) at step 0'
    """

    def __init__(self, path: Path | None = None) -> None:
        self.crosses_hosts = False
        self._map: mmap.mmap | bytearray = bytearray(_SIZE)
        if path is not None:
            path.write_bytes(self._map)  # written, not only reserved: a disk that is full must say so now
            self._file = os.open(path, os.O_RDWR)
            weakref.finalize(self, os.close, self._file)
            self._map = mmap.mmap(self._file, _SIZE)
        self._words = memoryview(self._map)[:_NAMES].cast("q")
        self._sites: dict[str, int] = {}
        self._end = _NAMES
        self._words[_PID] = os.getpid()
        self.site(socket.gethostname())
        self.beat()

    @property
    def step(self) -> int:
        """The step that this rank is at."""
        return self._words[_STEP]

    @step.setter
    def step(self, number: int) -> None:
        self._words[_STEP] = number

    def site(self, name: str) -> int:
        """A number for a place where a collective is entered; -1 for all beyond what the file has room for."""
        number = self._sites.get(name)
        if number is None:
            line = name.encode() + b"\n"
            if self._end + len(line) > _SIZE:
                return -1
            number = self._sites[name] = len(self._sites)
            self._map[self._end : self._end + len(line)] = line
            self._end += len(line)
        return number

    def words(self, communicator: int) -> tuple[np.ndarray, np.ndarray]:
        """A communicator's integers, which a kernel may write as `enter` and `leave` do, and the one with the step.

        The last three are the kernel's own.
        """
        rows = np.frombuffer(self._words, np.int64).reshape(-1, _ROW)
        own = rows[1 + communicator] if communicator < MOST_COMMUNICATORS else np.zeros(_ROW, np.int64)
        return own, rows[0, _STEP : _STEP + 1]

    def enter(self, communicator: int, index: int, site: int, count: int) -> None:
        """Note that the `index`-th collective of a communicator is entered."""
        if communicator < MOST_COMMUNICATORS:
            words, at = self._words, _ROW * (1 + communicator)
            words[at + _AT_STEP], words[at + _SITE], words[at + _COUNT] = words[_STEP], site, count
            words[at + _INSIDE], words[at + _INDEX] = 1, index

    def leave(self, communicator: int) -> None:
        """Note that the communicator's last collective is over."""
        if communicator < MOST_COMMUNICATORS:
            self._words[_ROW * (1 + communicator) + _INSIDE] = 0

    def beat(self) -> None:
        """Note that this process runs."""
        self._words[_BEAT] = time.time_ns()
        if self.crosses_hosts:
            with contextlib.suppress(OSError):
                os.fdatasync(self._file)  # unlike `flush` of the map it lets other threads run meanwhile

    def position(self) -> Position:
        """What the others read."""
        return _parse(bytes(self._map))


def read(path: Path) -> Position | None:
    """The position in a rank's file; None if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return _parse(content) if len(content) == _SIZE else None


def end_processes(paths: Iterable[Path]) -> None:
    """Kill the ranks of this host that these files are of, if they still run: stopped ones might come back."""
    for path in paths:
        place = read(path)
        if place is not None and place.host == socket.gethostname():
            with contextlib.suppress(OSError):
                if os.fsencode(path) in Path(f"/proc/{place.pid}/maps").read_bytes():
                    os.kill(place.pid, signal.SIGKILL)


def _parse(content: bytes) -> Position:
    words = memoryview(content)[:_NAMES].cast("q")
    host, *sites = content[_NAMES:].rstrip(b"\0").decode(errors="replace").split("\n")[:-1] or [""]
    entries = {}
    for key in range(MOST_COMMUNICATORS):
        row = words[_ROW * (1 + key) : _ROW * (2 + key)]
        if row[_INDEX]:
            site = sites[row[_SITE] - 1] if 0 < row[_SITE] <= len(sites) else "a collective"
            entries[key] = Entry(row[_INDEX], bool(row[_INSIDE]), row[_AT_STEP], site, row[_COUNT])
    return Position(host, words[_PID], words[_STEP], words[_BEAT] / 1e9, entries)
