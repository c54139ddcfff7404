"""How fast ranks communicate: times of collectives by size, and the line that describes them.

    time = latency + bytes / bandwidth

Source: Hockney, "The communication challenge for MPP: Intel Paragon and Meiko CS-2", 1994, for the line (the
alpha-beta model) and for the size at which half of the bandwidth is reached, latency * bandwidth.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from distkeras.distribute.communicator import Communicator
from distkeras.distribute.node import Node
from distkeras.distribute.shared_arena import SharedReducer

OPERATIONS = ("allreduce", "allgather", "broadcast")
_SECONDS = 0.25
_LEAST_CALLS, _MOST_CALLS = 7, 200
# The share of the bandwidth that a bucket should reach: s bytes reach s / (s + latency * bandwidth) of it.
_SHARE = 0.9
_SMALLEST_CAP, _LARGEST_CAP = 0.25, 64.0  # MB


class Line(NamedTuple):
    """Times as a function of size.

    Attributes:
        latency: Seconds.
        bandwidth: Bytes a second.
    """

    latency: float
    bandwidth: float

    def seconds(self, nbytes: float) -> float:
        """The time for a message of some size.

        >>> Line(latency=0.001, bandwidth=1e6).seconds(1000)
        0.002
        """
        return self.latency + nbytes / self.bandwidth


def measure(communicator: Communicator, operation: str, sizes: Sequence[int], seconds: float = _SECONDS) -> list[float]:
    """The median time of a collective for each size; all ranks call together and get the same.

    Args:
        communicator: The ranks.
        operation: One of `OPERATIONS`.
        sizes: Bytes that a rank gives.
        seconds: How long to repeat each, about.

    Returns:
        Seconds from the last rank's begin to the last rank's end.
    """
    return [_median(communicator, _call(communicator, operation, size), seconds) for size in sizes]


def measure_in_memory(
    communicator: Communicator, node: Node, sizes: Sequence[int], seconds: float = _SECONDS
) -> list[float]:
    """As `measure`, for sums where each rank of a node sums a portion in memory that they share.

    Args:
        communicator: All ranks.
        node: Those that share memory.
        sizes: Bytes that a rank gives.
        seconds: How long to repeat each, about.

    Raises:
        NoSharedMemory: On all ranks.
    """
    return [_median(communicator, _sum_in_memory(node, size), seconds) for size in sizes]


def _sum_in_memory(node: Node, size: int) -> Callable[[], object]:
    count = max(1, size // 4)
    rows, notes = node.allocate([((node.size, count), np.float32), ((node.size, 1), np.float64)])
    reducer = SharedReducer(node, rows, notes, None, None)
    portions = reducer.portions([slice(0, count)], None)

    def call() -> None:
        reducer.learn_who_left()
        for portion in portions:
            reducer.sum(portion)
        reducer.meet()

    return call


def _call(communicator: Communicator, operation: str, size: int) -> Callable[[], object]:
    array = communicator.allocate(max(1, size // 4), np.float32)
    if operation == "allgather":
        return lambda: communicator.allgather(array)
    in_place = {"allreduce": communicator.allreduce_, "broadcast": communicator.broadcast_}[operation]
    return lambda: in_place(array)


def _median(communicator: Communicator, call: Callable[[], object], seconds: float) -> float:
    first = _times(communicator, call, 3).min()
    calls = int(np.clip(seconds / max(first, 1e-9), _LEAST_CALLS, _MOST_CALLS))
    return float(np.median(_times(communicator, call, calls)))


def _times(communicator: Communicator, call: Callable[[], object], calls: int) -> np.ndarray:
    """Of some calls the longest time that any rank took."""
    taken = np.empty(calls)
    for index in range(calls):
        communicator.barrier()
        begun = time.perf_counter()
        call()
        taken[index] = time.perf_counter() - begun
    return np.max(communicator.allgather(taken), axis=0)


def fit(sizes: Sequence[float], seconds: Sequence[float]) -> Line:
    """The line through measured times, such that relative errors are least.

    >>> fit([0, 1e3, 1e6], [0.001, 0.002, 1.001])
    Line(latency=0.001, bandwidth=1000000.0)
    """
    given = np.asarray(seconds, np.float64)
    table = np.stack([np.ones(len(sizes)), np.asarray(sizes, np.float64)], axis=1) / given[:, None]
    latency, per_byte = np.linalg.lstsq(table, np.ones(len(sizes)), rcond=None)[0]
    # Noise can tilt the line; what a message cannot be faster than is then the best that was seen.
    latency = max(float(latency), 0.5 * float(given.min()))
    per_byte = max(float(per_byte), 1e-3 * float(np.min(given / np.maximum(sizes, 1))))
    return Line(float(f"{latency:.6g}"), float(f"{1 / per_byte:.6g}"))


def bucket_cap_mb(allreduce: Line) -> float:
    """The smallest bucket, in MB, that is reduced at nine tenths of the bandwidth.

    Smaller buckets spend their time on latency; larger ones begin later, and the last of them, which nothing is
    left to hide, lasts longer.

    >>> bucket_cap_mb(Line(latency=50e-6, bandwidth=1e9))
    0.4
    """
    megabytes = _SHARE / (1 - _SHARE) * allreduce.latency * allreduce.bandwidth / 2**20
    # Two digits say all that such a measurement knows.
    rounded = float(f"{megabytes:.1g}") if megabytes < 1 else float(round(megabytes))
    return min(max(rounded, _SMALLEST_CAP), _LARGEST_CAP)
