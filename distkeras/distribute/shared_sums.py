"""Sums of micro-shards in memory of the node: each rank adds up what it wants of the totals, where it wants it.

    sums, rank 0   | dense/kernel | dense/bias | loss |        a row for each subtree of a rank
    sums, rank 1   | dense/kernel | dense/bias | loss |

    all ranks write theirs | meet | each adds up: its portion of gradients, all of the rest | meet | rows are free again

Nothing is sent, and no total is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core.arena import Layout, allocate
from distkeras.core.host import HostCall
from distkeras.core.spec import TensorSpec
from distkeras.distribute.node import Node, NoSharedMemory
from distkeras.distribute.sum_tree import Node as Subtree
from distkeras.distribute.sum_tree import additions
from distkeras.kernels.compile import Calls
from distkeras.kernels.tree_sum import BLOCK, add_over_tree

# What ranks meet for.
_ADD, _FREE = "add up sums of micro-shards", "let others write sums of micro-shards"
NAME = "sums of micro-shards"


class LeftOut:
    """The parts of totals that the last exchange did not add up: they were not wanted then."""

    def __init__(self) -> None:
        self.calls: Calls = []

    def add_up(self) -> None:
        """Add them up after all, while the sums still lie there."""
        for function, arguments in self.calls:
            function(*arguments)
        self.calls = []


class SharedSums:
    """The rows of the exchanges of one function's plans: those of plans alike, as of one that is made anew, are shared.

    Memory is allocated by all ranks together, so that which there is must not be up to what a rank still refers to.

    Args:
        node: Gives this rank's node, which all ranks of the job are on; None where no memory is shared.
        left_out: Is told what exchanges leave out.
    """

    def __init__(self, node: Callable[[], Node | None], left_out: LeftOut) -> None:
        self._node = node
        self._left_out = left_out
        self._rows: dict[tuple, list[np.ndarray]] = {}

    def exchange(self, number: int, specs: Sequence[TensorSpec], places: Sequence[Sequence[Subtree]]) -> Any:
        """The exchange of some totals, see `graph.rows.Cut`; None where no memory can be shared.

        Args:
            number: Of this exchange in its plan: each has rows of its own.
            specs: The totals.
            places: The subtrees of each rank.
        """
        node = self._node()
        if node is None:
            return None
        kinds = dict.fromkeys(spec.dtype.numpy for spec in specs)
        layouts = {kind: Layout([spec.shape for spec in specs if spec.dtype.numpy == kind], kind) for kind in kinds}
        count = sum(map(len, places))
        key = number, count, *((kind, layout.size) for kind, layout in layouts.items())
        if key not in self._rows:
            try:
                self._rows[key] = node.allocate([((count, layout.size), kind) for kind, layout in layouts.items()])
            except NoSharedMemory:
                self._rows[key] = []
        if not self._rows[key]:
            return None
        rows = dict(zip(kinds, self._rows[key], strict=True))
        columns = {kind: iter(layout.slices) for kind, layout in layouts.items()}
        totals = [(rows[spec.dtype.numpy], next(columns[spec.dtype.numpy])) for spec in specs]
        first = sum(map(len, places[: node.rank]))
        mine = slice(first, first + len(places[node.rank]))
        tree = additions([subtree for of_rank in places for subtree in of_rank])
        return _Exchange(node, specs, totals, mine, tree, self._left_out)


class _Exchange(HostCall):
    """A call that takes this rank's sums where the others see them, and gives totals.

    Args:
        node: The ranks.
        specs: The totals.
        totals: For each [subtrees, elements] in memory of the node, and which of the elements it is.
        mine: The subtrees of this rank.
        tree: The additions that join all subtrees.
        left_out: Is told what is not added up.
    """

    def __init__(
        self, node: Node, specs: Sequence[TensorSpec], totals: Sequence[tuple[np.ndarray, slice]], mine: slice,
        tree: np.ndarray, left_out: LeftOut,
    ) -> None:  # fmt: skip
        self._node = node
        self._totals = totals
        self._tree = tree
        self._left_out = left_out
        count = mine.stop - mine.start
        pins = [
            rows[mine, columns].reshape(count, *spec.shape) for spec, (rows, columns) in zip(specs, totals, strict=True)
        ]
        self._rooms = {rows.dtype: allocate(len(tree) * BLOCK, rows.dtype).reshape(-1, BLOCK) for rows, _ in totals}
        super().__init__(NAME, lambda *outputs: self._run(*self._divided(outputs, {})), pins, output_specs=specs)

    def calls(self, outputs: Sequence[np.ndarray], parts: Sequence[Sequence[slice] | None]) -> Calls:
        return [(self._run, self._divided(outputs, dict(enumerate(parts))))]

    def _divided(self, outputs: Sequence[np.ndarray], parts: dict[int, Sequence[slice] | None]) -> tuple[Calls, Calls]:
        """The additions that give what is wanted, and those that give the whole of what they give in part."""
        wanted, rest = [], []
        for index, (output, (rows, columns)) in enumerate(zip(outputs, self._totals, strict=True)):
            flat, some = output.reshape(-1), parts.get(index)
            whole = self._addition(rows, columns.start, flat)
            if some is None:
                wanted.append(whole)
            else:
                wanted += [self._addition(rows, columns.start + part.start, flat[part]) for part in some]
                rest.append(whole)
        return wanted, rest

    def _addition(self, rows: np.ndarray, first: int, out: np.ndarray) -> tuple[Callable, tuple]:
        function = add_over_tree[rows.dtype] if rows.dtype in (np.float32, np.float64) else _add_over_tree
        return function, (rows, first, self._tree, self._rooms[rows.dtype], out)

    def _run(self, wanted: Calls, rest: Calls) -> None:
        self._node.meet(_ADD)
        for function, arguments in wanted:
            function(*arguments)
        self._left_out.calls = rest
        self._node.meet(_FREE)


def _add_over_tree(rows: np.ndarray, first: int, tree: np.ndarray, room: Any, out: np.ndarray) -> None:
    """The kernel for types that it is not compiled for."""
    sums = [row[first : first + out.size] for row in rows]
    for left, right in tree:
        sums.append(np.add(sums[left], sums[right]))
    np.copyto(out, sums[-1])
