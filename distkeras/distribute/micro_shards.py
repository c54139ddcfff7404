"""Sums that do not depend on the number of ranks: `deterministic=True`.

    global batch   | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |       a fixed number of micro-shards, each computed alone
                     \\ /     \\ /     \\ /     \\ /
                      +       +       +       +            one binary tree over them, which is a function of their
                        \\   /           \\   /              number alone
    rank 0 of 3    | 0   1 |
    rank 1                 | 2   3   4 |                   a rank holds neighbours, adds up the subtrees that are
    rank 2                             | 5   6   7 |       all its own, and gets the others' roots

Floating-point addition is not associative: a sum over ranks of sums over slices differs from rank count to rank count
in its last bits. Here every addition has the same operands whoever makes it.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras._errors import DistributionError
from distkeras.distribute.communicator import Communicator

_CHUNK = 1 << 20  # elements that are gathered at a time, so that memory does not grow with ranks x weights


class MicroShard(NamedTuple):
    """Rows [start, stop) of a global batch, the `index`-th of its micro-shards; index None stands for no rows."""

    index: int | None
    start: int
    stop: int


class MicroShards:
    """How the steps of a strategy are cut, and where in a step this rank is.

    Args:
        communicator: The ranks.
        most: Micro-shards of a global batch; one of fewer rows has as many as rows.

    Attributes:
        count: Micro-shards of the step under way.
        current: The one that is computed now.
        is_last: Whether it is this rank's last one of the step.
        begun: How many steps were begun; one that was broken off leaves its sums behind.
    """

    def __init__(self, communicator: Communicator, most: int) -> None:
        self.communicator = communicator
        self.most = most
        self.count = 0
        self.current = MicroShard(None, 0, 0)
        self.is_last = False
        self.begun = 0

    def rows_of_rank(self, rows: int) -> tuple[int, int]:
        """The rows [start, stop) of a global batch that are this rank's: whole micro-shards.

        >>> from distkeras.distribute.communicator import SerialCommunicator
        >>> MicroShards(SerialCommunicator(), 16).rows_of_rank(20)
        (0, 20)
        """
        mine = self._mine(rows)
        return mine[0].start, mine[-1].stop

    @contextlib.contextmanager
    def step(self, rows: int) -> Iterator[Iterator[MicroShard]]:
        """Around a step on a global batch of `rows`: gives this rank's micro-shards one by one; at least one, empty."""
        self.count = self._count(rows)
        self.begun += 1
        try:
            yield self._one_by_one(self._mine(rows))
        finally:
            self.count = 0

    def check_under_way(self) -> None:
        """Raise DistributionError outside of a step that is cut."""
        if not self.count:
            raise DistributionError(
                "deterministic=True works with fit, train_on_batch and their kin, which cut each batch into "
                "micro-shards; a loop of one's own does not. Train with model.fit, or without deterministic=True."
            )

    def _count(self, rows: int) -> int:
        return max(1, min(self.most, rows))

    def _mine(self, rows: int) -> list[MicroShard]:
        count = self._count(rows)
        first, stop = bounds(count, self.communicator.rank, self.communicator.size)
        shards = [MicroShard(index, *bounds(rows, index, count)) for index in range(first, stop)]
        place = bounds(rows, first, count)[0]
        return shards or [MicroShard(None, place, place)]

    def _one_by_one(self, shards: list[MicroShard]) -> Iterator[MicroShard]:
        for shard in shards:
            self.current, self.is_last = shard, shard is shards[-1]
            yield shard


def bounds(size: int, index: int, count: int) -> tuple[int, int]:
    """The `index`-th of `count` parts of a range of `size`: [start, stop)."""
    return size * index // count, size * (index + 1) // count


# --- the tree


class _Node(NamedTuple):
    """The sum of micro-shards [place * 2**level, (place + 1) * 2**level), or what there is of them."""

    level: int
    place: int
    arrays: list[np.ndarray]


class TreeSum:
    """Adds arrays of the micro-shards of a step, in the order of the tree.

    >>> from distkeras.distribute.communicator import SerialCommunicator
    >>> total = TreeSum(MicroShards(SerialCommunicator(), 4))
    >>> with total.shards.step(rows=3) as shards:
    ...     for shard in shards:
    ...         total.add([np.ones(2) * shard.index])
    ...     total.result([np.zeros(2)])
    [array([3., 3.])]
    """

    def __init__(self, shards: MicroShards) -> None:
        self.shards = shards
        self._nodes: list[_Node] = []
        self._begun = 0
        self._free: list[list[np.ndarray]] = []  # memory of nodes that were added to others

    def add(self, arrays: Sequence[np.ndarray]) -> None:
        """Add what the current micro-shard gives; it may change afterwards."""
        if self._begun != self.shards.begun:
            self._begun, self._nodes = self.shards.begun, []
        if self.shards.current.index is None:
            return
        given = list(arrays)
        added = _push(self._nodes, _Node(0, self.shards.current.index, given))
        self._free += [node.arrays for node in added[1:]]  # the first one is the caller's
        if not added:
            self._nodes[-1] = self._nodes[-1]._replace(arrays=self._copied(given))

    def _copied(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        if not self._free:
            return [array.copy() for array in arrays]
        copies = self._free.pop()
        for copy, array in zip(copies, arrays, strict=True):
            np.copyto(copy, array)
        return copies

    def result(self, like: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The sums over all micro-shards of all ranks, which all call; begins anew.

        Args:
            like: Arrays of the shapes and types of the sums.
        """
        nodes, self._nodes = self._nodes, []
        communicator = self.shards.communicator
        if communicator.size == 1:
            return _total(nodes)
        places = [node[:2] for rank in range(communicator.size) for node in self._places(rank)]
        totals = []
        for position, array in enumerate(like):
            mine = np.array([node.arrays[position].reshape(-1) for node in nodes], array.dtype)
            mine = mine.reshape(len(nodes), array.size)
            total = np.empty(array.size, array.dtype)
            for start in range(0, array.size, _CHUNK):
                part = slice(start, start + _CHUNK)
                rows = itertools.chain(*communicator.allgather(mine[:, part], "sums of micro-shards"))
                (total[part],) = _total([_Node(*place, [row]) for place, row in zip(places, rows, strict=True)])
            totals.append(total.reshape(array.shape))
        return totals

    def _places(self, rank: int) -> list[_Node]:
        """The nodes that a rank is left with, without their arrays."""
        nodes: list[_Node] = []
        for index in range(*bounds(self.shards.count, rank, self.shards.communicator.size)):
            _push(nodes, _Node(0, index, []))
        return nodes


def _push(nodes: list[_Node], node: _Node) -> list[_Node]:
    """Append a node, added to the one before as often as that is its left sibling; gives the nodes that were added."""
    added = []
    while nodes and node.place % 2 and nodes[-1][:2] == (node.level, node.place - 1):
        left = nodes.pop()
        added.append(node)
        node = _Node(node.level + 1, node.place // 2, _sums(left.arrays, node.arrays))
    nodes.append(node)
    return added


def _total(nodes: Sequence[_Node]) -> list[np.ndarray]:
    """The root; where micro-shards are not a power of two, the subtrees left over are added from the right."""
    joined: list[_Node] = []
    for node in nodes:
        _push(joined, node)
    total = joined.pop().arrays
    while joined:
        total = _sums(joined.pop().arrays, total)
    return total


def _sums(left: list[np.ndarray], right: list[np.ndarray]) -> list[np.ndarray]:
    return [np.add(one, other, out=one) for one, other in zip(left, right, strict=True)]


# --- gradients


class TreeReducer:
    """Sums a gradient arena over the micro-shards of a step.

    Args:
        shards: Those of the strategy.
        flat: The arena.
    """

    ready: tuple = ()
    times: tuple = ()
    is_alone = False
    takes_micro_shards = True

    def __init__(self, shards: MicroShards, flat: np.ndarray) -> None:
        self._shards = shards
        self._flat = flat
        self._sum = TreeSum(shards)
        self._rows: dict[Any, list[np.ndarray]] = {}
        self._begun = 0

    @property
    def is_complete(self) -> bool:
        """Whether after the micro-shard under way all gradients are there."""
        return self._shards.is_last

    def finish(self) -> None:
        """Take in a micro-shard's gradients; after the last one, the arena holds the sum over all ranks."""
        self._shards.check_under_way()
        self._sum.add([self._flat])
        if self.is_complete:
            (self._flat[...],) = self._sum.result([self._flat])

    def join(self, rows: np.ndarray, key: Any) -> np.ndarray:
        """Rows of the micro-shards so far; after the last one, those of all ranks, in the order of the micro-shards.

        Args:
            rows: Of this micro-shard.
            key: What they are rows of.
        """
        self._shards.check_under_way()
        if self._begun != self._shards.begun:
            self._begun, self._rows = self._shards.begun, {}
        kept = self._rows.setdefault(key, [])
        kept.append(rows.copy())
        if not self.is_complete:
            return rows
        del self._rows[key]
        return np.concatenate(self._shards.communicator.allgather(np.concatenate(kept), "rows of gradients"))
