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

from distkeras.distribute.node import Node
from distkeras.distribute.reducers import Reducer, at_edges
from distkeras.distribute.shared_arena import SharedReducer
from distkeras.distribute.shared_sums import LeftOut, Total
from distkeras.kernels.compile import Calls, Kernel
from distkeras.kernels.summed_update import rule_of_sums, rule_of_whole


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
        first = next(iter(totals.values()))
        updates: Calls = []
        for part in parts:
            pieces = _pieces(totals, part)
            # Nearly always there are none of other exchanges.
            updates += [
                total.addition(start, self._flat[place])
                for place, total, start in pieces
                if total.rows is not first.rows
            ]
            table = [
                (place.start - part.start, place.stop - part.start, total.first + start)
                for place, total, start in pieces
                if total.rows is first.rows
            ]
            updates.append(rule_of_sums(rule, first.rows, table, first.ends, [*arrays(part), *scalars]))
        rest = [total.whole() for total in totals.values()]
        return self._between_meetings([*begin, *updates], functools.partial(self._left_out.note, rest), apart)

    def _rule_call(
        self, rule: Kernel, rows: np.ndarray, arrays: Sequence[np.ndarray], part: slice, scalars: Sequence[Any]
    ) -> tuple[Callable, tuple]:
        return rule_of_whole(rule, arrays, scalars)

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
