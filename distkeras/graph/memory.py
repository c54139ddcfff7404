"""The memory plan: where each value lies in one block, so that values that are never alive together share space.

Greedy by size (Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural Net Inference"): the largest value
first, each at the lowest offset that is free for its whole life.
"""

from __future__ import annotations

import bisect
import contextlib
import operator
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from distkeras.core import arena

_LINE = 64


@dataclass
class Lifetime:
    """A value's size in bytes and the first and last step at which it is alive."""

    nbytes: int
    first: int
    last: int


def assign_offsets(lifetimes: dict[Hashable, Lifetime]) -> tuple[dict[Hashable, int], int]:
    """An offset for each value such that no two that are alive together overlap, and the size of the block."""
    # (start, end, first, last): plain numbers, for graphs of unrolled loops have thousands of values.
    placed: list[tuple[int, int, int, int]] = []
    offsets: dict[Hashable, int] = {}
    for key, life in sorted(lifetimes.items(), key=lambda item: -item[1].nbytes):
        size = -(-life.nbytes // _LINE) * _LINE
        offset, born, dead = 0, life.first, life.last
        for start, end, first, last in placed:
            if last < born or dead < first:
                continue
            if offset + size <= start:
                break
            if end > offset:
                offset = end
        offsets[key] = offset
        bisect.insort(placed, (offset, offset + size, born, dead), key=operator.itemgetter(0))
    return offsets, max((place[1] for place in placed), default=0)


class Scratch:
    """Working memory that equations use one after the other: a block is handed out again for the next equation."""

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []
        self._taken: list[np.ndarray] = []

    def __call__(self, shape: Any, dtype: Any) -> np.ndarray:
        dtype = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        nbytes = count * dtype.itemsize
        fitting = [block for block in self._free if block.nbytes >= nbytes]
        if fitting:
            block = min(fitting, key=lambda item: item.nbytes)
            self._free = [other for other in self._free if other is not block]
        else:
            block = arena.allocate(nbytes, np.uint8)
        self._taken.append(block)
        return block[:nbytes].view(dtype).reshape(shape)

    @contextlib.contextmanager
    def nested(self) -> Iterator[None]:
        """What is taken inside is free again afterwards, for what the same equation does next."""
        kept, self._taken = self._taken, []
        try:
            yield
        finally:
            self.release()
            self._taken = kept

    def release(self) -> None:
        """The equation is lowered: its blocks are free for the next."""
        self._free += self._taken
        self._taken = []

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for block in [*self._free, *self._taken])
