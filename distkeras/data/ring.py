"""Slots of shared memory, in which processes hand each other batches without copying them through a pipe.

    slot = anonymous file   | count | length 0 | length 1 | ... | part 0 |pad| part 1 |pad| ...
                             header: 64-bit integers               each part begins at a multiple of 64 bytes

    writing process   parts --copied once--> slot
    reading process                          slot --> arrays that view it; no copy

Part 0 is a pickle, and the others are the memory of the arrays in it (pickle protocol 5, buffers out of band). So any
object can be handed over, and arrays cost one copy. A slot grows when something larger is written. It has no name: when
the last process that holds it ends, however it ends, nothing is left.
"""

from __future__ import annotations

import collections
import io
import mmap
import os
import pickle
import struct
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_ALIGNMENT = 64
_WORD_BYTES = 8


class Slot:
    """A piece of shared memory as one process sees it.

    Args:
        descriptor: The file, which becomes this object's to close.
        access: What this process may do to it, as `mmap` has it. With ACCESS_COPY, what it writes into the parts that
            it reads is for itself alone, and stays there: for a slot that is read once.

    >>> slot = Slot(anonymous_file())
    >>> size = slot.write([b"first", np.arange(3, dtype="uint8")])
    >>> [bytes(part) for part in slot.read(size)[1]]
    [b'first', b'\\x00\\x01\\x02']
    >>> slot.close()
    """

    def __init__(self, descriptor: int, access: int = mmap.ACCESS_WRITE) -> None:
        self.descriptor = descriptor
        self._access = access
        self._memory: mmap.mmap | None = None

    def write(self, parts: Sequence[Any]) -> int:
        """Write buffers of bytes; returns how much of the slot they take."""
        views = [memoryview(part) for part in parts]
        starts, size = _layout([len(view) for view in views])
        if size > os.fstat(self.descriptor).st_size:
            os.ftruncate(self.descriptor, size + size // 8)  # the next ones may be a little larger
        memory = memoryview(self._mapped(size))
        struct.pack_into(f"<{1 + len(views)}Q", memory, 0, len(views), *(len(view) for view in views))
        for start, view in zip(starts, views, strict=True):
            memory[start : start + len(view)] = view
        return size

    def read(self, size: int | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
        """What was written, as views of the slot.

        Args:
            size: What `write` returned; by default the whole slot is mapped.

        Returns:
            An array over the slot, which lives as long as any view of it does, and the parts.
        """
        size = os.fstat(self.descriptor).st_size if size is None else size
        memory = self._mapped(size)
        whole = np.frombuffer(memory, np.uint8, size)
        (count,) = struct.unpack_from("<Q", memory)
        lengths = struct.unpack_from(f"<{count}Q", memory, 8)
        starts, _ = _layout(lengths)
        return whole, [whole[start : start + length] for start, length in zip(starts, lengths, strict=True)]

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
        whole, parts = self.ring.slots[self.number].read(self.size)
        self._is_held = False
        weakref.finalize(whole, self.ring.release, self.number).atexit = False
        if not writeable:
            for part in parts:
                part.flags.writeable = False
        return unpack(parts)

    def __del__(self) -> None:
        if self._is_held:
            self.ring.release(self.number)


def opened(item: Any) -> Any:
    """An item itself, where it is in a parcel."""
    return item.open() if isinstance(item, Parcel) else item


def anonymous_file() -> int:
    """The descriptor of a file in memory that has no name."""
    if hasattr(os, "memfd_create"):  # not bound by the size of /dev/shm, which is 64 MB in many containers
        return os.memfd_create("distkeras-slot")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def pack(value: Any, pickler: Callable[..., pickle.Pickler] = pickle.Pickler) -> list[Any]:
    """An object as buffers: its pickle, then the memory of its arrays.

    >>> unpack(pack({"x": np.arange(3)}))
    {'x': array([0, 1, 2])}
    """
    buffers: list[pickle.PickleBuffer] = []
    file = io.BytesIO()
    pickler(file, protocol=5, buffer_callback=buffers.append).dump(value)
    return [file.getbuffer(), *(buffer.raw() for buffer in buffers)]


def unpack(parts: Sequence[Any]) -> Any:
    """The object that `pack` was given; its arrays are views of the buffers."""
    return pickle.loads(parts[0], buffers=parts[1:])


def _layout(lengths: Sequence[int]) -> tuple[list[int], int]:
    """Where parts begin, and where the last one ends."""
    starts, end = [], _WORD_BYTES * (1 + len(lengths))
    for length in lengths:
        starts.append(-(-end // _ALIGNMENT) * _ALIGNMENT)
        end = starts[-1] + length
    return starts, end
