"""An equation applied shard by shard, and what it sums over the samples added up over a tree.

shards of this process   | 0 | 1 | 2 | 3 |
                          \\ /     \\ /
                           +       +             in the order of the tree, whatever process it is that adds:
                             \\   /               floating-point addition is not associative
                               +
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import SUM
from distkeras.kernels.copy import addition

by_shards = Primitive("by_shards")


def _shape(*specs: Any, **params: Any) -> Any:
    raise TypeError("by_shards is made by graph.rows, which knows its outputs.")


by_shards.def_shape(_shape)


@by_shards.def_kernel
def _kernel(
    inputs: Sequence, outputs: Sequence, scratch: Any, *,
    primitive: Primitive, params: Callable, units: tuple, shards: tuple, longest: int, trees: tuple,
    lower_sum: Callable | None,
) -> Calls:  # fmt: skip
    """Rows of outputs in their places; sums as [trees, *shape]."""
    of_inputs, of_outputs = units
    sums = [array for array, kind in zip(outputs, of_outputs, strict=True) if kind == SUM]

    if lower_sum is not None:
        blocks = [(start * of_inputs[0], stop * of_inputs[0]) for start, stop in shards]
        most = longest * of_inputs[0]
        calls = lower_sum(*inputs, list(sums[0]), blocks=blocks, longest=most, trees=trees, scratch=scratch)
        if calls is not None:
            return calls

    def of_shard(index: int, targets: list[np.ndarray]) -> Calls:
        start, stop = shards[index]
        places = iter(targets)

        def part(array: np.ndarray, unit: int) -> np.ndarray:
            if unit == SUM:
                return next(places)
            return array[start * unit : stop * unit] if unit else array

        parts = [
            [part(array, unit) for array, unit in zip(arrays, kinds, strict=True)]
            for arrays, kinds in ((inputs, of_inputs), (outputs, of_outputs))
        ]
        with scratch.nested():
            return primitive.kernel(*parts, scratch, **params(stop - start))

    held: list[list[np.ndarray]] = []  # for each depth of the tree what the right one of two sums is put into

    def of_tree(tree: Any, targets: list[np.ndarray], depth: int) -> Calls:
        if isinstance(tree, int):
            return of_shard(tree, targets)
        if depth == len(held):
            held.append([scratch(array.shape, array.dtype) for array in targets])
        others = held[depth]
        left, right = of_tree(tree[0], targets, depth + 1), of_tree(tree[1], others, depth + 1)
        return [*left, *right, *(addition(one, other) for one, other in zip(targets, others, strict=True))]

    return [call for i, tree in enumerate(trees) for call in of_tree(tree, [array[i, ...] for array in sums], 0)]
