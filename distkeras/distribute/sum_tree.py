"""The tree over which sums of micro-shards are added up: a function of their number alone.

A rank holds neighbouring micro-shards. It adds up the largest subtrees that are all its own; their roots are then added
up by whoever needs the total.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras.kernels.tree_sum import postfix


class Node(NamedTuple):
    """The sum of micro-shards [place * 2**level, (place + 1) * 2**level), or what there is of them."""

    level: int
    place: int
    sum: Any


def _pair(left: Any, right: Any) -> Any:
    return left, right


def subtrees(indices: range) -> list[Node]:
    """The largest subtrees that consist of these micro-shards: a sum is an index, or a pair of sums."""
    nodes: list[Node] = []
    for index in indices:
        _push(nodes, Node(0, index, index), _pair)
    return nodes


def _push(nodes: list[Node], node: Node, add: Any) -> None:
    """Append a node, added to the one before as often as that is its left sibling."""
    while nodes and node.place % 2 and nodes[-1][:2] == (node.level, node.place - 1):
        node = Node(node.level + 1, node.place // 2, add(nodes.pop().sum, node.sum))
    nodes.append(node)


def joined(nodes: Sequence[Node], add: Any = _pair) -> Node:
    """The root; where micro-shards are not a power of two, the subtrees left over are added from the right."""
    waiting: list[Node] = []
    for node in nodes:
        _push(waiting, node, add)
    root = waiting.pop()
    while waiting:
        root = root._replace(sum=add(waiting.pop().sum, root.sum))
    return root


def moved(tree: Any, by: int) -> Any:
    """A tree of sums with its micro-shards numbered otherwise."""
    return tree + by if isinstance(tree, int) else tuple(moved(part, by) for part in tree)


def ends(nodes: Sequence[Node]) -> np.ndarray:
    """How many sums each of these subtrees is the last of, when all are joined: int64, as `kernels.tree_sum` takes it.

    >>> ends([*subtrees(range(0, 2)), *subtrees(range(2, 3)), *subtrees(range(3, 4))])
    array([0, 0, 2])
    """
    root = joined([node._replace(sum=row) for row, node in enumerate(nodes)])
    return np.array([count for _, count in postfix(root.sum)], np.int64)
