"""A data worker: the process at the other end of `data/pool.py`; see there for the whole.

    tasks ----> recv --> data[index], next(data) or data(what is in the slot) --> slot --> reply
    (shared with the other workers)                             (its own socket, which ends when the parent does)

It imports nothing of MPI, and what the data needs only with the first task.
"""

from __future__ import annotations

import mmap
import os
import pickle
import random
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras.core import random_state
from distkeras.data.packing import pack, unpack
from distkeras.data.ring import Slot
from distkeras.data.shipping import receive
from distkeras.distribute import environment

LONGEST_TASK = 1 << 16
_REPLY = struct.Struct("<BQQ")
NOTE = struct.Struct("<Q")
ITEM, FAILED, ENDED = range(3)


class Task(NamedTuple):
    """What a worker is to do.

    Attributes:
        job: Number of the task, from 0.
        slot: Number of the slot to write to, and its descriptor in the parent.
        data: Number of the data to read from, and the descriptor in the parent of the slot that holds it.
        index: Which item to read; None for the next one of an iterable.
        seed: Ints that the global random generators are seeded from before the item is read; None to leave them.
        global_seed: That of `tf.random.set_seed`.
        argument: How much of the slot holds what the data is to be called with; 0 if it is to be read from.
    """

    job: int
    slot: tuple[int, int]
    data: tuple[int, int]
    index: Any
    seed: Sequence[int] | None
    global_seed: int
    argument: int = 0

    def encode(self) -> bytes:
        return pickle.dumps(tuple(self))

    @classmethod
    def decode(cls, message: bytes) -> Task:
        return cls(*pickle.loads(message))


class Reply(NamedTuple):
    """What a worker says.

    Attributes:
        kind: ITEM, FAILED (the slot holds the exception and its traceback) or ENDED.
        job: Number of the task.
        size: How much of the slot was written.
    """

    kind: int
    job: int
    size: int = 0

    def encode(self) -> bytes:
        return _REPLY.pack(*self)

    @classmethod
    def decode(cls, message: bytes) -> Reply:
        return cls(*_REPLY.unpack(message))


class Reader:
    """Does tasks: holds the data, and the slots it has written to."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._slots: dict[int, Slot] = {}
        self._number = -1
        self._data: Any = None
        self._iterator: Any = None

    def do(self, task: Task) -> Reply:
        """Read the item of a task into its slot."""
        try:
            slot = self._slot(*task.slot)
            try:
                self._load(*task.data)
                return Reply(ITEM, task.job, slot.write(pack(self._read(task, slot))))
            except BaseException as error:
                if task.index is None and isinstance(error, StopIteration):
                    return Reply(ENDED, task.job)
                return Reply(FAILED, task.job, slot.write(pack(_failure())))
        except Exception:  # such as no memory for the slot
            traceback.print_exc()
            return Reply(FAILED, task.job)

    def _slot(self, number: int, descriptor: int) -> Slot:
        if number not in self._slots:
            self._slots[number] = Slot(self._open(descriptor))
        return self._slots[number]

    def _load(self, number: int, descriptor: int) -> None:
        if number == self._number:
            return
        self._number, self._data, self._iterator = -1, None, None
        slot = Slot(self._open(descriptor), mmap.ACCESS_COPY)
        self._data = receive(slot)
        slot.close()
        self._number = number

    def _open(self, descriptor: int) -> int:
        """The parent's file; sending it along with each task would exhaust what one user may have on the way."""
        return os.open(f"/proc/{self._parent}/fd/{descriptor}", os.O_RDWR | os.O_CLOEXEC)

    def _read(self, task: Task, slot: Slot) -> Any:
        random_state.set_state(task.global_seed)
        if task.seed is not None:
            words = np.random.SeedSequence(task.seed).generate_state(4)
            np.random.seed(words)
            random.seed(words.tobytes())
            random_state.set_state(task.global_seed, draws=int(words[0]) << 24, streams=int(words[1]) >> 2)
        if task.argument:
            # A copy, for the result is written over it, and may be the argument itself.
            return self._data(unpack([bytearray(part) for part in slot.read(task.argument)]))
        if task.index is not None:
            return self._data[task.index]
        if self._iterator is None:
            self._iterator = iter(self._data)
        return next(self._iterator)


def main(tasks: int, replies: int, note: int, is_tied: bool) -> None:
    """Do tasks until the parent is gone or wants no more.

    Args:
        tasks: Descriptor of the socket on which tasks come.
        replies: Descriptor of the socket on which to reply.
        note: Descriptor of the file in which to note the number of the task that is taken up.
        is_tied: Whether the system is to kill this process with the parent: one that was stopped sees no socket end.
    """
    if is_tied:
        environment.end_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends this process
    if hasattr(os, "SCHED_BATCH"):  # a worker that a task wakes up does not interrupt the step that sent the task
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    task_socket, reply_socket = socket.socket(fileno=tasks), socket.socket(fileno=replies)
    parent = os.getppid()
    threading.Thread(target=_end_with_parent, args=(reply_socket, parent), daemon=True).start()
    reader = Reader()
    while message := task_socket.recv(LONGEST_TASK):
        task = Task.decode(message)
        os.pwrite(note, NOTE.pack(task.job), 0)
        reply = reader.do(task)
        sys.stdout.flush()
        reply_socket.send(reply.encode())
    os._exit(0)


def _end_with_parent(replies: socket.socket, parent: int) -> None:
    """End this process, in whatever it is busy with, as soon as the other end of the socket is closed."""
    poll = select.poll()
    poll.register(replies, select.POLLIN)
    while not poll.poll(1000) and os.getppid() == parent:
        pass
    os._exit(0)


def _failure() -> tuple[BaseException | None, str]:
    """The exception being handled, if it can be raised elsewhere, and its traceback."""
    error, text = sys.exc_info()[1], traceback.format_exc()
    if isinstance(error, StopIteration):  # which would end the iteration there
        return None, text
    try:
        return pickle.loads(pickle.dumps(error)), text
    except Exception:
        return None, text
