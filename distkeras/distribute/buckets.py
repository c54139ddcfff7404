"""Gradients are summed over ranks while the rest of them are still being computed.

    backward     |dense_3|dense_2|--- conv_2 ---|--- conv_1 ---|            main thread, nogil kernels
                         | start(0)             | start(1)     | start(2)   then wait()
    all ranks            [== bucket 0 ==]       [== bucket 1 ==][bucket 2]  lane, blocking allreduce
    flat arena   |conv_1 .. | conv_2 .. | dense_2 .. dense_3 ..|
                   bucket 2   bucket 1         bucket 0

The thread is the communicator's lane (see `lane`). Buckets are always reduced in the order 0, 1, 2, ... whatever order
they become ready in: that is what keeps the ranks' collectives matched when kernels finish in another order on another
rank.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from distkeras import _settings
from distkeras.distribute import waiting
from distkeras.distribute.communicator import Communicator, check_reducible
from distkeras.distribute.lane import Span, lane_of, timed_sum


class BucketTimes(NamedTuple):
    """When a bucket was started by the main thread, and its reduction begun and ended, in `time.perf_counter()`."""

    started: float
    begun: float
    ended: float


class GradientBuckets:
    """A flat gradient arena, cut between variables and summed in place over all ranks, last variables first.

    Use as `start(i)` for each bucket once its gradients are written, in any order, then `wait()`.

    Args:
        communicator: The ranks, which make these buckets together.
        flat: The arena, one-dimensional.
        boundaries: First element of each variable, ascending from 0, and then the end of the last, `flat.size`.
        cap_bytes: A bucket takes variables until the next would exceed this; a larger variable is a bucket by itself.
            The setting `bucket_cap_mb` by default.

    Attributes:
        slices: The part of the arena that each bucket is; bucket 0 is the end of the arena.
        variables: For each bucket the range of variables in it.

    >>> from distkeras.distribute.communicator import SerialCommunicator
    >>> buckets = GradientBuckets(SerialCommunicator(), np.zeros(10, np.float32), [0, 4, 6, 10], cap_bytes=24)
    >>> buckets.slices, buckets.variables
    ([slice(4, 10, None), slice(0, 4, None)], [range(1, 3), range(0, 1)])
    >>> buckets.start(0); buckets.start(1); buckets.wait()
    """

    def __init__(
        self, communicator: Communicator, flat: np.ndarray, boundaries: Sequence[int], cap_bytes: int | None = None
    ) -> None:
        check_reducible(flat)
        _check_boundaries(flat, boundaries)
        if cap_bytes is None:
            cap_bytes = int(_settings.current().bucket_cap_mb * 2**20)
        self.variables = _group(boundaries, flat.itemsize, cap_bytes)
        self.slices = [slice(boundaries[group.start], boundaries[group.stop]) for group in self.variables]
        self.times: list[BucketTimes] = []
        self._started: dict[int, float] = {}
        self._sent = 0
        self._reducer = _choose_reducer(communicator, [flat[part] for part in self.slices])
        communicator.on_loss(self.begin_anew)

    def __len__(self) -> int:
        return len(self.slices)

    def start(self, index: int) -> None:
        """Say that all gradients of a bucket are written; it is reduced once those before it are.

        Raises:
            RuntimeError: If the bucket was started already since the last `wait`.
        """
        if not 0 <= index < len(self.slices):
            raise IndexError(f"there are buckets 0 to {len(self.slices) - 1}, received {index}")
        if index in self._started:
            raise RuntimeError(f"bucket {index} was started twice in one step; call wait() after each backward pass")
        self._started[index] = time.perf_counter()
        while self._sent in self._started:
            self._reducer.send(self._sent)
            self._sent += 1

    def begin_anew(self) -> None:
        """Forget a step that was broken off."""
        self._started, self._sent = {}, 0
        self._reducer.begin_anew()

    def wait(self) -> None:
        """Return when every bucket holds the sum over all ranks; `times` then tells how this step went.

        Raises:
            RuntimeError: If a bucket has not been started: its gradients would be missing from the step.
            Exception: What the reduction raised, if it failed.
        """
        missing = [index for index in range(len(self.slices)) if index not in self._started]
        if missing:
            raise RuntimeError(f"wait() came before start() of buckets {missing} of {len(self.slices)}")
        started, self._started, self._sent = self._started, {}, 0
        spans = self._reducer.wait()
        self.times = [BucketTimes(started[index], *span) for index, span in enumerate(spans)]


def _check_boundaries(flat: np.ndarray, boundaries: Sequence[int]) -> None:
    ascending = all(low <= high for low, high in zip(boundaries, boundaries[1:], strict=False))
    if flat.ndim != 1 or not boundaries or boundaries[0] != 0 or not ascending or boundaries[-1] != flat.size:
        raise ValueError(
            f"boundaries must ascend from 0 to the {flat.size} elements of a one-dimensional arena; received "
            f"{list(boundaries)[:8]} for shape {flat.shape}"
        )


def _group(boundaries: Sequence[int], itemsize: int, cap_bytes: int) -> list[range]:
    """Ranges of variables, from the last variable to the first, of at most `cap_bytes` where variables allow."""
    groups, stop = [], len(boundaries) - 1
    while stop > 0:
        start = stop - 1
        while start > 0 and (boundaries[stop] - boundaries[start - 1]) * itemsize <= cap_bytes:
            start -= 1
        groups.append(range(start, stop))
        stop = start
    return groups


def _choose_reducer(communicator: Communicator, parts: list[np.ndarray]) -> _Inline | _Threaded:
    # A single bucket has nothing to overlap with: handing it to a thread costs more than a small allreduce.
    if communicator.size == 1 or len(parts) < 2:
        return _Inline(communicator, parts)
    return _Threaded(communicator, parts)


class _Inline:
    """Reduces in `wait`, on the caller's thread."""

    def __init__(self, communicator: Communicator, parts: list[np.ndarray]) -> None:
        self._communicator = communicator
        self._parts = parts

    def send(self, index: int) -> None:
        return

    def begin_anew(self) -> None:
        return

    def wait(self) -> list[Span]:
        return [timed_sum(self._communicator, part) for part in self._parts]


class _Threaded:
    """Reduces on the communicator's lane, in the order of `send`."""

    def __init__(self, communicator: Communicator, parts: list[np.ndarray]) -> None:
        self._parts = parts
        self._lane = lane_of(communicator)
        self.begin_anew()

    def begin_anew(self) -> None:
        self._done: queue.SimpleQueue[Span | BaseException] = queue.SimpleQueue()

    def send(self, index: int) -> None:
        self._lane.send(self._parts[index], self._done)

    def wait(self) -> list[Span]:
        began = time.monotonic()
        results = [self._done.get() for _ in self._parts]
        waiting.add(time.monotonic() - began)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results  # type: ignore[return-value]
