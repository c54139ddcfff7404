"""No rank is left waiting for one that failed or went home.

       a rank raises               a rank leaves the script            all leave
            |                               |                             |
    excepthook (sys, threading)      atexit: Goodbye                atexit: Goodbye
    prints "[rank r host] ..."       "left after k calls"                 |
            |                               v                             v
       Comm.Abort(1)              rank 0 ---------> everyone       rank 0 has heard all:
                                       a thread of each rank       END to everyone, then
                                       that waits in call > k      MPI_Finalize
                                       prints and Comm.Abort(1)

MPI does neither by itself: after an exception or `sys.exit` on one rank the others wait in their collective for ever.
Exit is not a matter of time-outs here. A rank may work on alone for an hour after the others have finished, to draw its
plots; what ends the job is a collective that can never be answered, which the counts in `Journal` tell exactly.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Set
from types import TracebackType
from typing import Any

from distkeras._settings import Settings
from distkeras.distribute import environment
from distkeras.distribute.journal import Journal
from distkeras.distribute.run_folder import RunFolder, leave_note
from distkeras.distribute.watchdog import Watchdog

LEFT, END = 1, 2
TICK = 0.2
_REMINDER = 60.0
# mpirun hears of an abort on another channel than stderr, and would report it, or even end, before it reads the cause.
_TIME_TO_BE_READ = 0.1


def print_prefixed(rank: int, text: str) -> None:
    """Write `text` to stderr with `[rank r host]` before each line, flushed, in one piece."""
    prefix = f"[rank {rank} {socket.gethostname()}] "
    sys.stdout.flush()
    sys.stderr.write("".join(prefix + line + "\n" for line in text.rstrip().splitlines()))
    sys.stderr.flush()


def print_cause(rank: int, text: str) -> None:
    """`print_prefixed`, and give the launcher time to pass it on before the job is aborted."""
    print_prefixed(rank, text)
    time.sleep(_TIME_TO_BE_READ)


def mark_tracebacks() -> None:
    """Have exceptions that nobody catches say which rank they are of, before a `Guard` does so."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _tell_of_exception


def _tell_of_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    print_cause(environment.detect().rank, "".join(traceback.format_exception(kind, error, trace)))
    leave_note("failed", "1\n")  # mpirun may hang when a rank ends while another connects to it


class Guard:
    """Makes the end of this rank the end of the job, unless all ranks come to their end together.

    Args:
        comm: An mpi4py communicator of all ranks that nothing else uses.
        journal: The process's collectives.
        folder: Where the ranks' files are.
    """

    def __init__(self, comm: Any, journal: Journal, folder: RunFolder) -> None:
        self._comm = comm
        self._journal = journal
        self._folder = folder
        self._watchdog: Watchdog | None = None
        self._process = os.getpid()
        self._left: set[int] = set()
        self._calls: dict[int, int] | None = None
        self._ended = False
        self._requests: list[Any] = []
        self._leaving = threading.Event()
        self._watch = threading.Thread(target=self._watch_waiting, name="distkeras-abort", daemon=True)

    def install(self) -> None:
        """Set the hooks and start the watching thread."""
        self._previous_hook, self._previous_thread_hook = sys.excepthook, threading.excepthook
        if self._previous_hook is _tell_of_exception:
            self._previous_hook = sys.__excepthook__
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread_exception
        atexit.register(self.leave)
        self._note("started")
        self._watch.start()

    def watch(self, settings: Settings) -> None:
        """Start the watchdog, if the settings want one."""
        if settings.watchdog_seconds:
            self._watchdog = Watchdog(
                self._journal,
                self._folder.path,
                (self._comm.rank, self._comm.size),
                (settings.watchdog_seconds, settings.watchdog_abort),
                tell=lambda text: print_prefixed(self._comm.rank, text),
                end=self._fail,
            )
            self._watchdog.start()

    # Failure of this rank -------------------------------------------------------------------------------------------

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if os.getpid() != self._process:
            return self._previous_hook(kind, error, trace)
        if self._previous_hook is not sys.__excepthook__:
            self._previous_hook(kind, error, trace)
        self._fail("".join(traceback.format_exception(kind, error, trace)))

    def _on_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        # Python ends a thread that exits without a word; with a code it has failed, and others may wait for it.
        is_end = args.exc_type is SystemExit and not getattr(args.exc_value, "code", None)
        if os.getpid() != self._process or is_end:
            return self._previous_thread_hook(args)
        name = args.thread.name if args.thread else "unknown"
        text = "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))
        self._fail(f"exception in thread {name}\n{text}")

    def _fail(self, text: str, code: int = 1) -> None:
        print_cause(self._comm.rank, text)
        self._note_failure(code)
        self._folder.remove()
        self._end(code)

    def _note_failure(self, code: int) -> None:
        with contextlib.suppress(OSError):
            self._folder.note("failed", f"{code}\n")

    def _end(self, code: int) -> None:
        self._comm.Abort(code)

    # Departure ------------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Tell the others that this rank is done, wait until all are and end MPI; `install` has it called at exit."""
        from mpi4py import MPI

        if os.getpid() != self._process or MPI.Is_finalized():
            return
        self._leaving.set()
        if self._watchdog:
            self._watchdog.stop()
        if self._watch.is_alive():
            self._watch.join()
        self._merge({self._comm.rank}, self._journal.entered)
        self._depart()

    def _depart(self) -> None:
        """Leave when all have come to their end."""
        from mpi4py import MPI

        if self._comm.rank == 0:
            self._wait_for_all()
            self._send_to_others(END)
            self._note("finished")
            self._folder.remove()
        else:
            self._send(0, LEFT)
            self._poll_until(lambda: self._ended)
        MPI.Request.Waitall(self._requests)
        MPI.Finalize()

    def _wait_for_all(self) -> None:
        """Rank 0: collect goodbyes, passing each news on to the ranks that are still at work."""
        told: set[int] = set()
        reminder = time.monotonic() + _REMINDER
        while len(self._left) < self._comm.size:
            if told != self._left:
                told = set(self._left)
                self._send_to_others(LEFT, but=told)
            if time.monotonic() > reminder:
                reminder = float("inf")
                missing = sorted(set(range(self._comm.size)) - self._left)
                print_prefixed(0, f"finished {_REMINDER:.0f} s ago; waiting for ranks {missing}")
            self._poll_until(lambda: len(self._left) == self._comm.size, limit=TICK)

    def _poll_until(self, done: Callable[[], bool], limit: float = float("inf")) -> None:
        # Sleeping polls: the ranks still at work need the cores.
        pause, deadline = 0.0002, time.monotonic() + limit
        while not done() and time.monotonic() < deadline:
            if not self._receive():
                time.sleep(pause)
                pause = min(2 * pause, 0.02)

    # Messages -------------------------------------------------------------------------------------------------------

    def _send(self, rank: int, tag: int) -> None:
        self._requests.append(self._comm.isend((self._left, self._calls), rank, tag))

    def _send_to_others(self, tag: int, but: Set[int] = frozenset({0})) -> None:
        for rank in range(self._comm.size):
            if rank not in but:
                self._send(rank, tag)

    def _receive(self) -> bool:
        """Take in one message if there is one."""
        from mpi4py import MPI

        status = MPI.Status()
        if not self._comm.iprobe(status=status):
            return False
        ranks, calls = self._comm.recv(source=status.source, tag=status.tag)
        self._merge(ranks, calls)
        self._ended = self._ended or status.tag == END
        return True

    def _merge(self, ranks: set[int], calls: dict[int, int]) -> None:
        """Keep, for each communicator, how many collectives all of the ranks that left took part in."""
        known = calls if self._calls is None else self._calls
        self._calls = {key: min(known.get(key, 0), calls.get(key, 0)) for key in known.keys() | calls.keys()}
        self._left |= ranks

    def _watch_waiting(self) -> None:
        """Thread: end the job when this rank waits for one that has left. Asks MPI nothing while all goes well."""
        seen: list[Any] = []
        while not self._leaving.wait(TICK):
            self._look_around()
            waiting = self._journal.waiting()
            if waiting and waiting == seen:
                while self._receive():
                    pass
                self._check_answerable()
            seen = waiting

    def _look_around(self) -> None:
        """What else is to be looked at from time to time."""

    def _check_answerable(self) -> None:
        call = self._journal.unanswerable(self._calls) if self._calls is not None else None
        if call is None:
            return
        left = ", ".join(map(str, sorted(self._left)))
        self._fail(
            f"rank {self._comm.rank} waits in {call.name} (collective {call.index}), which will never complete: "
            f"rank {left} left the program after {self._calls.get(call.communicator, 0)} collectives. All ranks must "
            "reach the end of the script together: look for sys.exit or for work done on some ranks only"
        )

    def _note(self, event: str) -> None:
        if self._comm.rank == 0:
            self._folder.note(event, f"{self._comm.size}\n")
