"""Products summed over trees of blocks are, bit by bit, the blocks' products summed so."""

from __future__ import annotations

import numpy as np
import pytest

from distkeras.kernels.tree_product import tree_of_products

THREE, FIVE = [(0, 4), (4, 7), (7, 12)], [(0, 4), (4, 8), (8, 12), (12, 16), (16, 17)]


def naive(tree, a, b, blocks):
    if isinstance(tree, tuple):
        left, right = (naive(part, a, b, blocks) for part in tree)
        return left + right
    start, stop = blocks[tree]
    return sum((row[:, np.newaxis] * other for row, other in zip(a[start:stop], b[start:stop], strict=True)))


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize(
    "blocks, trees", [(THREE, [((0, 1), 2)]), (THREE, [(0, 1), 2]), (FIVE, [((0, (1, 2)), (3, 4))]), ([(0, 0)], [0])]
)
def test_the_sum_over_a_tree(blocks, trees, kind):
    random = np.random.default_rng(0)
    for m in (2, 7, 8, 9, 13, 50):
        for n in (2, 15, 16, 17, 48, 49, 100):
            # Small integers: every product and sum is exact, but for the order of additions.
            a, b = (random.integers(-9, 9, (blocks[-1][1], columns)).astype(kind) for columns in (m, n))
            b *= scales(blocks, kind)
            outs = [np.full((m, n), np.nan, kind) for _ in trees]
            for function, arguments in tree_of_products(
                a, b, outs, blocks=blocks, longest=5, trees=trees, scratch=np.empty
            ):
                function(*arguments)
            for out, tree in zip(outs, trees, strict=True):
                np.testing.assert_array_equal(out, np.broadcast_to(naive(tree, a, b, blocks), out.shape))


def scales(blocks, kind):
    """For each row a power of two, so far from those of other blocks that sums are rounded."""
    powers = [np.full(stop - start, 7.0 * index) for index, (start, stop) in enumerate(blocks)]
    return (2.0 ** np.concatenate(powers))[:, np.newaxis].astype(kind)


def test_vectors_and_long_blocks_are_left_to_others():
    a, b = np.zeros((8, 3), np.float32), np.zeros((8, 1), np.float32)
    for columns, longest in ((1, 8), (3, 96)):
        outs, b = [np.zeros((3, columns), np.float32)], np.zeros((8, columns), np.float32)
        given = {"blocks": [(0, 8)], "trees": [0], "scratch": np.empty}
        assert tree_of_products(a, b, outs, longest=longest, **given) is None
