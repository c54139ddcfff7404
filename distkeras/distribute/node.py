"""The ranks of a node: memory that they share, and meetings without messages.

first rank of the node      memfd, or a file of /dev/shm that is unlinked at once
      | process and descriptor, or path: one message
each other rank             opens it, maps it; the system frees it with its last user, however that ends
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from distkeras._errors import DistributionError
from distkeras.core.host import Attempt
from distkeras.distribute import environment, waiting
from distkeras.distribute.communicator import Communicator
from distkeras.kernels.meeting import WAITED, come, meet

_PAGE = 4096
_LINE = 64
# Between two arrays, and never a multiple of a page: loops over several arrays would otherwise read and write
# addresses that differ in their high bits alone, which caches and processors take for one.
_GAP = 1024 + 3 * _LINE
_FOLDER = "/dev/shm"
# A look takes some 30 ns, or the time that others are given the core for.
_SPINS, _YIELDS = 2000, 2000
_LOCK = "hhqqi4x"  # struct flock
# Bytes of a rank for sums that are not worth memory of their own.
_ROOM = 4096


class NoSharedMemory(DistributionError):
    """The ranks of a node cannot share memory; says why. Every rank is given the same."""


class Sharing:
    """Whether the ranks of each node share memory; found out when it is first asked, by all ranks together.

    Args:
        communicator: All ranks of the job.
        is_wanted: Whether they are to.
        apart: Why they cannot all the same, if something speaks against it.
    """

    def __init__(self, communicator: Communicator, is_wanted: bool, apart: str = "") -> None:
        self._communicator = communicator
        are_several = is_wanted and communicator.size > communicator.num_nodes
        self._is_wanted = are_several and not apart
        self._node: Node | None = None
        self._failure = apart if are_several else ""

    @property
    def made(self) -> Node | None:
        """This rank's node, if all ranks have asked for it already."""
        return self._node

    def node(self) -> Node | None:
        """This rank's node; None where every rank is to keep its own memory."""
        if self._is_wanted and self._node is None:
            try:
                self._node = Node(self._communicator)
            except NoSharedMemory as error:
                self._is_wanted, self._failure = False, f"no memory can be shared ({error})"
        return self._node

    def described(self) -> str:
        """How it is, in words; nothing where no memory was to be shared, or there is no other rank on a node."""
        if self.node() is not None:
            return "one copy of weights and optimizer state on each node, in memory that its ranks share"
        return self._failure and f"every rank keeps weights of its own, for {self._failure}"


class Node:
    """This rank's node. It is made, and memory allocated, by all ranks of the job together.

    Args:
        communicator: All ranks of the job.

    Attributes:
        rank, size: This rank among those of the node, and how many these are.
        peers: The ranks that have this one's place on the other nodes.
        room: [ranks, bytes]: shared memory for what is exchanged between two meetings.

    Raises:
        NoSharedMemory: On all ranks.
    """

    def __init__(self, communicator: Communicator) -> None:
        self._everyone = communicator
        self.rank, self.size = communicator.local_rank, communicator.local_size
        sizes = set(communicator.allgather_object(self.size, "ranks of a node"))
        if len(sizes) > 1:
            raise NoSharedMemory(f"there are {min(sizes)} to {max(sizes)} ranks on a node, not the same number on each")
        self._local = communicator.of_node()
        self.peers = communicator.of_place()
        # Who waits for its turn on a core must not keep it from those that it waits for.
        self._spins = _SPINS if environment.available_cores() >= self.size else 0
        self._meet, self._come = meet[np.int64], come[np.int64]
        with self._segment(self.size * (_LINE + _ROOM)) as (memory, file):
            self._file = os.dup(file)
            arrivals, room, _ = np.split(memory, [self.size * _LINE, self.size * (_LINE + _ROOM)])
            self._arrivals, self.room = arrivals.view(np.int64).reshape(self.size, -1), room.reshape(self.size, -1)
            _lock(self._file, self.rank)
        self._state = self._local.counted("meeting", "")[0]
        waiting.count(self._state[WAITED:])
        self._local.barrier()

    @property
    def spans_job(self) -> bool:
        """Whether all ranks of the job are on this node."""
        return self.peers.size == 1

    # --- memory

    def allocate(self, arrays: Sequence[tuple[tuple[int, ...], Any]]) -> list[np.ndarray]:
        """Zeroed arrays that all ranks of the node see.

        Args:
            arrays: Shape and element type of each, the same on all ranks.

        Raises:
            NoSharedMemory: On all ranks, if there is not enough.
        """
        starts, end = [], 0
        for shape, dtype in arrays:
            starts.append(end)
            end += -(-int(np.prod(shape)) * np.dtype(dtype).itemsize // _LINE) * _LINE + _GAP
        with self._segment(end) as (memory, _):
            pass
        return [
            memory[start : start + int(np.prod(shape)) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
            for start, (shape, dtype) in zip(starts, arrays, strict=True)
        ]

    @contextlib.contextmanager
    def _segment(self, size: int) -> Iterator[tuple[np.ndarray, int]]:
        """Memory of the node, and the open file that it is of, which is closed afterwards."""
        failures = []
        for make in (_memory_file, _unlinked_file):
            with contextlib.ExitStack() as stack:
                failure, mine = self._attempt(make, size, stack)
                told = [text for text in self._everyone.allgather_object(failure, "shared memory") if text]
                if not told:
                    yield mine
                    return
                failures.append(told[0])
        raise NoSharedMemory("; ".join(failures))

    def _attempt(self, make: Any, size: int, stack: contextlib.ExitStack) -> tuple[str, Any]:
        """Make or open a file on this rank: what failed, and what there is otherwise."""
        size = -(-max(size, 1) // _PAGE) * _PAGE
        failure, file, path = "", -1, ""
        if self.rank == 0:
            try:
                file, path = make(size, stack)
            except (OSError, AttributeError) as error:
                failure = f"{make.__doc__.split(':')[0]}: {error}"
        path = self._local.broadcast_object(path, purpose="where memory is shared")
        if not path:
            return failure, None
        try:
            if self.rank:
                file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                stack.callback(os.close, file)
            return "", (np.frombuffer(mmap.mmap(file, size), np.uint8), file)
        except (OSError, ValueError) as error:
            return f"{make.__doc__.split(':')[0]}: {error}", None

    # --- meetings

    def meet(self, purpose: str) -> None:
        """Return when all ranks of the node have come here.

        Raises:
            DistributionError: One has died.
        """
        self._wait(purpose, self._spins, _YIELDS)

    def meeting(
        self, purpose: str, notes: np.ndarray | None = None, turn_back: Callable[[], int] = lambda: 0
    ) -> tuple[Attempt, tuple]:
        """A meeting as a call of a kernel, for native runs.

        Args:
            purpose: What it is for.
            notes: [ranks, n]: shared memory, with 0 in the first place of each row unless others are to turn back.
            turn_back: Called when all have come but somebody wants the others to turn back; gives how many calls
                that follow are left out.
        """
        notes = np.zeros((0, 1)) if notes is None else notes
        words, step, number = self._local.counted("meeting", purpose)

        def instead() -> int:
            words[0] -= 1  # which the kernel has counted
            self._wait(purpose, 0, 0)
            return turn_back() if notes[:, 0].any() else 0

        arguments = self._arrivals, self.rank, words, step, number, self._spins, _YIELDS, notes
        return Attempt(self._come, instead), arguments

    def _wait(self, purpose: str, spins: int, yields: int) -> None:
        self._local.enter("meeting", purpose)
        try:
            missing = self._meet(self._arrivals, self.rank, self._state.item(0), spins, yields)
            if missing >= 0:
                self._wait_for(missing, purpose)
        finally:
            self._local.leave()

    def _wait_for(self, missing: int, purpose: str) -> None:
        """Go on waiting, asleep: a rank that reads data or writes files for long must not cost the others' cores."""
        pause = 0.0001
        while missing >= 0:
            if _is_unlocked(self._file, missing):
                raise DistributionError(
                    f"local rank {missing} of this node has ended; rank {self._everyone.rank} waited for it to "
                    f"{purpose} at step {self._everyone.step}"
                )
            time.sleep(pause)
            pause = min(2 * pause, 0.002)
            missing = self._meet(self._arrivals, self.rank, self._state.item(0), 0, 10)


def _memory_file(size: int, stack: contextlib.ExitStack) -> tuple[int, str]:
    """memfd_create: memory with a descriptor, whatever file systems there are."""
    file = os.memfd_create("distkeras")
    stack.callback(os.close, file)
    os.posix_fallocate(file, 0, size)
    return file, f"/proc/{os.getpid()}/fd/{file}"


def _unlinked_file(size: int, stack: contextlib.ExitStack) -> tuple[int, str]:
    """/dev/shm: a file there, which loses its name as soon as all have opened it."""
    file, path = tempfile.mkstemp(prefix="distkeras-", dir=_FOLDER)
    stack.callback(os.close, file)
    stack.callback(os.unlink, path)
    os.posix_fallocate(file, 0, size)  # a write to what there is no room for would end the process
    return file, path


# A lock of the open file description is given up by the system when its process ends, however that happens, and can be
# asked after from any container that has the file: process numbers mean nothing there.


def _lock(file: int, byte: int) -> None:
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))


def _is_unlocked(file: int, byte: int) -> bool:
    asked = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    return struct.unpack(_LOCK, fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked))[0] == fcntl.F_UNLCK
