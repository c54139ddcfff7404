"""Which ranks are silent: stopped, ended without a signal, or cut off. All of them are found in one round.

    rank 0 --> rank 1 --> rank 2 --> ... --> rank 0     a beat, twenty times within the limit, to the next that is left
                          heard nothing of 1 for a fifth of the limit: asks all ranks, and they answer
                          heard nothing of 1 for the limit: 1 is lost, with all that have not answered; tells the others

A rank listens to one other and is listened to by one, however many there are. The thread that beats lives as long as
its process: a rank that computes for an hour, or compiles, is not silent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from distkeras import _settings
from distkeras.distribute import pmix
from distkeras.distribute.abort import print_prefixed
from distkeras.distribute.recovery import failed_ranks, tells_of_loss

_BEATS = 20  # within the limit
_ASKED_AFTER = 0.2  # of the limit
_TICK = 0.2
_TIME_TO_BE_NOTED = 2.0
_BEAT, _ASK, _LOST = range(3)


class Found(NamedTuple):
    """What follows from a look: the ranks to be asked for an answer, and those that are lost."""

    asked: list[int]
    lost: list[int]


class Silence:
    """What one rank has heard of the others.

    Time only passes while this process runs: who was stopped, or in a machine that slept, has not been listening.

    Args:
        rank: This rank.
        size: How many there are.
        limit: Seconds after which a rank that is not heard of is lost.

    >>> silence = Silence(0, 3, limit=10.0)
    >>> silence.next_rank, silence.previous_rank
    (1, 2)
    >>> for second in range(10):
    ...     silence.passes(1.0)
    ...     silence.hears(1)
    ...     found = silence.look()
    >>> found.lost
    [2]
    """

    def __init__(self, rank: int, size: int, limit: float) -> None:
        self._rank, self._size, self._limit = rank, size, limit
        self.left = set(range(size))
        self._now = self._since = 0.0
        self._heard = [0.0] * size
        self._asked: float | None = None

    @property
    def next_rank(self) -> int:
        """The rank that listens to this one; this one if it is alone."""
        return self._neighbour(1)

    @property
    def previous_rank(self) -> int:
        """The rank that this one listens to."""
        return self._neighbour(-1)

    def _neighbour(self, step: int) -> int:
        around = ((self._rank + step * k) % self._size for k in range(1, self._size + 1))
        return next(rank for rank in around if rank in self.left)

    def passes(self, seconds: float) -> None:
        """Let time pass: as seen by the clock, of which a process that was stopped must not count all."""
        self._now += min(seconds, self._limit / 10)

    def hears(self, rank: int) -> None:
        """Note a message of a rank."""
        self._heard[rank] = self._now

    def loses(self, ranks: Iterable[int]) -> None:
        """Go on without ranks."""
        previous = self.previous_rank
        self.left -= set(ranks)
        if self.previous_rank != previous:
            self._since, self._asked = self._now, None  # it may have to hear first whom it is to beat for

    def look(self) -> Found:
        """Whom to ask, and who is lost."""
        previous = self.previous_rank
        silent = self._now - max(self._heard[previous], self._since)
        if previous == self._rank or silent < _ASKED_AFTER * self._limit:
            self._asked = None
            return Found([], [])
        others = sorted(self.left - {self._rank})
        if self._asked is None:
            self._asked = self._now
            return Found(others, [])
        if silent < self._limit:
            return Found([], [])
        return Found([], [rank for rank in others if self._heard[rank] <= self._asked])


class SilenceWatch:
    """A thread that beats for this rank, and has MPI know of those that are silent.

    Args:
        comm: An mpi4py communicator of all ranks that nothing else uses.
        limit: Seconds, as for `Silence`.
        end: Called if MPI takes no notice of a loss, or if this rank is taken for lost; ends the process.
    """

    def __init__(self, comm: Any, limit: float, end: Callable[[], None]) -> None:
        self._comm = comm
        self._limit = limit
        self._silence = Silence(comm.rank, comm.size, limit)
        self._end = end
        self._sent: list[tuple[Any, np.ndarray]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="distkeras-silence", daemon=True)

    def start(self) -> None:
        """Begin to beat and to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        tick = min(_TICK, self._limit / _BEATS)
        then, beat_at = time.monotonic(), 0.0
        while not self._stopping.wait(tick):
            now = time.monotonic()
            self._silence.passes(now - then)
            then = now
            if now >= beat_at:
                beat_at = now + self._limit / _BEATS
                self._send([self._silence.next_rank], _BEAT)
            while self._receive():
                pass
            self._silence.loses(failed_ranks(self._comm))
            found = self._silence.look()
            self._send(found.asked, _ASK)
            if found.lost:
                self._tell(found.lost)

    def _tell(self, lost: list[int]) -> None:
        if _settings.says("warning"):
            names = f"rank{'s' * (len(lost) > 1)} {', '.join(map(str, lost))}"
            print_prefixed(self._comm.rank, f"distkeras: nothing was heard of {names} for {self._limit:g} s")
        self._send(sorted(self._silence.left), _LOST, lost)  # also to those: should they hear it, they end
        self._note(lost)

    def _note(self, lost: Iterable[int]) -> None:
        """Go on without ranks, and have MPI do so."""
        lost = [rank for rank in lost if rank in self._silence.left]
        if self._comm.rank in lost:
            print_prefixed(
                self._comm.rank,
                f"distkeras: the other ranks have heard nothing of this one for {self._limit:g} s and go on without it:"
                " it ends. If it was not stopped or cut off, but in a long call that lets no thread of Python run, let "
                "them wait longer: distkeras run --elastic-silence SECONDS",
            )
            self._end()
        self._silence.loses(lost)
        for rank in lost:
            pmix.note_failure(rank)
        deadline = time.monotonic() + _TIME_TO_BE_NOTED
        while not failed_ranks(self._comm).issuperset(lost):
            if time.monotonic() > deadline:
                print_prefixed(self._comm.rank, f"distkeras: MPI takes no notice of the loss of ranks {lost}")
                self._end()
            time.sleep(0.001)
            self._probe()

    # --- messages

    def _send(self, ranks: Iterable[int], tag: int, lost: Iterable[int] = ()) -> None:
        content = np.array(list(lost), np.int32)
        for rank in ranks:
            if rank != self._comm.rank:
                try:
                    self._sent.append((self._comm.Isend(content, rank, tag), content))
                except Exception as error:
                    if not tells_of_loss(error):
                        raise
        self._sent = [sent for sent in self._sent if not _is_over(sent[0])]

    def _probe(self) -> Any:
        """The status of a message that has come; None if there is none."""
        from mpi4py import MPI

        status = MPI.Status()
        try:
            return status if self._comm.Iprobe(status=status) else None
        except Exception as error:
            if not tells_of_loss(error):
                raise
        self._comm.Ack_failed()  # or every look for messages from anyone would fail
        return None

    def _receive(self) -> bool:
        """Take in one message if there is one."""
        from mpi4py import MPI

        status = self._probe()
        if status is None:
            return False
        source, tag = status.source, status.tag
        lost = np.empty(status.Get_count(MPI.INT32_T), np.int32)
        try:
            self._comm.Recv(lost, source, tag)
        except Exception as error:
            if not tells_of_loss(error):
                raise
            return False
        if source in self._silence.left:  # those that are lost may believe it of the others
            self._silence.hears(source)
            if tag == _ASK:
                self._send([source], _BEAT)
            self._note(lost.tolist())
        return True


def _is_over(request: Any) -> bool:
    try:
        return request.Test()
    except Exception as error:
        if not tells_of_loss(error):
            raise
        return True
