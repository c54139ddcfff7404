"""Sums over ranks: of gradient arenas, while the rest of them is still being computed, and of any other tensors.

Each comes in two: for several ranks, and for a rank that is alone, which has nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.core.arena import Arena, Layout
from distkeras.core.host import HostCall, host_call
from distkeras.core.tensor import Tensor
from distkeras.distribute.buckets import GradientBuckets
from distkeras.distribute.communicator import Communicator


class GradientReducer:
    """Sums a gradient arena over the ranks, bucket by bucket, while the rest of it is still being computed.

    Attributes:
        ready: (slice of the arena, callback) pairs: call back once all gradients in the slice are written.
        is_complete: Whether the sums are those to update by, rather than a part of them.
        is_alone: Whether there is nothing to sum: gradients can be used up one by one.
    """

    is_alone = False
    is_complete = True

    def __init__(self, communicator: Communicator, flat: np.ndarray, boundaries: Sequence[int]) -> None:
        self._buckets = GradientBuckets(communicator, flat, boundaries)
        self.ready = [
            (part, lambda index=index: self._buckets.start(index)) for index, part in enumerate(self._buckets.slices)
        ]
        self.finish = self._buckets.wait
        self._communicator = communicator

    def join(self, rows: np.ndarray, key: Any) -> np.ndarray:
        """The rows of all ranks, one rank's after the other's: what is summed of a gradient that has few of them."""
        return np.concatenate(self._communicator.allgather(rows, "rows of gradients"))

    @property
    def times(self) -> list:
        """When each bucket of the last step was started, begun and ended."""
        return self._buckets.times


class NothingToReduce:
    """The reducer of a rank that is alone."""

    ready: tuple = ()
    times: tuple = ()
    is_alone = True
    is_complete = True

    def __init__(self, communicator: Communicator, flat: np.ndarray, boundaries: Sequence[int]) -> None:
        pass

    def finish(self) -> None:
        """There is nothing to wait for."""

    def join(self, rows: np.ndarray, key: Any) -> np.ndarray:
        """The rows themselves."""
        return rows


class SummedAlready(NothingToReduce):
    """For gradients of whole batches, as every rank has them in deterministic mode."""

    is_alone = False  # they are sums over micro-shards before they are gradients


class LocalReducer(NothingToReduce):
    """Leaves its gradients to a rank for some steps, as large as if the whole batch were like its slice of it."""

    is_alone = False

    def __init__(self, communicator: Communicator, flat: np.ndarray, boundaries: Sequence[int]) -> None:
        self._size = communicator.size
        self._flat = flat

    def finish(self) -> None:
        """Scale the gradients: those of a slice are its share of the batch's."""
        np.multiply(self._flat, self._size, out=self._flat)

    def join(self, rows: np.ndarray, key: Any) -> np.ndarray:
        """The rows themselves, scaled; their numbers are integers."""
        return rows * rows.dtype.type(self._size) if rows.dtype.kind == "f" else rows


def sum_over(communicator: Communicator, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The sum of each tensor over the ranks: one allreduce for all tensors of a type."""
    if communicator.size == 1:
        return list(tensors)
    results: dict[int, Tensor] = {}
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        chosen = [(i, tensor) for i, tensor in enumerate(tensors) if tensor.dtype is dtype]
        buffer = Arena(Layout([tuple(tensor.shape) for _, tensor in chosen], dtype.numpy))

        def run(*outputs: np.ndarray, buffer: Arena = buffer) -> None:
            communicator.allreduce_(buffer.flat, "metrics and other sums")
            for output, view in zip(outputs, buffer.views, strict=True):
                np.copyto(output, view)

        call = HostCall("all_sum", run, pins=buffer.views, output_specs=[tensor.spec for _, tensor in chosen])
        sums = host_call(call, *(tensor for _, tensor in chosen))
        results.update((i, total) for (i, _), total in zip(chosen, sums, strict=True))
    return [results[i] for i in range(len(tensors))]
