"""Sums of micro-shards in memory of the node: each rank adds up what it wants of the totals, where it wants it.

    sums, rank 0   | dense/kernel | dense/bias | loss |        a row for each subtree of a rank
    sums, rank 1   | dense/kernel | dense/bias | loss |

    all ranks write theirs | meet | each adds up what it wants | meet

Nothing is sent, and no total is copied. Gradients are left to their update (`summed_arena`), where a rank adds up its
portion, block by block, and updates by it while it is in the cache. Rows are written again after the last meeting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras.core.arena import Layout, allocate
from distkeras.core.host import HostCall
from distkeras.core.spec import TensorSpec
from distkeras.distribute import timeline
from distkeras.distribute.node import Node, NoSharedMemory
from distkeras.distribute.sum_tree import Node as Subtree
from distkeras.distribute.sum_tree import ends as ends_of
from distkeras.kernels.compile import Calls
from distkeras.kernels.tree_sum import BLOCK, add_over_tree, most_waiting

# What ranks meet for.
_ADD, _FREE = "add up sums of micro-shards", "let others write sums of micro-shards"
NAME = "sums of micro-shards"


class Total(NamedTuple):
    """How a total is added up.

    Attributes:
        out: Where it is wanted, flat.
        rows: [subtrees, elements]: what is added up.
        first: The column of its first element.
        ends, room: As `kernels.tree_sum` takes them; the room is one row longer.
    """

    out: np.ndarray
    rows: np.ndarray
    first: int
    ends: np.ndarray
    room: np.ndarray

    def addition(self, start: int, out: np.ndarray) -> tuple[Callable, tuple]:
        """The call that gives the elements from `start` on."""
        function = add_over_tree[out.dtype] if out.dtype in (np.float32, np.float64) else _add_over_tree
        return function, (self.rows, self.first + start, self.ends, self.room, out)

    def whole(self) -> tuple[Callable, tuple]:
        """The call that gives all where it is wanted."""
        return self.addition(0, self.out)


class LeftOut:
    """Totals that exchanges have left to who reads them, as long as a plan is made; and those not made as it runs."""

    def __init__(self) -> None:
        self._totals: dict[int, Total] = {}
        self._calls: Calls = []

    def leave(self, total: Total) -> None:
        """Leave a total to the reader of where it is wanted."""
        self._totals[total.out.ctypes.data] = total

    def take(self, flat: np.ndarray) -> dict[int, Total]:
        """What is left of an arena, by the first element of each total."""
        first, size = flat.ctypes.data, flat.itemsize
        mine = [place for place in self._totals if first <= place < first + flat.nbytes]
        return {(place - first) // size: self._totals.pop(place) for place in sorted(mine)}

    def note(self, calls: Calls) -> None:
        """Have calls that would make all of what is made in part."""
        self._calls = calls

    def complete(self) -> None:
        """Make them, while the sums still lie there."""
        for function, arguments in self._calls:
            function(*arguments)
        self._calls = []


class SharedSums:
    """The rows of the exchanges of one function's plans: those of plans alike, as of one that is made anew, are shared.

    Memory is allocated by all ranks together, so that which there is must not be up to what a rank still refers to.

    Args:
        node: Gives this rank's node, which all ranks of the job are on; None where no memory is shared.
        left_out: Is given what exchanges leave to readers.
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
        ends = ends_of([subtree for of_rank in places for subtree in of_rank])
        return _Exchange(node, specs, totals, mine, ends, self._left_out)


class _Exchange(HostCall):
    """A call that takes this rank's sums where the others see them, and gives totals.

    Args:
        node: The ranks.
        specs: The totals.
        totals: For each [subtrees, elements] in memory of the node, and which of the elements it is.
        mine: The subtrees of this rank.
        ends: How all subtrees are joined, as `kernels.tree_sum` takes it.
        left_out: Is given what is left to readers.
    """

    def __init__(
        self, node: Node, specs: Sequence[TensorSpec], totals: Sequence[tuple[np.ndarray, slice]], mine: slice,
        ends: np.ndarray, left_out: LeftOut,
    ) -> None:  # fmt: skip
        self._node = node
        self._places = totals
        self._ends = ends
        self._left_out = left_out
        count = mine.stop - mine.start
        pins = [
            rows[mine, columns].reshape(count, *spec.shape) for spec, (rows, columns) in zip(specs, totals, strict=True)
        ]
        size = (most_waiting(ends) + 1) * BLOCK
        self._rooms = {rows.dtype: allocate(size, rows.dtype).reshape(-1, BLOCK) for rows, _ in totals}
        super().__init__(NAME, self._run_whole, pins, output_specs=specs)

    def _run_whole(self, *outputs: np.ndarray) -> None:
        self._add_up([total.whole() for total in self._totals_at(outputs)])

    def calls(self, outputs: Sequence[np.ndarray], parts: Sequence[Sequence[slice] | None]) -> Calls:
        totals = self._totals_at(outputs)
        for total, part in zip(totals, parts, strict=True):
            if part is not None:
                self._left_out.leave(total)
        wanted = [total.whole() for total, part in zip(totals, parts, strict=True) if part is None]
        if timeline.current() is not timeline.OFF:  # it shows each wait, which a native run does not
            return [(self._add_up, (wanted,))]
        # Twice even where all is left to an update, which has meetings of its own: a rank that has left shared memory,
        # as it alone may know, leaves nothing to it, and all have to come as often.
        return [self._node.meeting(_ADD), *wanted, self._node.meeting(_FREE)]

    def _totals_at(self, outputs: Sequence[np.ndarray]) -> list[Total]:
        return [
            Total(output.reshape(-1), rows, columns.start, self._ends, self._rooms[rows.dtype])
            for output, (rows, columns) in zip(outputs, self._places, strict=True)
        ]

    def _add_up(self, wanted: Calls) -> None:
        self._node.meet(_ADD)
        for function, arguments in wanted:
            function(*arguments)
        self._node.meet(_FREE)


def _add_over_tree(rows: np.ndarray, first: int, ends: np.ndarray, room: Any, out: np.ndarray) -> None:
    """The kernel for types that it is not compiled for."""
    sums: list[np.ndarray] = []
    for row, count in zip(rows, ends, strict=True):
        total = row[first : first + out.size]
        for _ in range(count):
            total = np.add(sums.pop(), total)
        sums.append(total)
    np.copyto(out, sums.pop())
