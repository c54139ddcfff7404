"""Batches cut such that results do not depend on the number of ranks: `deterministic=True`.

    global batch   | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |       a fixed number of micro-shards, over which sums are taken
                     \\ /     \\ /     \\ /     \\ /
                      +       +       +       +            one binary tree over them, which is a function of their
                        \\   /           \\   /              number alone
    rank 0 of 3    | 0   1 |
    rank 1                 | 2   3   4 |                   a rank holds neighbours, adds up the subtrees that are
    rank 2                             | 5   6   7 |       all its own, and for a part of each array the roots of all

Floating-point addition is not associative: a sum over ranks of sums over slices differs from rank count to rank count
in its last bits. Here every addition has the same operands whoever makes it. What is computed for each row needs no
such care, and is computed for all rows of a rank at once (`graph.rows`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core.context import Replica
from distkeras.core.host import HostCall
from distkeras.core.spec import TensorSpec
from distkeras.distribute.communicator import Communicator
from distkeras.distribute.moments import merge_moments
from distkeras.distribute.node import Node
from distkeras.distribute.shared_sums import NAME, LeftOut, SharedSums
from distkeras.distribute.sum_tree import Node as Subtree
from distkeras.distribute.sum_tree import joined, moved, subtrees

_LEAST_ROWS = 4  # of a micro-shard: each one's part of a gradient is written and added, whatever its size


class MicroShards:
    """How batches are cut among the ranks.

    Args:
        communicator: The ranks.
        most: Micro-shards of a global batch; a smaller one has as many as have four rows each.
        node: Gives this rank's node, if all ranks are on it and share memory.

    Attributes:
        left_out: What exchanges did not add up.
    """

    def __init__(self, communicator: Communicator, most: int, node: Callable[[], Node | None] = lambda: None) -> None:
        self.communicator = communicator
        self.most = most
        self.left_out = LeftOut()
        self._node = node

    def memory(self) -> SharedSums:
        """Where the sums of a function's plans lie, if memory is shared."""
        return SharedSums(self._node, self.left_out)

    def count(self, rows: int) -> int:
        """The micro-shards of a global batch.

        >>> from distkeras.distribute.communicator import SerialCommunicator
        >>> shards = MicroShards(SerialCommunicator(), 16)
        >>> [shards.count(rows) for rows in (0, 3, 32, 256)]
        [1, 1, 8, 16]
        """
        return max(1, min(self.most, rows // _LEAST_ROWS))

    def rows_of_rank(self, rows: int) -> tuple[int, int]:
        """The rows [start, stop) of a global batch that are this rank's: whole micro-shards."""
        cut = self.cut(rows)
        return cut.start, cut.stop

    def cut(self, rows: int, memory: SharedSums | None = None) -> BatchCut:
        """How a global batch of so many rows is cut."""
        return BatchCut(self.communicator, rows, self.count(rows), memory)


def bounds(size: int, index: int, count: int) -> tuple[int, int]:
    """The `index`-th of `count` parts of a range of `size`: [start, stop)."""
    return size * index // count, size * (index + 1) // count


class BatchCut:
    """The cut of batches of one size; see `graph.rows.Cut`.

    Attributes:
        place: This rank and the number of ranks.
    """

    def __init__(self, communicator: Communicator, samples: int, count: int, memory: SharedSums | None = None) -> None:
        self.place = rank, size = communicator.rank, communicator.size
        self.samples = samples
        self._count = count
        self._mine = range(*bounds(count, rank, size))
        self.start, self.stop = (bounds(samples, edge, count)[0] for edge in (self._mine.start, self._mine.stop))
        self.longest = -(-samples // count)
        self.is_alone = size == 1
        self._communicator = communicator
        self._memory = memory
        self._exchanges = 0
        self.replica = _CutReplica(communicator, self)

    # What only a plan asks for: a cut is made for each batch.

    @functools.cached_property
    def shards(self) -> list[tuple[int, int]]:
        """[start, stop) of this rank's shards, relative to `start`."""
        edges = [bounds(self.samples, index, self._count) for index in self._mine]
        return [(start - self.start, stop - self.start) for start, stop in edges]

    @functools.cached_property
    def trees(self) -> list[Any]:
        """How these are added up."""
        nodes = subtrees(self._mine)
        return [moved(node.sum, -self._mine.start) for node in ([joined(nodes)] if self.is_alone else nodes)]

    @functools.cached_property
    def _places(self) -> list[list[Subtree]]:
        """The subtrees of each rank."""
        _, size = self.place
        return [subtrees(range(*bounds(self._count, other, size))) for other in range(size)]

    def exchange(self, specs: Sequence[TensorSpec]) -> HostCall:
        """A call that takes each rank's sums, [len(trees), *shape] each, and gives the totals."""
        self._exchanges += 1
        shared = self._memory and self._memory.exchange(self._exchanges, specs, self._places)
        if shared is not None:
            return shared
        sends = _Sends(specs, len(self.trees), max(map(len, self._places)))

        def run(*outputs: np.ndarray) -> None:
            for kind, flat in sends.flats.items():
                self._add_up(flat, sends.totals[kind])
            for output, total in zip(outputs, sends.of_outputs, strict=True):
                np.copyto(output, total)

        return HostCall(NAME, run, pins=sends.pins, output_specs=specs)

    def _add_up(self, mine: np.ndarray, total: np.ndarray) -> None:
        """Each rank adds up a part of the sums, and all get all parts.

        Args:
            mine: [sums, n]: this rank's sums first, as many rows as the rank with most sums has.
            total: [n].
        """
        communicator, purpose = self._communicator, NAME
        parts = [bounds(total.size, rank, communicator.size)[0] for rank in range(communicator.size)] + [total.size]
        by_sum = [communicator.alltoall(row, parts, purpose) for row in mine]
        nodes = [
            node._replace(sum=by_sum[index][rank])
            for rank, places in enumerate(self._places)
            for index, node in enumerate(places)
        ]
        root = joined(nodes, lambda one, other: np.add(one, other, out=one))
        total[parts[communicator.rank] : parts[communicator.rank + 1]] = root.sum
        communicator.allgather_(total, parts, purpose)

    def gather(self, spec: TensorSpec, whole: TensorSpec) -> HostCall:
        """A call that takes the rows of each rank, and gives all."""
        mine = np.empty(spec.shape, spec.dtype.numpy)

        def run(output: np.ndarray) -> None:
            np.concatenate(self.gathered(mine), out=output)

        return HostCall("rows of all ranks", run, pins=[mine], output_specs=[whole])

    def fits(self, mine: bool) -> bool:
        """Whether something is so on all ranks."""
        return all(self._communicator.allgather_object(mine, "whether rows fit"))

    def gathered(self, rows: np.ndarray) -> list[np.ndarray]:
        """The rows of each rank."""
        if rows.dtype.hasobject:
            return self._communicator.allgather_object(rows, "rows of a batch")
        return self._communicator.allgather(rows, "rows of a batch")


class _Sends:
    """Where the sums of a rank lie to be sent, and their totals: one block for each type."""

    def __init__(self, specs: Sequence[TensorSpec], count: int, rows: int) -> None:
        kinds = dict.fromkeys(spec.dtype.numpy for spec in specs)
        sizes = {kind: sum(spec.size for spec in specs if spec.dtype.numpy == kind) for kind in kinds}
        self.flats = {kind: np.zeros((rows, size), kind) for kind, size in sizes.items()}
        self.totals = {kind: np.zeros(size, kind) for kind, size in sizes.items()}
        self.pins, self.of_outputs = [], []
        places = dict.fromkeys(kinds, 0)
        for spec in specs:
            kind = spec.dtype.numpy
            part = slice(places[kind], places[kind] + spec.size)
            places[kind] = part.stop
            self.pins.append(self.flats[kind][:count, part].reshape(count, *spec.shape))
            self.of_outputs.append(self.totals[kind][part].reshape(spec.shape))


class _CutReplica(Replica):
    """What operations that need sums over the whole batch in their midst are given: their parts are micro-shards."""

    is_alone = False

    def __init__(self, communicator: Communicator, cut: BatchCut) -> None:
        super().__init__()
        self._communicator = communicator
        self._cut = cut

    def parts(self, rows: int) -> list[slice]:
        unit = rows // max(self._cut.stop - self._cut.start, 1)
        return [slice(start * unit, stop * unit) for start, stop in self._cut.shards]

    def merge_moments(self, parts: np.ndarray) -> np.ndarray:
        return merge_moments(np.concatenate(self._communicator.allgather(parts, "moments over the batch")))

    def sum_parts(self, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total, *others = np.concatenate(self._communicator.allgather(parts, "sums over the batch"))
        for other in others:
            total += other
        return total, total
