"""Optimizer state that is divided among the ranks: ZeRO, stage 1.

    gradient arena   bucket 1 | rank 0 | rank 1 | rank 2 |  bucket 0 | rank 0 | rank 1 | rank 2 |
                     reduce-scatter of each bucket, in the lane, while the backward pass goes on
    slots of rank 1           |  (no   |  m, v  | memory)|           |        |  m, v  |        |
    parameters                |        | updated|        |           |        | updated|        |  then allgather

Slots are as long on every rank, but a rank touches only its own part of them, and the system gives memory to pages
when they are first touched. For a checkpoint the ranks gather all parts, and let go of those of others afterwards.

Source: Rajbhandari et al., "ZeRO: memory optimizations toward training trillion parameter models", 2020.
"""

from __future__ import annotations

import contextlib
import mmap
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from distkeras.distribute.communicator import Communicator
from distkeras.distribute.micro_shards import bounds
from distkeras.distribute.reducers import GradientReducer

_LINE = 64


class ScatteredSums:
    """A communicator, but that of a sum each rank gets its part only.

    Args:
        communicator: The ranks.
    """

    def __init__(self, communicator: Communicator) -> None:
        self.plain = communicator

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def duplicate(self) -> ScatteredSums:
        """The same for another thread; see `Communicator`."""
        return ScatteredSums(self.plain.duplicate())

    def parts(self, array: np.ndarray) -> list[int]:
        """Where the parts of the ranks begin, and the end: whole cache lines, as far as there are enough."""
        line = _LINE // array.itemsize
        lines = -(-array.size // line)
        starts = [bounds(lines, rank, self.plain.size)[0] * line for rank in range(self.plain.size)]
        return [*(min(start, array.size) for start in starts), array.size]

    def allreduce_(self, array: np.ndarray, purpose: str = "") -> None:
        """Replace this rank's part of `array` by the sum over all ranks."""
        self.plain.reduce_scatter_(array, self.parts(array), purpose)


class ShardReducer(GradientReducer):
    """Sums a gradient arena such that each rank has the sums of its portion, which it updates for all.

    Args:
        communicator: The ranks.
        flat: The arena.
        boundaries: As for `GradientBuckets`.
        parameters: The arena of what is updated.

    Attributes:
        own: This rank's portion.
    """

    def __init__(
        self, communicator: ScatteredSums, flat: np.ndarray, boundaries: Sequence[int], parameters: np.ndarray
    ) -> None:
        super().__init__(communicator, flat, boundaries)
        self._parameters = parameters
        self._cuts = [(bucket, communicator.parts(flat[bucket])) for bucket in self._buckets.slices]
        rank = communicator.rank
        self.own = sorted(
            (slice(bucket.start + parts[rank], bucket.start + parts[rank + 1]) for bucket, parts in self._cuts),
            key=lambda part: part.start,
        )
        self._is_apart = False
        self.finish = self._finish

    def _finish(self) -> None:
        self._buckets.wait()
        self._is_apart = True

    def portions(self, runs: Sequence[slice], edges: Sequence[int] | None) -> list[slice]:
        common = [slice(max(run.start, own.start), min(run.stop, own.stop)) for run in runs for own in self.own]
        return [part for part in common if part.start < part.stop]

    def totals(self, values: np.ndarray) -> np.ndarray:
        self._communicator.plain.allreduce_(values, "norms of gradients")
        return values

    def meet(self) -> None:
        """Give all ranks what each has updated."""
        if self._is_apart:
            self._is_apart = False
            self.gather(self._parameters, "updated weights")

    def gather(self, flat: np.ndarray, purpose: str) -> None:
        """Give all ranks the portions of each in an arena."""
        for bucket, parts in self._cuts:
            self._communicator.allgather_(flat[bucket], parts, purpose)


# --- memory


def allocate(count: int, dtype: DTypeLike) -> np.ndarray:
    """`count` zeros that take memory page by page, as they are written."""
    size = max(1, count * np.dtype(dtype).itemsize)
    return np.frombuffer(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), dtype, count)


def release(flat: np.ndarray, keep: Sequence[slice]) -> None:
    """Give back the memory of an array from `allocate`, which then holds zeros, but for some parts, in their order."""
    memory = flat.base
    while not isinstance(memory, mmap.mmap):
        memory = memory.obj if isinstance(memory, memoryview) else memory.base
    edges = [0, *(edge * flat.itemsize for part in keep for edge in (part.start, part.stop)), flat.nbytes]
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        first, last = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, stop // mmap.PAGESIZE * mmap.PAGESIZE
        if first < last and hasattr(memory, "madvise"):
            memory.madvise(mmap.MADV_DONTNEED, first, last - first)


class Shards:
    """All that a strategy's ranks have divided among them, in the order in which it was made, the same on all ranks.

    Args:
        communicator: The ranks.
    """

    def __init__(self, communicator: Communicator) -> None:
        self._communicator = communicator
        self._held: list[weakref.ref] = []

    def add(self, shard: Any) -> None:
        """Enter something with methods `gather` and `release`."""
        self._held.append(weakref.ref(shard))

    def _on_all_ranks(self) -> list[Any]:
        """What no rank has forgotten: garbage is collected on each rank at its own time."""
        shards = [held() for held in self._held]
        if not shards:
            return []
        living = self._communicator.allgather_object([shard is not None for shard in shards], "what is divided")
        lives = list(zip(*living, strict=True))
        self._held = [held for held, seen in zip(self._held, lives, strict=True) if any(seen)]
        return [shard for shard, seen in zip(shards, lives, strict=True) if all(seen)]

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """While the block runs, every rank holds everything; all ranks enter together."""
        for shard in self._on_all_ranks():
            shard.gather()
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Let each rank keep its part only."""
        for held in self._held:
            if (shard := held()) is not None:
                shard.release()
