"""Products a^T b summed over blocks of rows in the order of a tree, as gradients of weights are in deterministic mode.

    for columns, as many as a tile has:      b's are copied, so that all tiles find them in the first-level cache
      for rows, as many as a tile has:       `tree_tile` goes through the tree

Block by block through the whole result, each block would cost the result's memory written and read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.kernels.compile import Calls, Scratch, kernel
from distkeras.kernels.contraction import TILE_ROWS, VECTOR_BYTES, next_columns
from distkeras.kernels.tile import PANEL_ROW
from distkeras.kernels.tree_sum import most_waiting, postfix
from distkeras.kernels.tree_tile import ENTRY, compute_tree_tile

# From so many rows on a block's whole product does as well.
MANY_ROWS = 96


def tree_of_products(
    a: np.ndarray,
    b: np.ndarray,
    outs: Sequence[np.ndarray],
    *,
    blocks: Sequence[tuple[int, int]],
    longest: int,
    trees: Sequence[Any],
    scratch: Scratch,
) -> Calls | None:
    """Lower outs[i] = the sum over trees[i] of a[block]^T b[block] to kernel calls, to be made in order.

    Args:
        a: [k, m], float32 or float64.
        b: [k, n].
        outs: [m, n] each.
        blocks: Rows [start, stop) of a and b.
        longest: The most rows of a block, those of other processes among them.
        trees: For each output a block's number, or a pair of trees.
        scratch: `scratch(shape, dtype)` lends memory for the time of these calls.

    Returns:
        The calls; None where whole products, added up, do as well: vectors, and blocks of many rows.
    """
    if min(a.shape[1], b.shape[1]) < 2 or longest >= MANY_ROWS:
        return None
    calls: Calls = []
    for out, tree in zip(outs, trees, strict=True):
        order = postfix(tree)
        first, last = min(blocks[index][0] for index, _ in order), max(blocks[index][1] for index, _ in order)
        known = [(blocks[index][0] - first, blocks[index][1] - blocks[index][0], ends) for index, ends in order]
        panel = scratch((last - first, PANEL_ROW // a.itemsize), a.dtype)
        stack = scratch((most_waiting(ends for _, ends in order) * ENTRY,), np.uint8)
        arguments = a[first:last], b[first:last], np.array(known, np.int64), panel, stack, out
        calls.append((multiply_over_tree[a.dtype], arguments))
    return calls


@kernel("void({t}[:, ::1], {t}[:, ::1], int64[:, ::1], {t}[:, ::1], uint8[::1], {t}[:, ::1])")
def multiply_over_tree(a, b, blocks, panel, stack, out):
    """out = the sum over blocks of a[block]^T b[block], in their order.

    Args:
        a, b: [k, m] and [k, n].
        blocks: [blocks, 3]: first row, rows, and how many sums end with it.
        panel: Room for a few columns of b.
        stack: Room for sums that wait for what comes at their right, and one more.
        out: [m, n].
    """
    size, width, rows = out.itemsize, VECTOR_BYTES // out.itemsize, out.shape[0]
    a_step, c_step = a.shape[1] * size, out.shape[1] * size
    flat, column = out.reshape(-1), 0
    while column < out.shape[1]:
        vectors, lanes, count = next_columns(out.shape[1] - column, width)
        for k in range(b.shape[0]):
            for i in range(count):
                panel[k, i] = b[k, column + i]
            for i in range(count, vectors * width):
                panel[k, i] = 0
        row, highest = 0, TILE_ROWS[vectors]
        while row < rows:
            height = highest if rows >= highest else 1
            start = min(row, rows - height)  # the last tile has rows of the one before, where there are too few left
            compute_tree_tile(
                flat, height, vectors, blocks.ctypes.data, blocks.shape[0], a.ctypes.data + start * size, a_step,
                panel.ctypes.data, out.ctypes.data + start * c_step + column * size, c_step, stack.ctypes.data, lanes,
            )  # fmt: skip
            row += height
        column += count
