"""How the ranks that are left after a loss agree on who they are, and on what was done.

Of Open MPI's collectives some return without an error, in ranks that waited for one that has died, with what was in
memory before: seen with 5.0.11 in allgatherv and reduce_scatter, and with the component "han" in any. A barrier after
them does not: it is passed only by ranks that have all come to it, and so have all done what was before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras._errors import RankLostError
from distkeras.distribute.mpi import find_topology


def tells_of_loss(error: Exception) -> bool:
    """Whether an error of MPI means that a rank was lost, here or as another rank has found."""
    from mpi4py import MPI

    if not isinstance(error, MPI.Exception):
        return False
    kinds = MPI.ERR_PROC_FAILED, MPI.ERR_PROC_FAILED_PENDING, MPI.ERR_REVOKED, MPI.ERR_OTHER
    return error.Get_error_class() in kinds


def failed_ranks(comm: Any) -> set[int]:
    """The ranks of an mpi4py communicator that MPI knows to be lost."""
    failed = comm.Get_failed()
    return set(failed.Translate_ranks(range(failed.size), comm.Get_group())) if failed.size else set()


def gather_objects(comm: Any, value: Any) -> list[Any]:
    """The values of all ranks of an mpi4py communicator, of which none is read before all are known to have come."""
    from mpi4py import MPI

    octets = np.frombuffer(MPI.pickle.dumps(value), np.uint8)
    counts = np.zeros(comm.size, np.int64)
    counts[comm.rank] = octets.size
    comm.Allreduce(MPI.IN_PLACE, counts)
    everyone = np.empty(counts.sum(), np.uint8)
    comm.Allgatherv(octets, [everyone, counts.tolist()])
    comm.Barrier()
    return [MPI.pickle.loads(part) for part in np.split(everyone, np.cumsum(counts)[:-1])]


class Report(NamedTuple):
    """What a survivor says of itself.

    Attributes:
        rank: Its number when the job was started.
        steps: How many whole steps it has completed.
        calls: How many collectives.
        in_step: Whether it is in a step.
        sides: How many duplicates of the communicator it has.
        next_key: The journal's.
    """

    rank: int
    steps: int
    calls: int
    in_step: bool
    sides: int
    next_key: int


class Completed(NamedTuple):
    """The last collective that was completed: what it gave, if that was kept, and in which generation."""

    result: Any
    generation: int
    is_kept: bool = True


class Regrouped(NamedTuple):
    """The ranks that are left.

    Attributes:
        comm: Their communicator.
        sides: Its duplicates.
        topology: As for `MpiCommunicator`.
        reports: What each says.
        completed: What the call that failed gave to those that are ahead, for one that is not.
    """

    comm: Any
    sides: list[Any]
    topology: tuple[int, int, int]
    reports: list[Report]
    completed: Completed | None


def regroup(comm: Any, mine: Report, last: Completed, number: int, nodes: int) -> Regrouped:
    """Agree, again should another rank be lost meanwhile; all ranks that are left must call.

    Args:
        comm: A communicator that is revoked.
        mine: What this rank has to say.
        last: The last collective that it has completed.
        number: How many ranks there were.
        nodes: On how many nodes.

    Raises:
        RankLostError: They cannot go on.
    """
    while True:
        try:
            comm = comm.Shrink()
            reports = gather_objects(comm, mine)
            _check_majority(len(reports), number, nodes)
            completed = _taken_over(comm, reports, last)
            topology = find_topology(comm)
            sides = [comm.Dup() for _ in range(max(report.sides for report in reports))]
            return Regrouped(comm, sides, topology, reports, completed)
        except Exception as error:
            if not tells_of_loss(error):
                raise
            comm.Revoke()


def _check_majority(left: int, number: int, nodes: int) -> None:
    """Two halves of a job that no longer see each other must not both go on; on one node there is no such thing."""
    if nodes > 1 and 2 * left <= number:
        raise RankLostError(
            f"only {left} of {number} ranks are left, which is no majority: the others may have gone on without these. "
            "distkeras run --elastic starts the program again from its last backup"
        )


def _taken_over(comm: Any, reports: Sequence[Report], last: Completed) -> Completed | None:
    calls, steps = max(report.calls for report in reports), max(report.steps for report in reports)
    waiting = [report.calls < calls and not (report.in_step and report.steps == steps) for report in reports]
    if not any(waiting):
        return None
    source = [report.calls for report in reports].index(calls)
    completed: Completed = comm.bcast(last if comm.rank == source else None, root=source)
    comm.Barrier()
    if not waiting[comm.rank]:
        return None
    if calls != reports[comm.rank].calls + 1 or not completed.is_kept:
        raise RankLostError("a rank was lost in a call whose result nobody has kept; start from the last backup")
    return completed
