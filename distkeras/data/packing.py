"""Objects as buffers of bytes, and back.

    object  --pack-->  pickle, memory of array 1, memory of array 2, ...   --unpack-->  object whose arrays view these

In memory that is written again and again, what follows is mostly an object like the one before, with other numbers in
its arrays; it is then made without unpickling.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_ALIGNMENT = 64
_WORD_BYTES = 8
_LONGEST_PICKLE = 1 << 12  # that of a few arrays; longer ones hold what is new each time
_MOST_FORMS = 64
Make = Callable[[np.ndarray], Any]


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


def layout(lengths: Sequence[int]) -> tuple[list[int], int]:
    """Where buffers of these lengths begin in one piece of memory, and where the last one ends."""
    starts, end = [], _WORD_BYTES * (1 + len(lengths))
    for length in lengths:
        starts.append(-(-end // _ALIGNMENT) * _ALIGNMENT)
        end = starts[-1] + length
    return starts, end


def header(lengths: Sequence[int], size: int) -> bytes:
    """What stands before the first buffer: how many there are, their lengths, and zeros up to `size` bytes."""
    return struct.pack(f"<{1 + len(lengths)}Q", len(lengths), *lengths).ljust(size, b"\0")


def parts_of(memory: Any, whole: np.ndarray) -> list[np.ndarray]:
    """The buffers in one piece of memory, as views of an array over it."""
    (count,) = struct.unpack_from("<Q", memory)
    lengths = struct.unpack_from(f"<{count}Q", memory, _WORD_BYTES)
    starts, _ = layout(lengths)
    return [whole[start : start + length] for start, length in zip(starts, lengths, strict=True)]


class PackedForms:
    """How objects that were unpacked lay in memory: header and pickle tell all of it but the numbers in arrays.

    >>> forms = PackedForms()
    >>> for value in ([np.zeros(2)], [np.ones(2)]):
    ...     parts = pack(value)
    ...     starts, size = layout([len(part) for part in parts])
    ...     memory = np.zeros(size, np.uint8)
    ...     memory[: starts[0]] = list(header([len(part) for part in parts], starts[0]))
    ...     for start, part in zip(starts, parts):
    ...         memory[start : start + len(part)] = part
    ...     print(forms.unpack(memory.data, memory))
    [array([0., 0.])]
    [array([1., 1.])]
    """

    def __init__(self) -> None:
        self._makes: dict[bytes, Make | None] = {}

    def unpack(self, memory: Any, whole: np.ndarray) -> Any:
        """The object in a piece of memory that `header` and its buffers were written to.

        Args:
            memory: The memory.
            whole: An array over it, which the object's arrays are to view.
        """
        count, length = struct.unpack_from("<QQ", memory)
        first = -(-_WORD_BYTES * (1 + count) // _ALIGNMENT) * _ALIGNMENT
        if length > _LONGEST_PICKLE:
            return unpack(parts_of(memory, whole))
        key = bytes(memory[: first + length])
        make = self._makes.get(key)
        if make is not None:
            return make(whole)
        value = unpack(parts_of(memory, whole))
        if key not in self._makes:
            if len(self._makes) >= _MOST_FORMS:
                self._makes.clear()
            self._makes[key] = _maker(value, whole)
        return value


def _maker(value: Any, whole: np.ndarray) -> Make | None:
    """A function that gives an object like `value`, of whose arrays only the numbers differ; None if there is none."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str, bytes):
        return lambda whole: value
    if kind is np.ndarray:
        place = _address(value) - _address(whole)
        if not 0 <= place <= place + value.nbytes <= len(whole):  # it is part of the pickle
            return None
        shape, dtype, strides = value.shape, value.dtype, value.strides
        return lambda whole: np.ndarray(shape, dtype, whole, place, strides)
    if kind not in (tuple, list, dict):
        return None
    makes = [_maker(child, whole) for child in (value.values() if kind is dict else value)]
    if None in makes:
        return None
    if kind is dict:
        keys = list(value)
        return lambda whole: {key: make(whole) for key, make in zip(keys, makes, strict=True)}
    return lambda whole: kind([make(whole) for make in makes])


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]
