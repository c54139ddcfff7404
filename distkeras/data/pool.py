"""Data workers: processes that read batches while the training computes.

                          tasks: one socket that all workers read from, so that the next free one takes the next task
    process that trains  ---------------------------------------------------------->  worker 0, 1, ...
      |   ^                                                                              |
      |   '--------- replies: a socket of each worker; its end says that it has died ----'
      |
      '---> items in the order of their tasks, as views of shared memory (data/ring.py)

A slot belongs to a task from when that is sent until the last view of its item is gone; then it is used again. Sockets
and slots have no names, so when this process ends, however it does, the workers see their sockets end and end too, and
nothing is left. Workers are new Pythons with one thread each, that know nothing of the launcher (data/worker.py).
"""

from __future__ import annotations

import collections
import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from distkeras._errors import DataWorkerError
from distkeras.core.random_state import global_seed
from distkeras.data.ring import Parcel, Ring, Slot, anonymous_file
from distkeras.data.shipping import leave_script, ship
from distkeras.data.worker import ENDED, FAILED, LONGEST_TASK, NOTE, Reply, Task
from distkeras.distribute import environment

_SECONDS_TO_END = 5.0
_FILES_PER_ITEM = 8  # a slot takes two; there may be two pools, and others want some


_pools: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def close_all() -> None:
    """End the workers of every pool that is still open."""
    for pool in list(_pools):
        pool.close()


class _Job(NamedTuple):
    """A task on its way, and where its item will be."""

    index: Any
    parcel: Parcel


class WorkerPool:
    """Processes that read items of one object.

    Args:
        data: What is read: an object with `__getitem__`, an iterable, or a function that is called. It is pickled.
        workers: How many processes.
        depth: How many items may be read ahead; no more than an eighth of the files that this process may open.
        what: How messages call the data.

    Raises:
        pickle.PicklingError: The data cannot be pickled; no process has been started.

    >>> pool = WorkerPool("abc", workers=2, depth=4)
    >>> list(pool.map([2, 0, 1, 0]))
    ['c', 'a', 'b', 'a']
    >>> pool.close()
    >>> pool = WorkerPool(len, workers=1, depth=4)
    >>> [parcel.open() for parcel in pool.call(["abc", "de"])]
    [3, 2]
    >>> pool.close()
    """

    def __init__(self, data: Any, workers: int, depth: int, what: str = "The data") -> None:
        leave_script()
        self._what = what
        self._depth = max(min(depth, _most_ahead()), 1)
        self._count = 0
        self._jobs: dict[int, _Job] = {}
        self._ready: dict[int, Reply] = {}
        self._abandoned: set[int] = set()
        self._ring = Ring()
        self._version = 0
        self._shipped = [ship(data, what)]
        self._tasks, self._unread = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._workers = [_Worker(number, self._unread) for number in range(workers)]
        self._poll = select.poll()
        for worker in self._workers:
            self._poll.register(worker.replies, select.POLLIN)
        self._by_descriptor = {worker.replies.fileno(): worker for worker in self._workers}
        _pools.add(self)
        self._end = weakref.finalize(
            self, _end, os.getpid(), self._workers, [self._tasks, self._unread], self._ring, self._shipped
        )

    def share(self, data: Any) -> None:
        """Let the workers read from `data` as it is now.

        Raises:
            pickle.PicklingError: It cannot be pickled.
        """
        self._shipped.append(ship(data, self._what))
        self._shipped.pop(0).close()
        self._version += 1

    def map(self, indices: Iterable, key: Sequence[int] | None = None) -> Iterator:
        """The items of the given indices, in order; see `read`."""
        return (parcel.open() for parcel in self.read(indices, key))

    def read(self, indices: Iterable, key: Sequence[int] | None = None) -> Iterator[Parcel]:
        """The items of the given indices as they lie in their slots, in order.

        Args:
            indices: What the data is indexed with; None for the next item of an iterable, whose end is then the end.
            key: Ints that the global random generators of NumPy, Python and `tf.random` are seeded from, together with
                the index (or the position, where that is None), before each item, so that random augmentation does not
                depend on which worker does it; None to leave them alone.

        Raises:
            DataWorkerError: A worker died.
            Exception: What a worker raised, as soon as it is known, caused by a DataWorkerError with its traceback.
        """
        return self._done(self._task(index, position, key) for position, index in enumerate(indices))

    def call(self, values: Iterable, key: Sequence[int] | None = None) -> Iterator[Parcel]:
        """What the data, a function, gives for each value, in order.

        Args:
            values: What it is called with; taken in the calling thread.
            key: As for `read`.

        Raises:
            DataWorkerError, Exception: As for `read`.
        """
        return self._done(self._task(position, position, key, value) for position, value in enumerate(values))

    def _done(self, tasks: Iterator[Task]) -> Iterator[Parcel]:
        """What workers make of tasks, in order."""
        held: Task | None = None
        pending: collections.deque[int] = collections.deque()
        try:
            while True:
                # Some tasks at a time: to wake a worker costs more than to give it another task.
                wants_more = not pending or len(self._ready) <= self._depth // 2
                while wants_more and len(pending) < self._depth:
                    held = held or next(tasks, None)
                    if held is None or not self._send(held):
                        break
                    pending.append(held.job)
                    held = None
                if not pending:
                    return
                reply = self._wait_for(pending[0])
                pending.popleft()
                if reply.kind == ENDED:
                    self._release(reply.job)
                    return
                yield self._parcel(reply)
        finally:
            self._abandon(pending, held)

    def close(self) -> None:
        """End the workers. Items that were read stay valid."""
        self._end()

    # --- tasks

    def _task(self, index: Any, position: int, key: Sequence[int] | None, value: Any = None) -> Task:
        parcel = Parcel(self._ring, self._ring.take(), 0) if value is None else self._ring.put(value)
        job = self._count
        self._count += 1
        self._jobs[job] = _Job(index, parcel)
        seed = None if key is None else (*key, position if index is None else index)
        data = (self._version, self._shipped[0].descriptor)
        return Task(job, (parcel.number, parcel.descriptor), data, index, seed, global_seed(), parcel.size)

    def _send(self, task: Task) -> bool:
        try:
            self._tasks.send(task.encode(), socket.MSG_DONTWAIT)
        except BlockingIOError:  # enough are on their way
            return False
        return True

    def _abandon(self, jobs: Iterable[int], unsent: Task | None) -> None:
        """Forget tasks: those that no worker has taken yet are taken back."""
        if not self._end.alive:
            return
        self._abandoned.update(job for job in jobs if job in self._jobs)
        done = {job for job in self._abandoned if job in self._ready}
        if unsent is not None:
            done.add(unsent.job)
        with contextlib.suppress(BlockingIOError):
            while self._abandoned:
                done.add(Task.decode(self._unread.recv(LONGEST_TASK, socket.MSG_DONTWAIT)).job)
        for job in done:
            self._ready.pop(job, None)
            self._release(job)

    def _release(self, job: int) -> None:
        self._abandoned.discard(job)
        del self._jobs[job]

    # --- replies

    def _wait_for(self, job: int) -> Reply:
        while events := self._poll.poll(0 if job in self._ready else None):
            for descriptor, _ in events:
                self._receive(self._by_descriptor[descriptor])
        return self._ready.pop(job)

    def _receive(self, worker: _Worker) -> None:
        message = worker.receive()
        if not message:
            raise DataWorkerError(self._obituary(worker))
        reply = Reply.decode(message)
        if reply.job in self._abandoned:
            self._release(reply.job)
        elif reply.kind == FAILED:
            self._raise(worker, reply)
        else:
            self._ready[reply.job] = reply

    def _parcel(self, reply: Reply) -> Parcel:
        parcel = self._jobs.pop(reply.job).parcel
        parcel.size = reply.size
        return parcel

    # --- faults

    def _raise(self, worker: _Worker, reply: Reply) -> None:
        where = f"{worker} raised an exception {self._place(reply.job)}"
        if not reply.size:
            self._release(reply.job)
            raise DataWorkerError(f"{where}, and had no memory to hand it over; it is printed above.")
        error, text = self._parcel(reply).open()
        report = DataWorkerError(f"{where}:\n\n{text}")
        if error is None:
            raise report
        raise error from report

    def _obituary(self, worker: _Worker) -> str:
        job = worker.last_begun()
        place = self._place(job) if job in self._jobs and job not in self._ready else "while it was idle"
        status = worker.wait()
        if status < 0:
            name = signal.Signals(-status).name
            hint = " SIGKILL often means that the machine ran out of memory." if -status == signal.SIGKILL else ""
            return f"{worker} was killed by {name} (signal {-status}) {place}.{hint}"
        return f"{worker} ended with exit status {status} {place}; what it printed is above."

    def _place(self, job: int) -> str:
        index = self._jobs[job].index
        return f"while reading {'the next item' if index is None else f'item {index}'} of {self._what}"


class _Worker:
    """A worker's process, seen from the one that trains."""

    def __init__(self, number: int, tasks: socket.socket) -> None:
        self._number = number
        self._note = anonymous_file()
        self.replies, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptors = (tasks.fileno(), theirs.fileno(), self._note)
        # The system takes the end of the thread that starts a process for the end of its parent.
        is_tied = threading.current_thread() is threading.main_thread()
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from distkeras.data.worker import main; "
            f"main({', '.join(map(str, descriptors))}, {is_tied})"
        )
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *subprocess._args_from_interpreter_flags(), "-c", code],
                stdin=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=descriptors,
                start_new_session=True,  # what is typed on the terminal is for the parent, which then ends this one
            )

    def __str__(self) -> str:
        return f"Data worker {self._number} (process {self._process.pid})"

    def receive(self) -> bytes:
        """Its next message; nothing if it has ended."""
        try:
            return self.replies.recv(LONGEST_TASK)
        except ConnectionResetError:
            return b""

    def last_begun(self) -> int | None:
        """The task that it took up last, which it may have done; None if it has taken up none."""
        note = os.pread(self._note, NOTE.size, 0)
        return NOTE.unpack(note)[0] if note else None

    def close(self) -> None:
        """Talk to it no more."""
        self.replies.close()
        os.close(self._note)

    def terminate(self) -> None:
        """End it: it would see its socket end, but it may be starting still."""
        self._process.terminate()

    def wait(self) -> int:
        """Its exit status, the negative signal if it was killed."""
        try:
            return self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _most_ahead() -> int:
    """How many items may be read ahead for there to be files enough for their slots."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if files == resource.RLIM_INFINITY else files // _FILES_PER_ITEM


def _environment() -> dict[str, str]:
    """That of a process of one thread that no launcher has started."""
    threads = dict.fromkeys(environment.THREAD_VARIABLES, "1")
    return {**environment.without_launcher(), **threads, "DISTKERAS_LAUNCHER": "none"}


def _end(owner: int, workers: list[_Worker], sockets: list[socket.socket], ring: Ring, shipped: list[Slot]) -> None:
    if os.getpid() != owner:  # a fork of the owner
        return
    for connection in [*sockets, *workers]:
        connection.close()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait()
    ring.close()
    for slot in shipped:
        slot.close()
