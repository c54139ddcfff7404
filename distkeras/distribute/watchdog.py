"""A wait that takes too long is told of: who is missing, where they are instead, and what every rank does.

    watchdog thread of each rank, every few seconds
        beat                                  "this process runs"
        has anyone asked?                     --> write this rank's stacks into the run folder
        in a collective, or for data that another rank reads:
        waiting for longer than `seconds`?    --> ask, once for all ranks; read all positions and stacks; report
        waiting for longer than `limit`?      --> end the job with exit code 124

Nothing here needs MPI, nor the help of the rank that is stuck: positions lie in files (see `board`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from distkeras.distribute import board, waiting
from distkeras.distribute.board import Position
from distkeras.distribute.journal import Call, Journal
from distkeras.distribute.waiting import DataWait

EXIT_CODE = 124
"""Of a job that the watchdog has ended: the one of `timeout`."""

_MOST_NAMED = 8


class Watchdog:
    """Watches the waits of one rank for others.

    Args:
        journal: The collectives, with the board that others read.
        folder: Where all ranks' files are.
        place: This rank, and how many there are.
        limits: Seconds that a wait may take before it is reported, and before the job is ended; 0 is for ever.
        tell: Prints a report.
        end: Prints the cause and ends the job with an exit code.
    """

    def __init__(
        self,
        journal: Journal,
        folder: Path,
        place: tuple[int, int],
        limits: tuple[float, float],
        tell: Callable[[str], None],
        end: Callable[[str, int], None],
    ) -> None:
        self._journal = journal
        self._folder = folder
        self._rank, self._size = place
        self._seconds, self._limit = limits
        self._tell = tell
        self._end = end
        self._tick = min(5.0, self._seconds / 8)
        self._seen: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="distkeras-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._tick):
            self._journal.board.beat()
            self._answer()
            for wait in self._waits():
                waited = time.monotonic() - wait.since
                if waited >= self._seconds:
                    self._ask(wait)
                if self._limit and waited >= self._limit:
                    self._end(self._last_words(wait), EXIT_CODE)

    def _waits(self) -> list[Call | DataWait]:
        return [*self._journal.waiting(), *waiting.data_waits()]

    # --- asking and answering

    def _ask(self, wait: Call | DataWait) -> None:
        """Report a wait, unless a rank has done so."""
        name = f"asked-{'data-' * isinstance(wait, DataWait)}{wait[0]}-{wait[1]}"
        if name in self._seen:
            return
        try:
            os.close(os.open(self._folder / name, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        except OSError:  # the folder cannot be written: each rank speaks for itself
            self._seen.add(name)
        self._answer()
        self._stopping.wait(2.5 * self._tick)
        # The answer may have come meanwhile.
        if wait in self._waits():
            self._tell(self.report(wait))

    def _answer(self) -> None:
        """Write down what this rank's threads do, if a rank asks for it."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                if name.startswith("asked-") and name not in self._seen:
                    self._seen.add(name)
                    place = self._folder / f"stacks-{self._rank}"
                    place.with_suffix(".new").write_text(stacks())
                    place.with_suffix(".new").replace(place)

    # --- words

    def report(self, wait: Call | DataWait) -> str:
        """Who is missing in a call, or keeps others waiting for data; where they are, and the stacks of all ranks."""
        lines = self._of_data(wait) if isinstance(wait, DataWait) else self._of_call(wait)
        return "\n".join([*lines, *self._all_stacks()])

    def _of_data(self, wait: DataWait) -> list[str]:
        place = board.read(self._folder / f"position-{wait.rank}")
        return [
            f"watchdog: rank {self._rank} has waited {time.monotonic() - wait.since:.0f} s for data",
            f"  rank {wait.rank} reads it for this node: {self._whereabouts(place, None)}",
            "A function that reads, or a worker process, takes long or waits. What the ranks do:",
        ]

    def _of_call(self, call: Call) -> list[str]:
        positions = {rank: board.read(self._folder / f"position-{rank}") for rank in self._ranks()}
        mine = self._journal.board.position().entries[call.communicator]
        missing = {rank: place for rank, place in positions.items() if not has_entered(place, call)}
        lines = [f"watchdog: rank {self._rank} has waited {time.monotonic() - call.since:.0f} s in {mine}"]
        for rank in list(missing)[:_MOST_NAMED]:
            lines.append(f"  rank {rank} has not come: {self._whereabouts(missing[rank], call)}")
        if len(missing) > _MOST_NAMED:
            lines.append(f"  and {len(missing) - _MOST_NAMED} more ranks have not come: {list(missing)[_MOST_NAMED:]}")
        by_site: dict[str, list[int]] = {}
        for rank, place in positions.items():
            entry = place.entries.get(call.communicator) if place else None
            if entry and entry.index == call.index:
                by_site.setdefault(entry.site, []).append(rank)
        if len(by_site) > 1:
            calls = [f"{site} on {listed(ranks)}" for site, ranks in by_site.items()]
            lines.append(f"  the ranks do not make the same call: it is {' and '.join(calls)}")
        return [*lines, "All ranks must make the same calls in the same order. What they do:"]

    def _whereabouts(self, place: Position | None, call: Call | None) -> str:
        if place is None:
            return f"nothing is known of it in {self._folder}, which all hosts must share"
        parts = [f"process {place.pid} on {place.host} is at step {place.step}"]
        inside = [entry for key, entry in place.entries.items() if entry.inside]
        last = place.entries.get(call.communicator) if call else None
        parts += [f"waits in {entry}" for entry in inside]
        if last and not last.inside:
            parts.append(f"its last collective was {last}")
        silent = time.time() - place.beat
        if silent > max(4 * self._tick, 1.0):
            parts.append(f"it has not run for {silent:.0f} s")
        return ", ".join(parts) + (unusual_state(place.pid) if place.host == socket.gethostname() else "")

    def _ranks(self) -> list[int]:
        """The ranks but for those that were lost, and that others go on without."""
        return [rank for rank in range(self._size) if not (self._folder / f"gone-{rank}").exists()]

    def _all_stacks(self) -> list[str]:
        """Each stack once, with the ranks that have it."""
        by_text: dict[str, list[int]] = {}
        for rank in self._ranks():
            try:
                text = (self._folder / f"stacks-{rank}").read_text()
            except OSError:
                text = "  (no answer: it is stopped, or in a call that does not let other threads run)"
            by_text.setdefault(text, []).append(rank)
        return [f"{listed(ranks)}:\n{text}" for text, ranks in by_text.items()]

    def _last_words(self, wait: Call | DataWait) -> str:
        seconds = time.monotonic() - wait.since
        what = (
            f"for data from rank {wait.rank}"
            if isinstance(wait, DataWait)
            else f"in {wait.name} (collective {wait.index})"
        )
        return (
            f"watchdog: the job is ended, for rank {self._rank} has waited {seconds:.0f} s {what}. If ranks may well "
            "be apart for so long, allow it: distkeras run --watchdog-abort SECONDS, 0 for ever"
        )


def has_entered(place: Position | None, call: Call) -> bool:
    """Whether a rank has come to a collective."""
    entry = place.entries.get(call.communicator) if place else None
    return entry is not None and entry.index >= call.index


def listed(ranks: Sequence[int]) -> str:
    """Ranks in words.

    >>> listed([2]), listed([0, 3])
    ('rank 2', 'ranks 0, 3')
    """
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"


def stacks() -> str:
    """What each thread of this process does now, but for those that watch."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines = []
    for ident, frame in sys._current_frames().items():
        name = names.get(ident, "unknown")
        if name not in ("distkeras-watchdog", "distkeras-abort", "distkeras-silence"):
            lines += [f"  thread {name}:", *("".join(traceback.format_stack(frame)).splitlines())]
    return "\n".join(lines)


def unusual_state(pid: int) -> str:
    """What the system says of a process of this host, after a comma; nothing if it runs or sleeps as usual."""
    if not os.path.exists("/proc/self/stat"):
        return ""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ", it has ended"
    unusual = {"T": "it is stopped (SIGSTOP)", "t": "it is held by a debugger", "D": "it waits for a disk"}
    return f", {unusual[state]}" if state in unusual else ""
