"""Portions of shared arenas updated by gradients that are sums over the whole batch already: `deterministic=True`.

    gradients, each rank   |  sums      |   .. its own memory: the whole, or its portion only
    parameters, slots      |  rank 0   |  rank 1   |        one copy, each rank updates a portion

The rest is as in `shared_arena`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core.arena import allocate
from distkeras.distribute.node import Node
from distkeras.distribute.reducers import Reducer, at_edges
from distkeras.distribute.shared_arena import SharedReducer
from distkeras.distribute.shared_sums import LeftOut, Total
from distkeras.kernels.compile import Calls, Kernel
from distkeras.kernels.copy import copy_flat

# Elements that are summed and updated at a time: they stay in the cache, and are a multiple of what portions begin at.
_BLOCK = 8192


class SummedReducer(SharedReducer):
    """Has nothing to sum; says which portion is this rank's to update.

    Args:
        node: The ranks, all of the job.
        flat: This rank's gradients.
        notes: As for `SharedReducer`.
        leave: Called when ranks have left.
        left_out: What exchanges have not added up of the gradients, as this rank updates its portion only.
    """

    has_whole = True

    def __init__(
        self, node: Node, flat: np.ndarray, notes: np.ndarray, leave: Callable[[], None], left_out: LeftOut
    ) -> None:
        super().__init__(node, flat[np.newaxis], notes, _Completed(node, left_out), leave)
        self._flat = flat
        self._left_out = left_out
        self._sums = allocate(_BLOCK, flat.dtype)

    def portions(self, runs: Sequence[slice], edges: Sequence[int] | None) -> list[slice]:
        return at_edges(super().portions(runs, edges), edges)

    def blocks(self, portions: Sequence[slice]) -> list[slice]:
        return list(portions)

    def sum(self, part: slice) -> None:
        """Nothing: it is summed."""

    def with_what_is_left(self, portions: Sequence[slice], calls: Calls) -> Calls:
        totals = self._left_out.take(self._flat)
        if not totals:
            return calls
        pieces = [piece for part in portions for piece in _pieces(totals, part)]
        made = [total.addition(start, self._flat[place]) for place, total, start in pieces]
        rest = [total.whole() for total in totals.values()]
        return [(self._left_out.note, (rest,)), *made, *calls, (self._left_out.note, ([],))]

    def exchange_calls(
        self,
        rule: Kernel,
        arrays: Callable[[slice], Sequence[np.ndarray]],
        parts: Sequence[slice],
        scalars: Sequence[Any],
        begin: Calls,
        apart: Callable[[], object],
    ) -> Calls:
        totals = self._left_out.take(self._flat)
        if not totals:
            return super().exchange_calls(rule, arrays, parts, scalars, begin, apart)
        updates = [call for part in parts for call in self._block_calls(rule, arrays(part), part, scalars, totals)]
        rest = [total.whole() for total in totals.values()]
        return self._between_meetings([*begin, *updates], functools.partial(self._left_out.note, rest), apart)

    def _block_calls(
        self, rule: Kernel, arrays: Sequence[np.ndarray], part: slice, scalars: Sequence[Any], totals: dict[int, Total]
    ) -> Calls:
        """The rule for a portion, block by block: what was left of its gradients is made first, the rest copied."""
        calls: Calls = []
        for start in range(part.start, part.stop, _BLOCK):
            block = slice(start, min(start + _BLOCK, part.stop))
            sums, given = self._sums[: block.stop - start], self._flat[block]
            pieces = _pieces(totals, block)
            if sum(place.stop - place.start for place, _, _ in pieces) < sums.size:
                calls.append((copy_flat[sums.dtype], (given, sums)))
            calls += [
                total.addition(first, sums[place.start - start : place.stop - start]) for place, total, first in pieces
            ]
            parameters, _, *slots = (array[start - part.start : block.stop - part.start] for array in arrays)
            calls.append((rule[sums.dtype], (parameters, sums, *slots, *scalars)))
        return calls

    def _rule_call(
        self, rule: Kernel, rows: np.ndarray, arrays: Sequence[np.ndarray], part: slice, scalars: Sequence[Any]
    ) -> tuple[Callable, tuple]:
        # The kernel that a process alone uses: compiled into another one, it might round otherwise.
        return rule[rows.dtype], (*arrays, *scalars)

    def totals(self, values: np.ndarray) -> np.ndarray:
        return values


class _Completed(Reducer):
    """For gradients that ranks need as a whole from now on, since some have left: once they are completed."""

    def __init__(self, node: Node, left_out: LeftOut) -> None:
        self._node = node
        self._left_out = left_out
        self._is_done = False

    def finish(self) -> None:
        if not self._is_done:
            self._is_done = True
            self._left_out.complete()
            self._node.meet("add up gradients as a whole")


def _pieces(totals: dict[int, Total], part: slice) -> list[tuple[slice, Total, int]]:
    """The ranges of a part of an arena that are of some totals, and at which of their elements they begin."""
    found = []
    for first, total in totals.items():
        start, stop = max(first, part.start), min(first + total.out.size, part.stop)
        if start < stop:
            found.append((slice(start, stop), total, start - first))
    return found
