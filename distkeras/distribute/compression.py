"""Sums of float32 gradients that travel as float16: half the bytes, added up in float32.

    rank r's gradients    | part 0 | part 1 | part 2 |      each part times a power of two that fits it into float16
    alltoall              part r of every rank -> rank r    added up there in float32
    allgather             the sums of all parts, scaled and rounded again -> every rank

Every number is rounded twice, to 11 bits: on its way to where it is added, and as a sum. Scaling makes overflow
impossible, and underflow what is 2**-29 of the largest number of its part or less loses some of its bits. NaN and
infinities arrive as such. All ranks end with the same bytes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from distkeras.distribute.communicator import Communicator
from distkeras.distribute.micro_shards import bounds
from distkeras.kernels import half

KINDS = ("none", "float16")
# Below so many elements what is saved is not worth two messages instead of one.
_FEWEST = 1024
# The largest number of a part becomes one of [2**14, 2**15); float16 ends at 65504.
_TOP = 15
_MOST = 126  # 2**126 and 2**-126 are both float32 numbers


def check_compression(kind: Any, deterministic: bool) -> None:
    """Raise ValueError unless gradients can be compressed in this way."""
    if kind not in KINDS:
        raise ValueError(f"compression must be 'none' or 'float16', received {kind!r}.")
    if kind != "none" and deterministic:
        raise ValueError(
            f"compression={kind!r} does not go with deterministic=True: what is rounded depends on the number of "
            "ranks. Choose one of them."
        )


class Float16Sums:
    """A communicator, but that its sums of float32 arrays travel as float16.

    Args:
        communicator: The ranks.
    """

    def __init__(self, communicator: Communicator) -> None:
        self._communicator = communicator
        self._wires: dict[int, np.ndarray] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._communicator, name)

    def duplicate(self) -> Float16Sums:
        """The same for another thread; see `Communicator`."""
        return Float16Sums(self._communicator.duplicate())

    def allreduce_(self, array: np.ndarray, purpose: str = "") -> None:
        """Replace `array` by its sum over all ranks; see `Communicator` and the top of this file."""
        if array.dtype != np.float32 or array.size < _FEWEST:
            self._communicator.allreduce_(array, purpose)
            return
        flat, rank = array.reshape(-1), self._communicator.rank
        parts = self._bounds(flat.size)
        # A part is preceded by its exponent.
        places = [start + index for index, start in enumerate(parts)]
        wire = self._wires.setdefault(places[-1], np.empty(places[-1], np.uint16))
        for part, place in zip(_cut(flat, parts), _cut(wire, places), strict=True):
            _encode(part, place)
        own = flat[parts[rank] : parts[rank + 1]]
        for sender, sent in enumerate(self._communicator.alltoall(wire, places, purpose)):
            if sender != rank:
                half.add_half[np.float32](sent[1:], _factor(-_exponent(sent)), own)
        _encode(own, wire[places[rank] : places[rank + 1]])
        self._communicator.allgather_(wire, places, purpose)
        for part, place in zip(_cut(flat, parts), _cut(wire, places), strict=True):
            half.decode_half[np.float32](place[1:], _factor(-_exponent(place)), part)

    def _bounds(self, size: int) -> list[int]:
        ranks = self._communicator.size
        return [*(bounds(size, rank, ranks)[0] for rank in range(ranks)), size]


def _cut(array: np.ndarray, places: list[int]) -> list[np.ndarray]:
    return [array[start:stop] for start, stop in zip(places, places[1:], strict=False)]


def _encode(part: np.ndarray, out: np.ndarray) -> None:
    largest = max(float(part.max()), -float(part.min())) if part.size else 0.0
    exponent = _TOP - math.frexp(largest)[1] if 0.0 < largest < math.inf else 0
    exponent = min(exponent, _MOST)
    out[:1].view(np.int16)[0] = exponent
    half.encode_half[np.float32](part, _factor(exponent), out[1:])


def _exponent(place: np.ndarray) -> int:
    return int(place[:1].view(np.int16)[0])


def _factor(exponent: int) -> np.float32:
    return np.float32(2.0**exponent)
