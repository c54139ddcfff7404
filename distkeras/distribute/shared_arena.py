"""Gradients that the ranks of a node sum where they lie, each rank a portion of them, whose variables it then updates.

    gradients, rank 0   |===========|...........|        a row for each rank of the node
    gradients, rank 1   |...........|===========|
    parameters, slots   |  rank 0   |  rank 1   |        one copy, each rank updates a portion

    backward, on every rank | meet | sum and update the own portion, block by block | meet | forward
                              |                                                       |
              all gradients are written, all parameters read         all parameters are updated

Between nodes each rank sums its portion with the ranks of its place on the other nodes.

Only an optimizer's update may change what is shared: another write would be made by every rank. So before one, a rank
leaves (`ParameterArena.leave`): it takes a copy. The others learn of it when they next meet, and leave too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.distribute.communicator import Communicator
from distkeras.distribute.micro_shards import bounds
from distkeras.distribute.node import Node
from distkeras.distribute.reducers import GradientReducer, Reducer
from distkeras.kernels import update
from distkeras.kernels.compile import Calls, Kernel
from distkeras.kernels.summed_update import rule_of_sums

# Portions begin at multiples of so many elements: kernels then treat each element alike, wherever they are cut.
_UNIT = 64
# Elements that are summed and updated at a time, such that the sums are still in the cache for the update.
_BLOCK = 1 << 15
# What ranks meet for.
_SUM, _UPDATE = "sum gradients", "update variables"


class SharedReducer(Reducer):
    """Sums gradients over the ranks, portion by portion.

    Args:
        node: The ranks that share memory.
        rows: [ranks of the node, elements]: their gradients, in shared memory.
        notes: [ranks of the node, 1 + variables]: shared memory for whether each rank has left, and for partial sums.
        apart: Sums whole gradients, for when ranks have left.
        leave: Called when they have.
        between: Sums gradients of this rank's place over the nodes; the node's `peers` by default.
    """

    takes_rules = True

    def __init__(
        self,
        node: Node,
        rows: np.ndarray,
        notes: np.ndarray,
        apart: GradientReducer,
        leave: Callable[[], None],
        between: Communicator | None = None,
    ) -> None:
        self._node = node
        self._between = between or node.peers
        self._rows = rows
        self._notes, self._left, self._partial = notes, notes[:, 0], notes[:, 1:]
        self.apart = apart
        self._leave = leave
        self._ends = np.minimum(np.arange(len(rows)), 1)  # in the order of the ranks
        self._add = update.sum_rows_into[rows.dtype]
        self.sums_at_once = not node.spans_job

    def note_leaving(self) -> None:
        """Let the other ranks know that this one has taken a copy."""
        self._left[self._node.rank] = 1

    def finish(self) -> None:
        if self.learn_who_left():
            self._sum_apart()

    def _sum_apart(self) -> None:
        self._leave()
        for _, callback in self.apart.ready:
            callback()
        self.apart.finish()

    def learn_who_left(self) -> bool:
        """Meet the others; whether any rank of the job has left."""
        self._node.meet(_SUM)
        if self._node.spans_job:
            return bool(self._left.any())
        left = np.array([self._left.any()], np.int32)
        self._node.peers.allreduce_(left, "whether memory is shared")
        return bool(left[0])

    def portions(self, runs: Sequence[slice], edges: Sequence[int] | None) -> list[slice]:
        return [part for run in runs if (part := self._portion(run, edges)).stop > part.start]

    def _portion(self, run: slice, edges: Sequence[int] | None) -> slice:
        size = run.stop - run.start
        if edges is None:
            first, stop = bounds(-(-size // _UNIT), self._node.rank, self._node.size)
            return slice(run.start + first * _UNIT, min(run.start + stop * _UNIT, run.stop))
        inside = [edge for edge in edges if run.start <= edge < run.stop] + [run.stop]
        middles = [(low + high) / 2 - run.start for low, high in zip(inside, inside[1:], strict=False)]
        first, stop = (sum(middle * self._node.size < size * place for middle in middles) for place in self._places())
        return slice(inside[first], inside[stop])

    def _places(self) -> tuple[int, int]:
        return self._node.rank, self._node.rank + 1

    def blocks(self, portions: Sequence[slice]) -> list[slice]:
        if self.sums_at_once:
            return list(portions)
        return [
            slice(start, min(start + _BLOCK, part.stop))
            for part in portions
            for start in range(part.start, part.stop, _BLOCK)
        ]

    def sum(self, part: slice) -> None:
        self._add(self._rows, self._node.rank, part.start, part.stop)
        if not self._node.spans_job:
            self._between.allreduce_(self._rows[self._node.rank, part], "gradients")

    def update_by(
        self, rule: Kernel, arrays: Sequence[np.ndarray], part: slice, scalars: Sequence[Any], is_summed: bool
    ) -> None:
        own = self._node.rank
        rows = self._rows[own : own + 1] if is_summed else self._rows
        function, arguments = self._rule_call(rule, rows, arrays, part, scalars)
        function(*arguments)

    def _rule_call(
        self, rule: Kernel, rows: np.ndarray, arrays: Sequence[np.ndarray], part: slice, scalars: Sequence[Any]
    ) -> tuple[Callable, tuple]:
        whole = [(0, part.stop - part.start, part.start)]
        return rule_of_sums(rule, rows, whole, self._ends[: len(rows)], [*arrays, *scalars])

    def exchange_calls(
        self,
        rule: Kernel,
        arrays: Callable[[slice], Sequence[np.ndarray]],
        parts: Sequence[slice],
        scalars: Sequence[Any],
        begin: Calls,
        apart: Callable[[], object],
    ) -> Calls:
        """All from `finish` to `meet` as calls of kernels: a meeting, the rule for each portion, a meeting.

        Args:
            rule: A kernel of `kernels.update`.
            arrays: Gives parameters, gradients and slots, cut to a portion.
            parts: The portions.
            scalars: The rest of the kernel's arguments.
            begin: Calls that come before the rule.
            apart: Called in the place of all that follows the first meeting if ranks have left: it is as after
                `finish` then.
        """
        updates = [self._rule_call(rule, self._rows, arrays(part), part, scalars) for part in parts]
        return self._between_meetings([*begin, *updates], apart)

    def _between_meetings(self, calls: Calls, *apart: Callable[[], object]) -> Calls:
        """Calls with a meeting before and after; what is done instead if ranks have left, the last after `finish`."""

        def turn_back() -> int:
            *before, after = apart
            for function in before:
                function()
            self._sum_apart()
            after()
            return len(calls) + 1

        return [self._node.meeting(_SUM, self._notes, turn_back), *calls, self._node.meeting(_UPDATE)]

    def totals(self, values: np.ndarray) -> np.ndarray:
        place = self._partial[:, : values.size]
        place[self._node.rank] = values
        self._node.meet("clip gradients")
        return place.sum(axis=0)

    def rows(self, flat: np.ndarray) -> np.ndarray:
        return self._rows

    def meet(self) -> None:
        self._node.meet(_UPDATE)

    def mine(self, items: Sequence[Any]) -> Sequence[Any]:
        return items[self._node.rank :: self._node.size]


class LeavingReducer(Reducer):
    """Sums whole gradients, once the other ranks know that this one has left what they shared.

    Args:
        shared: What it has left.
    """

    def __init__(self, shared: SharedReducer) -> None:
        self._shared = shared
        self._is_known = False
        self.ready = shared.apart.ready
        self.join = shared.apart.join

    def finish(self) -> None:
        if not self._is_known:
            self._shared.learn_who_left()
            self._is_known = True
        self._shared.apart.finish()
