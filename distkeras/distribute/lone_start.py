"""The same watch over the start of MPI as `distkeras run` keeps, where a bare mpirun or srun has started the ranks.

    first rank of a host that comes to the start of MPI --- starts ---> a process that looks once a second:
                                                                        who has come, who has ended, who does what
    MPI has started --- ends it

A rank that waits there cannot watch by itself, for MPI lets no thread of Python run meanwhile. Nothing is written:
ranks of a job are known by what their launcher calls it, and those that have come by the MPI library in their memory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from distkeras._settings import Settings
from distkeras.distribute import environment
from distkeras.distribute.environment import Launch
from distkeras.distribute.start_watch import Limits, StartWatch, running, variables_of

_SECONDS_TO_START = 3.0  # in which nobody is looked for: launchers start a host's ranks one after the other
_TICK = 1.0
# The parents of a host's ranks. If a shell or a container stands between, one that is not seen may run all the same.
_SLURM = "slurmstepd"
_LAUNCHERS = ("mpirun", "mpiexec", "prterun", "prted", "hydra_pmi_proxy", _SLURM)
_SECONDS_OF_PROLOGUE = 60.0  # which a site may have each task of Slurm run before it is a rank


class _Rank(NamedTuple):
    """A process of this job and host: its number, and whether it has come to the start of MPI."""

    pid: int
    has_come: bool


@contextlib.contextmanager
def watched(launch: Launch, settings: Settings) -> Iterator[None]:
    """Have the ranks of this host watched while the block starts MPI, unless another of them has seen to it."""
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(f"\0distkeras-start-{'-'.join(_job(os.environ, os.getppid()))}")  # gone with its last user
        except OSError:  # taken; or a system that knows no such names
            yield
            return
        has_others = launch.size > launch.local_size
        limits = (launch.local_size, True, settings.watchdog_seconds, settings.watchdog_abort, has_others)
        code = (
            f"import time; time.sleep({_SECONDS_TO_START}); import sys; sys.path[:] = {sys.path!r}; "
            f"from distkeras.distribute.lone_start import main; main({os.getpid()}, {limits})"
        )
        variables = {**environment.without_launcher(), "DISTKERAS_LAUNCHER": "none"}
        watch = subprocess.Popen([sys.executable, "-I", "-S", "-c", code], env=variables, stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            watch.kill()
            watch.wait()


def main(parent: int, limits: tuple[int, bool, float, float, bool]) -> None:
    """Watch as long as a rank waits, and end those that wait if they would do so for ever.

    Args:
        parent: The rank's process.
        limits: What `Limits` is made of, for the ranks of this host.
    """
    environment.end_with_parent(signal.SIGKILL)
    try:
        variables, launcher = variables_of(parent), _parent_of(parent)
        name = Path(f"/proc/{launcher}/comm").read_text().strip()
    except OSError:
        return
    watch = StartWatch(Limits(*limits, seconds_to_appear=_SECONDS_OF_PROLOGUE * (name == _SLURM)), _say)
    while os.getppid() == parent:
        ranks = _ranks(_job(variables, launcher), launcher)
        come = {number for number, rank in ranks.items() if rank.has_come}
        if watch.judge(come, {number: rank.pid for number, rank in ranks.items()}, name in _LAUNCHERS) is not None:
            for number in come:
                os.kill(ranks[number].pid, signal.SIGKILL)  # MPI lets no handler of Python run
            return
        time.sleep(_TICK)


def _say(text: str) -> None:
    print(f"distkeras: {socket.gethostname()}: {text}", file=sys.stderr, flush=True)


def _job(variables: dict[str, str], launcher: int) -> tuple[str, ...]:
    """What the ranks of a job on this host have in common: what their launcher calls it, or else the launcher."""
    name = variables.get("PMIX_NAMESPACE")
    return (name,) if name else (str(launcher), variables.get("SLURM_STEP_ID", ""))


def _ranks(job: tuple[str, ...], launcher: int) -> dict[int, _Rank]:
    """The ranks of a job on this host by their number here."""
    found: dict[int, _Rank] = {}
    for pid, variables in running():
        with contextlib.suppress(OSError):  # it has ended
            launch = environment.detect(variables)
            if launch.size > 1 and _job(variables, _parent_of(pid)) == job:
                has_come = b"libmpi" in Path(f"/proc/{pid}/maps").read_bytes()
                if launch.local_rank not in found or has_come:  # a shell may stand before the rank
                    found[launch.local_rank] = _Rank(pid, has_come)
    return found


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
