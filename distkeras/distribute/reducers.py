"""Sums over ranks: of gradient arenas, while the rest of them is still being computed, and of any other tensors.

Each comes in two: for several ranks, and for a rank that is alone, which has nothing to do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core.arena import Arena, Layout
from distkeras.core.host import HostCall, host_call
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor
from distkeras.distribute import timeline
from distkeras.distribute.buckets import GradientBuckets
from distkeras.distribute.communicator import Communicator
from distkeras.distribute.node import Node
from distkeras.kernels.compile import Calls, Kernel
from distkeras.kernels.copy import copy_flat
from distkeras.kernels.summed_update import rule_of_whole
from distkeras.kernels.update import sum_rows

_SUMS = "metrics and other sums"
_SUMMED = (np.float32, np.float64)  # by kernels


class Reducer:
    """What an optimizer asks of who sums a gradient arena; this one has nothing to do, for its rank is alone.

    finish -> [sum | totals | update] for what `portions` says -> meet

    Attributes:
        ready: (slice of the arena, callback) pairs: call back once all gradients in the slice are written.
        times: When each bucket of the last step was started, begun and ended.
        is_complete: Whether the sums are those to update by, rather than a part of them.
        is_alone: Whether there is nothing to sum: gradients can be used up one by one.
        sums_at_once: Whether portions are to be summed as a whole before they are updated.
        has_whole: Whether all gradients are there on each rank, whatever its portion.
        takes_rules: Whether `update_by` is the way to sum and update, where a kernel does the update.
    """

    ready: Any = ()
    times: Any = ()
    is_alone = False
    is_complete = True
    sums_at_once = False
    has_whole = False
    takes_rules = False

    def finish(self) -> None:
        """Wait until the gradients of all ranks are there."""

    def join(self, rows: np.ndarray, key: Any) -> np.ndarray:
        """The rows of all ranks, one rank's after the other's: what is summed of a gradient that has few of them."""
        return rows

    def portions(self, runs: Sequence[slice], edges: Sequence[int] | None) -> Sequence[slice]:
        """What this rank is to update of some ranges of the arena.

        Args:
            runs: The ranges.
            edges: Where they may be cut, None for anywhere.
        """
        return runs

    def blocks(self, portions: Sequence[slice]) -> Sequence[slice]:
        """Portions cut into what is best summed and updated in one go, where they may be cut anywhere."""
        return portions

    def sum(self, part: slice) -> None:
        """Have the sum over all ranks in a part of a portion, if `finish` has not brought it there."""

    def update_by(
        self, rule: Kernel, arrays: Sequence[np.ndarray], part: slice, scalars: Sequence[Any], is_summed: bool
    ) -> None:
        """Sum a portion and update by the sums.

        Args:
            rule: A kernel of `kernels.update`.
            arrays: Parameters, gradients and slots, cut to the portion.
            part: The portion.
            scalars: The rest of the kernel's arguments.
            is_summed: Whether the portion has been summed already.
        """
        raise NotImplementedError(f"{type(self).__name__} does not take rules")

    def totals(self, values: np.ndarray) -> np.ndarray:
        """The sums of float64 numbers that are about the portion of each rank."""
        return values

    def rows(self, flat: np.ndarray) -> np.ndarray:
        """[ranks, elements]: all that this rank sees of the gradients, of which `flat` is its own arena."""
        return flat[np.newaxis]

    def with_what_is_left(self, portions: Sequence[slice], calls: Calls) -> Calls:
        """The calls of an update of portions, and those that make what a plan has left to it."""
        return calls

    def meet(self) -> None:
        """Wait until all ranks have updated their portions."""

    def mine(self, items: Sequence[Any]) -> Sequence[Any]:
        """Those of some variables of which this rank is to change the whole, after all portions are updated."""
        return items


class GradientReducer(Reducer):
    """Sums a gradient arena over the ranks, bucket by bucket, while the rest of it is still being computed."""

    def __init__(self, communicator: Communicator, flat: np.ndarray, boundaries: Sequence[int]) -> None:
        self._buckets = GradientBuckets(communicator, flat, boundaries)
        self.ready = [
            (part, lambda index=index: self._buckets.start(index)) for index, part in enumerate(self._buckets.slices)
        ]
        self.finish = self._buckets.wait
        self._communicator = communicator

    def join(self, rows: np.ndarray, key: Any) -> np.ndarray:
        return np.concatenate(self._communicator.allgather(rows, "rows of gradients"))

    @property
    def times(self) -> list:
        return self._buckets.times


class NothingToReduce(Reducer):
    """The reducer of a rank that is alone."""

    is_alone = True

    def __init__(self, communicator: Communicator, flat: np.ndarray, boundaries: Sequence[int]) -> None:
        pass


class SummedAlready(NothingToReduce):
    """For gradients of whole batches, as every rank has them in deterministic mode."""

    is_alone = False  # they are sums over micro-shards before they are gradients
    takes_rules = True

    def portions(self, runs: Sequence[slice], edges: Sequence[int] | None) -> Sequence[slice]:
        return at_edges(runs, edges)

    def update_by(
        self, rule: Kernel, arrays: Sequence[np.ndarray], part: slice, scalars: Sequence[Any], is_summed: bool
    ) -> None:
        function, arguments = rule_of_whole(rule, arrays, scalars)
        function(*arguments)

    def exchange_calls(
        self,
        rule: Kernel,
        arrays: Callable[[slice], Sequence[np.ndarray]],
        parts: Sequence[slice],
        scalars: Sequence[Any],
        begin: Calls,
        apart: Callable[[], object],
    ) -> Calls:
        """All from `finish` to `meet` as calls of kernels; see `SharedReducer`."""
        return [*begin, *(rule_of_whole(rule, arrays(part), scalars) for part in parts)]


def at_edges(runs: Sequence[slice], edges: Sequence[int] | None) -> Sequence[slice]:
    """Ranges cut at all edges in them: what is updated together must not be up to the number of ranks.

    >>> at_edges([slice(0, 5), slice(6, 9)], [0, 2, 6])
    [slice(0, 2, None), slice(2, 5, None), slice(6, 9, None)]
    """
    if edges is None:
        return runs
    bounds = [[run.start, *(edge for edge in edges if run.start < edge < run.stop), run.stop] for run in runs]
    return [slice(*pair) for each in bounds for pair in zip(each, each[1:], strict=False)]


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


def sum_over(
    communicator: Communicator, tensors: Sequence[Tensor], node: Callable[[], Node | None] = lambda: None
) -> list[Tensor]:
    """The sum of each tensor over the ranks: one exchange for all tensors of a type.

    Args:
        communicator: The ranks.
        tensors: The tensors.
        node: Gives this rank's node, when all ranks have it: small sums are made in its memory.
    """
    if communicator.size == 1:
        return list(tensors)
    results: dict[int, Tensor] = {}
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        chosen = [(i, tensor) for i, tensor in enumerate(tensors) if tensor.dtype is dtype]
        sums = _Sums(communicator, [tensor.spec for _, tensor in chosen], node)
        totals = host_call(sums.host, *(tensor for _, tensor in chosen))
        results.update((i, total) for (i, _), total in zip(chosen, totals, strict=True))
    return [results[i] for i in range(len(tensors))]


class _Sums:
    """The sums of some tensors of one type.

    Attributes:
        host: The call that makes them.
    """

    def __init__(
        self, communicator: Communicator, specs: Sequence[TensorSpec], node: Callable[[], Node | None]
    ) -> None:
        self._communicator = communicator
        self._node = node
        self._arena = Arena(Layout([tuple(spec.shape) for spec in specs], specs[0].dtype.numpy))
        # A timeline shows each wait, which a native run does not.
        lowered = self._calls if timeline.current() is timeline.OFF else None
        self.host = HostCall("all_sum", self._run, self._arena.views, output_specs=specs, as_kernels=lowered)

    def _run(self, *outputs: np.ndarray) -> None:
        room = self._room()
        if room is None:
            self._communicator.allreduce_(self._arena.flat, _SUMS)
        else:
            for function, arguments in self._exchange(room, functools.partial(self._node().meet, _SUMS)):
                function(*arguments)
        for output, view in zip(outputs, self._arena.views, strict=True):
            np.copyto(output, view)

    def _calls(self, outputs: Sequence[np.ndarray]) -> Calls:
        room = self._room()
        if room is None:
            return []
        meeting = self._node().meeting(_SUMS)
        copies = [(np.copyto, (output, view)) for output, view in zip(outputs, self._arena.views, strict=True)]
        return [*self._exchange(room, *meeting), *copies]

    def _room(self) -> np.ndarray | None:
        """[ranks, elements]: memory that all ranks see; None where sums are to go by message."""
        node, flat = self._node(), self._arena.flat
        fits = node is not None and node.spans_job and 0 < flat.nbytes <= node.room.shape[1]
        return node.room.view(flat.dtype)[:, : flat.size] if fits and flat.dtype in _SUMMED else None

    def _exchange(self, room: np.ndarray, meet: Callable, given: tuple = ()) -> Calls:
        mine, flat, kind = room[self._node().rank], self._arena.flat, self._arena.flat.dtype
        # The second meeting: nobody writes anything else there before all have read it.
        return [(copy_flat[kind], (flat, mine)), (meet, given), (sum_rows[kind], (room, flat)), (meet, given)]
