"""Gradients are summed over ranks while the rest of them are still being computed.

    backward     |dense_3|dense_2|--- conv_2 ---|--- conv_1 ---|            main thread, nogil kernels
                         | start(0)             | start(1)     | start(2)   then wait()
    all ranks            [== bucket 0 ==]       [== bucket 1 ==][bucket 2]  communication thread, blocking allreduce
    flat arena   |conv_1 .. | conv_2 .. | dense_2 .. dense_3 ..|
                   bucket 2   bucket 1         bucket 0

A non-blocking allreduce would make no progress until somebody waits for it, so a thread does blocking ones, on a
communicator of its own. Buckets are always reduced in the order 0, 1, 2, ... whatever order they become ready in: that
is what keeps the ranks' collectives matched when kernels finish in another order on another rank.
"""

from __future__ import annotations

import queue
import threading
import time
import weakref
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from distkeras import _settings
from distkeras.distribute.communicator import Communicator, check_reducible


class BucketTimes(NamedTuple):
    """When a bucket was started by the main thread, and its reduction begun and ended, in `time.perf_counter()`."""

    started: float
    begun: float
    ended: float


class GradientBuckets:
    """A flat gradient arena, cut between variables and summed in place over all ranks, last variables first.

    Use as `start(i)` for each bucket once its gradients are written, in any order, then `wait()`.

    Args:
        communicator: The ranks. It is duplicated: made and closed by all ranks together.
        flat: The arena, one-dimensional.
        boundaries: First element of each variable, ascending from 0, and then the end of the last: at most `flat.size`.
            What lies behind the last variable (a tail of sums) belongs to bucket 0 with it.
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
        if self.slices:
            self.slices[0] = slice(self.slices[0].start, flat.size)
        self.times: list[BucketTimes] = []
        self._started: dict[int, float] = {}
        self._sent = 0
        self._reducer = _choose_reducer(communicator, [flat[part] for part in self.slices])

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

    def close(self) -> None:
        """End the thread and free its communicator; on all ranks together, not between `start` and `wait`."""
        self._reducer.close()


def _check_boundaries(flat: np.ndarray, boundaries: Sequence[int]) -> None:
    ascending = all(low <= high for low, high in zip(boundaries, boundaries[1:], strict=False))
    if flat.ndim != 1 or not boundaries or boundaries[0] != 0 or not ascending or boundaries[-1] > flat.size:
        raise ValueError(
            f"boundaries must ascend from 0 to at most the {flat.size} elements of a one-dimensional arena; received "
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

    def wait(self) -> list[tuple[float, float]]:
        return [_reduce(self._communicator, part) for part in self._parts]

    def close(self) -> None:
        return


class _Threaded:
    """Reduces on a thread, in the order of `send`."""

    def __init__(self, communicator: Communicator, parts: list[np.ndarray]) -> None:
        self._count = len(parts)
        self._communicator = communicator.duplicate()
        self._todo: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[float, float] | BaseException] = queue.SimpleQueue()
        arguments = (self._communicator, parts, self._todo, self._done)
        # A daemon: a rank that leaves in the middle of a step must be able to, and the thread holds no reference to
        # this object, so that an abandoned one ends it.
        self._thread = threading.Thread(target=_serve, args=arguments, name="distkeras-buckets", daemon=True)
        self._thread.start()
        self._stop = weakref.finalize(self, self._todo.put, None)

    def send(self, index: int) -> None:
        self._todo.put(index)

    def wait(self) -> list[tuple[float, float]]:
        results = [self._done.get() for _ in range(self._count)]
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results  # type: ignore[return-value]

    def close(self) -> None:
        self._stop()
        self._thread.join()
        self._communicator.close()


def _serve(
    communicator: Communicator, parts: list[np.ndarray], todo: queue.SimpleQueue, done: queue.SimpleQueue
) -> None:
    """Thread: reduce what is asked for, until None. After a failure nothing more is sent, and each answer is it."""
    failure: BaseException | None = None
    while (index := todo.get()) is not None:
        try:
            done.put(failure or _reduce(communicator, parts[index]))
        except BaseException as error:
            failure = error
            done.put(error)


def _reduce(communicator: Communicator, part: np.ndarray) -> tuple[float, float]:
    begun = time.perf_counter()
    communicator.allreduce_(part)
    return begun, time.perf_counter()
