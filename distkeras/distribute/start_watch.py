"""Ranks that have come to the start of MPI are not left waiting for ones that never come.

MPI starts when all ranks have come to it, however long that takes, and nothing in a rank that waits there can run
meanwhile. So it is the launcher that watches: each rank leaves a note before it starts MPI.

    a rank of this host has ended without a note, and others wait     --> the end of the job, at once
    others wait for longer than the watchdog's limits                 --> who has not come; the end of the job
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from distkeras.distribute import environment
from distkeras.distribute.run_folder import HERE, RUN_DIRECTORY
from distkeras.distribute.watchdog import EXIT_CODE, listed, unusual_state


class Limits(NamedTuple):
    """What ranks are allowed.

    Attributes:
        ranks: How many there are.
        one_host: Whether they are all on this host.
        seconds: How long they may wait before it is told of, as for the watchdog; 0 is for ever.
        abort: And before the job is ended.
        has_others: Whether these are only some of the job's, counted on their host.
        seconds_to_appear: How long one that was never seen may be about to start.
    """

    ranks: int
    one_host: bool = False
    seconds: float = 0.0
    abort: float = 0.0
    has_others: bool = False
    seconds_to_appear: float = 0.0


class StartWatch:
    """Looks, from time to time, whether ranks wait for others.

    Args:
        limits: What is watched for.
        tell: Prints a line.
    """

    def __init__(self, limits: Limits, tell: Callable[[str], None]) -> None:
        self._limits = limits
        self._tell = tell
        self._since: float | None = None
        self._has_told = False
        self._seen: set[int] = set()

    def look(self, folder: Path) -> int | None:
        """The exit code of a job that is to be ended; None as long as it may go on.

        Args:
            folder: Where the ranks' notes are.
        """
        if any((folder / note).exists() for note in ("started", "finished", "failed")):
            return None
        # Before the notes: who leaves one and ends between the two must not count as one that never came.
        processes = processes_of(folder) if self._limits.one_host else {}
        here = {rank for rank in range(self._limits.ranks) if (folder / f"{HERE}{rank}").exists()}
        return self.judge(here, processes, self._limits.one_host)

    def judge(self, here: set[int], processes: dict[int, int], in_sight: bool) -> int | None:
        """As `look`.

        Args:
            here: The ranks that have come to the start of MPI.
            processes: Those that can be seen to run, with their process numbers.
            in_sight: Whether one that cannot be seen has ended.
        """
        self._seen.update(processes)
        if not here:
            return None
        if self._since is None:
            self._since = time.monotonic()
        missing = [rank for rank in range(self._limits.ranks) if rank not in here]
        is_late = time.monotonic() - self._since >= self._limits.seconds_to_appear
        if ended := [rank for rank in missing if rank not in processes and (is_late or rank in self._seen)]:
            if in_sight and here <= processes.keys():  # else they cannot be seen from here
                self._tell(
                    f"{listed(ended)} ended before using the other ranks for the first time, and {listed(sorted(here))}"
                    " would wait for ever: all ranks must run the whole script. Look for sys.exit or os._exit"
                )
                return 1
        return self._too_late(missing, processes)

    def _too_late(self, missing: list[int], processes: dict[int, int]) -> int | None:
        waited = time.monotonic() - self._since
        if self._limits.seconds and waited >= self._limits.seconds and not self._has_told:
            self._has_told = True
            reason = self._reason(missing, processes)
            self._tell(f"watchdog: ranks have waited {waited:.0f} s for MPI to start. {reason}")
        if self._limits.seconds and self._limits.abort and waited >= self._limits.abort:
            self._tell(
                f"watchdog: the job is ended, for MPI did not start within {waited:.0f} s. "
                f"{self._reason(missing, processes)}. If ranks may well be apart for so long, allow it: distkeras run "
                "--watchdog-abort SECONDS, 0 for ever"
            )
            return EXIT_CODE
        return None

    def _reason(self, missing: list[int], processes: dict[int, int]) -> str:
        if not missing:
            here = "of this host have come; others have not, or" if self._limits.has_others else "have come, but"
            return (
                f"All {here} they do not reach each other: name the network that the hosts share, --mpirun-args "
                "'--mca btl_tcp_if_include eth0'"
            )
        running = {rank: pid for rank, pid in processes.items() if rank in missing}
        states = [f"rank {rank} is process {pid}{unusual_state(pid)}" for rank, pid in running.items()]
        return "; ".join([f"{listed(missing)} did not come to it", *states])


def processes_of(folder: Path) -> dict[int, int]:
    """The processes of this host, by rank, that were started with a run folder."""
    found: dict[int, int] = {}
    for pid, variables in running():
        if variables.get(RUN_DIRECTORY) == str(folder):
            launch = environment.detect(variables)
            if launch.size > 1:
                found.setdefault(launch.rank, pid)
    return found


def running() -> Iterator[tuple[int, dict[str, str]]]:
    """The numbers of this host's processes, with the environments that they were started with."""
    for entry in os.scandir("/proc") if os.path.isdir("/proc") else ():
        if entry.name.isdigit():
            try:
                variables = variables_of(int(entry.name))
            except OSError:
                continue
            yield int(entry.name), variables


def variables_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with; OSError if it has ended, or is another user's."""
    lines = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    return dict(line.partition("=")[::2] for line in lines if "=" in line)
