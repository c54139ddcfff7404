"""What the launcher says: how many ranks there are and which of them this process is.

Only environment variables are read. mpi4py.MPI is never imported here: importing it starts the MPI library, which a
process that runs alone must not pay for, and which data workers must never do.

>>> detect({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1"})
Launch(launcher='openmpi', size=4, rank=1, local_size=4, local_rank=1)
>>> detect({}).size
1
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from distkeras import _settings

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
FAULT_TOLERANCE = {
    # Its collectives for several ranks on several nodes give wrong sums after a loss.
    "OMPI_MCA_coll": "^han",
    # Who finds a connection broken tells the others: mpirun, which tells of ranks that have died, may not know of it.
    "OMPI_MCA_mpi_ft_propagator_with_rbcast": "1",
    # mpirun itself would end the job eight minutes after it has lost sight of a host.
    "PRTE_MCA_oob_tcp_keepalive_time": "0",
}
"""What Open MPI needs to be told before it starts, if ranks are to go on without a lost one."""

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_LAUNCHER_PREFIXES = ("OMPI_COMM_WORLD_", "PMIX_", "PMI_", "MPI_LOCAL", "PRTE_", "HYDRA_")


@dataclass(frozen=True)
class Launch:
    """This process as its launcher counts it.

    Attributes:
        launcher: `"openmpi"`, `"pmi"` (MPICH, Intel MPI, `srun --mpi=pmi2`), `"pmix"` (`srun --mpi=pmix`),
            `"srun"` (tasks of one Slurm step that were given no MPI start-up) or `"none"`.
        size: Number of ranks in the job.
        rank: This process, from 0 to `size - 1`.
        local_size: Number of ranks on this node.
        local_rank: This process among those of its node.
    """

    launcher: str
    size: int
    rank: int
    local_size: int
    local_rank: int


class _Names(NamedTuple):
    """The variables one launcher sets; the last two are missing with some versions."""

    launcher: str
    present: str
    size: tuple[str, ...]
    rank: tuple[str, ...]
    local_size: tuple[str, ...]
    local_rank: tuple[str, ...]


# Order matters: mpirun inside a Slurm job leaves the SLURM_* variables of the batch step in place.
_LAUNCHERS = (
    _Names(
        "openmpi",
        "OMPI_COMM_WORLD_SIZE",
        ("OMPI_COMM_WORLD_SIZE",),
        ("OMPI_COMM_WORLD_RANK",),
        ("OMPI_COMM_WORLD_LOCAL_SIZE",),
        ("OMPI_COMM_WORLD_LOCAL_RANK",),
    ),
    _Names(
        "pmi",
        "PMI_SIZE",
        ("PMI_SIZE",),
        ("PMI_RANK",),
        ("MPI_LOCALNRANKS", "SLURM_STEP_TASKS_PER_NODE"),
        ("MPI_LOCALRANKID", "SLURM_LOCALID"),
    ),
    _Names(
        "pmix",
        "PMIX_RANK",
        ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
        ("PMIX_RANK",),
        ("SLURM_STEP_TASKS_PER_NODE",),
        ("SLURM_LOCALID",),
    ),
    _Names(
        "srun",
        "SLURM_STEP_NUM_TASKS",
        ("SLURM_STEP_NUM_TASKS",),
        ("SLURM_PROCID",),
        ("SLURM_STEP_TASKS_PER_NODE",),
        ("SLURM_LOCALID",),
    ),
)


def detect(variables: Mapping[str, str] | None = None) -> Launch:
    """Read the launcher's variables.

    Args:
        variables: Where to look; `os.environ` by default. `DISTKERAS_LAUNCHER=none` says that this process runs alone
            whatever launcher started it, which is how one runs several independent trainings with one srun.

    Returns:
        The `Launch`; launcher `"none"` of size 1 if no launcher left a trace.

    Raises:
        ValueError: If DISTKERAS_LAUNCHER is neither `auto` nor `none`.
    """
    variables = os.environ if variables is None else variables
    choice = variables.get("DISTKERAS_LAUNCHER", "auto")
    if choice not in ("auto", "none"):
        raise ValueError(f"DISTKERAS_LAUNCHER must be auto or none, received {choice!r}")
    if choice == "none":
        return Launch("none", 1, 0, 1, 0)
    for names in _LAUNCHERS:
        size = _first_integer(variables, names.size) if names.present in variables else None
        if size is not None:
            return _launch(names, variables, size)
    return Launch("none", 1, 0, 1, 0)


def _launch(names: _Names, variables: Mapping[str, str], size: int) -> Launch:
    rank = _first_integer(variables, names.rank) or 0
    local_size = _first_integer(variables, names.local_size)
    local_rank = _first_integer(variables, names.local_rank)
    if local_size is None:
        local_size = size if local_rank is None else max(local_rank + 1, 1)
    return Launch(names.launcher, size, rank, local_size, rank if local_rank is None else local_rank)


def _first_integer(variables: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    for name in names:
        # Slurm writes counts per node as "4(x2),3".
        digits = variables.get(name, "").split("(")[0].split(",")[0]
        if digits.isdigit():
            return int(digits)
    return None


def without_launcher(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """A copy of the environment for a child process that must not join the job as a rank.

    A child that inherits these variables and imports mpi4py.MPI hangs, or joins as the very rank that started it.
    """
    variables = os.environ if variables is None else variables
    return {name: value for name, value in variables.items() if not name.startswith(_LAUNCHER_PREFIXES)}


def end_with_parent(number: int) -> None:
    """Have the system send this process a signal when the thread that started it ends; for nothing but Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, number)


def available_cores() -> int:
    """Cores this process may run on: the affinity mask, not the number the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_per_rank(launch: Launch) -> int:
    """How many threads this rank's libraries should use.

    The setting `threads`, else OMP_NUM_THREADS, else the cores of the affinity mask shared out among the node's ranks.
    Under an mpirun that binds ranks to cores the mask is already the rank's share: set one of the two, or start with
    `distkeras run`, which does not bind.
    """
    if _settings.current().threads:
        return _settings.current().threads
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(given) if given.isdigit() and int(given) > 0 else max(1, available_cores() // launch.local_size)


def limit_threads(launch: Launch) -> int:
    """Keep the ranks of a node from starting as many threads as the node has cores, each.

    Libraries that are not loaded yet read their variables when they are; for those that are, the pools are resized. A
    variable the user has set is left as it is. Call it before NumPy is imported where possible.

    Returns:
        Threads per rank.
    """
    threads = threads_per_rank(launch)
    loaded = "numpy" in sys.modules
    given = any(name in os.environ for name in THREAD_VARIABLES if name != "NUMBA_NUM_THREADS")
    for name in THREAD_VARIABLES:
        # Numba refuses a change of its variable once its threads run.
        if name != "NUMBA_NUM_THREADS" or not _numba_threads_run():
            os.environ.setdefault(name, str(threads))
    if loaded and not given:
        import threadpoolctl

        threadpoolctl.threadpool_limits(threads)
    return threads


def use_one_thread() -> None:
    """Let libraries compute with one thread in this process: how many there are can decide the order of additions."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(1)


def _numba_threads_run() -> bool:
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    return bool(parallel and getattr(parallel, "_is_initialized", False))


def prepare() -> None:
    """What `import distkeras` does first, before NumPy is loaded.

    Settings of the YAML file become variables, so that data workers and compiled kernels see them. In a job of several
    ranks threads are limited, and a rank that ends early will tell the others.
    """
    for name, value in _settings.current().variables().items():
        os.environ.setdefault(name, value)
    launch = detect()
    if launch.size > 1:
        limit_threads(launch)
        from distkeras.distribute import mpi

        mpi.meet_at_exit()
