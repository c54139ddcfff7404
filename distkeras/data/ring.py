"""Slots of shared memory, in which processes hand each other batches without copying them through a pipe.

    slot = anonymous file   | count | length 0 | length 1 | ... | part 0 |pad| part 1 |pad| ...
                             header: 64-bit integers               each part begins at a multiple of 64 bytes

    writing process   parts --copied once--> slot
    reading process                          slot --> arrays that view it; no copy

Part 0 is a pickle, and the others are the memory of the arrays in it (data/packing.py). So any object can be handed
over, and arrays cost one copy. A slot grows when something larger is written. It has no name: when the last process
that holds it ends, however it ends, nothing is left.
"""

from __future__ import annotations

import collections
import contextlib
import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.data.packing import PackedForms, header, layout, pack, parts_of


class Slot:
    """A piece of shared memory as one process sees it.

    Args:
        descriptor: The file, which becomes this object's to close.
        access: What this process may do to it, as `mmap` has it. With ACCESS_COPY, what it writes into the parts that
            it reads is for itself alone, and stays there: for a slot that is read once.

    >>> slot = Slot(anonymous_file())
    >>> size = slot.write([b"first", np.arange(3, dtype="uint8")])
    >>> [bytes(part) for part in slot.read(size)]
    [b'first', b'\\x00\\x01\\x02']
    >>> slot.close()
    """

    def __init__(self, descriptor: int, access: int = mmap.ACCESS_WRITE) -> None:
        self.descriptor = descriptor
        self._access = access
        self._memory: mmap.mmap | None = None
        self._viewed: weakref.ref | None = None
        self._reserved = 0

    def write(self, parts: Sequence[Any]) -> int:
        """Write buffers of bytes; returns how much of the slot they take.

        Raises:
            OSError: There is not so much memory.
        """
        views = [memoryview(part) for part in parts]
        lengths = [len(view) for view in views]
        starts, size = layout(lengths)
        if size > self._reserved:
            self._reserve(size)
        memory = memoryview(self._mapped(size))
        memory[: starts[0]] = header(lengths, starts[0])
        for start, view in zip(starts, views, strict=True):
            memory[start : start + len(view)] = view
        return size

    def _reserve(self, size: int) -> None:
        """Have memory for so much: a process that writes to mapped memory which cannot be had is killed (SIGBUS)."""
        had = os.fstat(self.descriptor).st_size
        try:
            if size > had:
                os.ftruncate(self.descriptor, size + size // 8)  # the next ones may be a little larger
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self.descriptor, 0, size)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self.descriptor, had)  # what was reserved in part is free again
            where = _where(self.descriptor)
            raise OSError(
                error.errno,
                f"There are no {size / 1e6:.1f} MB of shared memory for one batch{where}: {error.strerror}. Up to "
                "`max_queue_size` batches are held in memory, besides those in use: read fewer ahead, make batches "
                "smaller, or read in the training's own process with `workers=0`",
            ) from error
        self._reserved = size

    def read(self, size: int | None = None) -> list[np.ndarray]:
        """What was written, as views of the slot.

        Args:
            size: What `write` returned; by default the whole slot is mapped.
        """
        size = os.fstat(self.descriptor).st_size if size is None else size
        memory = self._mapped(size)
        return parts_of(memory, np.frombuffer(memory, np.uint8, size))

    def open(self, size: int, forms: PackedForms, release: Callable[[Any], None], writeable: bool = True) -> Any:
        """The object whose `pack` was written; its arrays are views of the slot.

        Args:
            size: What `write` returned.
            forms: How objects like it lay in slots.
            release: Called as a weak reference's callback when nothing views the slot any more.
            writeable: Whether the arrays may be written to.
        """
        memory = self._mapped(size)
        whole = np.frombuffer(memory, np.uint8, size)
        self._viewed = weakref.ref(whole, release)
        if not writeable and whole.flags.writeable:
            whole.flags.writeable = False
        return forms.unpack(memory, whole)

    def _mapped(self, size: int) -> mmap.mmap:
        if self._memory is None or len(self._memory) < size:
            self._memory = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size, access=self._access)
        return self._memory

    def close(self) -> None:
        """Give the memory back, as soon as nothing views it any more."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor, self._memory = -1, None


class Ring:
    """Slots that are used again and again.

    A slot that was taken is held until what was read from it is viewed by nothing any more, here and in the processes
    it was also `hold`-ed for; then it is free. There are as many slots as were ever held at a time.

    >>> ring = Ring()
    >>> parcel = ring.put({"x": np.arange(3)})
    >>> print(parcel.open())
    {'x': array([0, 1, 2])}
    >>> ring.take() == parcel.number  # nothing views the array
    True
    >>> ring.close()
    """

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.forms = PackedForms()
        self._free: list[int] = []
        self._holds: list[int] = []
        self._released: collections.deque[int] = collections.deque()
        self._lock = threading.Lock()

    def take(self) -> int:
        """The number of a free slot, which is held once from now on."""
        with self._lock:
            self._settle()
            if not self._free:
                self._free.append(len(self.slots))
                self.slots.append(Slot(anonymous_file()))
                self._holds.append(0)
            number = self._free.pop()
            self._holds[number] = 1
            return number

    def hold(self, number: int, times: int) -> None:
        """Hold a slot that is held so many times more."""
        with self._lock:
            self._holds[number] += times

    def release(self, number: int) -> None:
        """Hold a slot once less. It takes no lock: garbage collection may call it at any time, in any thread."""
        self._released.append(number)

    def _settle(self) -> None:
        while self._released:
            number = self._released.popleft()
            self._holds[number] -= 1
            if not self._holds[number]:
                self._free.append(number)

    def put(self, value: Any) -> Parcel:
        """Write an object into a free slot."""
        parts = pack(value)
        number = self.take()
        parcel = Parcel(self, number, 0)
        parcel.size = self.slots[number].write(parts)
        return parcel

    def close(self) -> None:
        """Give the memory back; what was read stays valid."""
        for slot in self.slots:
            slot.close()


class Parcel:
    """An object in a slot of a ring; one that is thrown away unopened frees the slot.

    Attributes:
        ring, number: The slot.
        size: How much of it was written.
    """

    def __init__(self, ring: Ring, number: int, size: int) -> None:
        self.ring, self.number, self.size = ring, number, size
        self._is_held = True

    @property
    def descriptor(self) -> int:
        """That of the slot's file."""
        return self.ring.slots[self.number].descriptor

    def open(self, writeable: bool = True) -> Any:
        """The object, whose arrays are views that hold the slot. To be called once.

        Args:
            writeable: Whether they may be written to; not where others view the slot.
        """
        ring, number = self.ring, self.number
        self._is_held = False
        return ring.slots[number].open(self.size, ring.forms, lambda _: ring.release(number), writeable)

    def __del__(self) -> None:
        if self._is_held:
            self.ring.release(self.number)


def opened(item: Any) -> Any:
    """An item itself, where it is in a parcel."""
    return item.open() if isinstance(item, Parcel) else item


def _where(descriptor: int) -> str:
    """Which folder a file is in that lies in one, for messages."""
    system = os.fstatvfs(descriptor)
    if not system.f_blocks:  # a file in memory alone
        return ""
    folder = os.path.dirname(os.readlink(f"/proc/self/fd/{descriptor}"))
    free = system.f_bavail * system.f_frsize / 1e6
    return f" in {folder}, where {free:.1f} MB are free (TMPDIR names another folder)"


def anonymous_file() -> int:
    """The descriptor of a file in memory that has no name."""
    if hasattr(os, "memfd_create"):  # not bound by the size of /dev/shm, which is 64 MB in many containers
        return os.memfd_create("distkeras-slot")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
