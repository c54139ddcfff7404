"""Portions of shared arenas updated by gradients that are sums over the whole batch already: `deterministic=True`.

    gradients, each rank   |  sums      |   .. its own memory: the whole, or its portion only
    parameters, slots      |  rank 0   |  rank 1   |        one copy, each rank updates a portion

The rest is as in `shared_arena`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.distribute.node import Node
from distkeras.distribute.reducers import Reducer, at_edges
from distkeras.distribute.shared_arena import SharedReducer
from distkeras.distribute.shared_sums import LeftOut
from distkeras.kernels.compile import Kernel


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

    def portions(self, runs: Sequence[slice], edges: Sequence[int] | None) -> list[slice]:
        return at_edges(super().portions(runs, edges), edges)

    def blocks(self, portions: Sequence[slice]) -> list[slice]:
        return list(portions)

    def sum(self, part: slice) -> None:
        """Nothing: it is summed."""

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
            self._left_out.add_up()
            self._node.meet("add up gradients as a whole")
