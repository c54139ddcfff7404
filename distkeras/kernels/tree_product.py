"""Products a^T b summed over blocks of rows in the order of a tree, as gradients of weights are in deterministic mode.

    for panels of rows of the result:        so that a panel and what is added to it stay in the cache
      for blocks of the tree:                a right leaf is added as its tiles are stored, a right tree from scratch

Block by block through the whole result, each block would cost the result's memory written and read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.kernels.compile import Calls, Scratch
from distkeras.kernels.contraction import Contraction
from distkeras.kernels.copy import add_flat
from distkeras.kernels.gemm import TURN_DEPTH

_PANEL_BYTES = 1 << 16  # two of them, and the operands, in a second-level cache of 256 kB or more
_MOST_PANELS = 256


def tree_of_products(
    a: np.ndarray,
    b: np.ndarray,
    outs: Sequence[np.ndarray],
    *,
    blocks: Sequence[tuple[int, int]],
    trees: Sequence[Any],
    scratch: Scratch,
) -> Calls | None:
    """Lower outs[i] = the sum over trees[i] of a[block]^T b[block] to kernel calls, to be made in order.

    Args:
        a: [k, m], float32 or float64.
        b: [k, n].
        outs: [m, n] each.
        blocks: Rows [start, stop) of a and b.
        trees: For each output a block's number, or a pair of trees.
        scratch: `scratch(shape, dtype)` lends memory for the time of these calls.

    Returns:
        The calls; None where whole products, added up, do as well: vectors, and blocks of many rows.
    """
    rows, columns, kind = a.shape[1], b.shape[1], a.dtype
    if min(rows, columns) < 2 or any(stop - start >= TURN_DEPTH for start, stop in blocks):
        return None
    height = max(1, _PANEL_BYTES // (columns * kind.itemsize), -(-rows // _MOST_PANELS))
    held: list[np.ndarray] = []

    def product(index: int, first: int, out: np.ndarray, accumulate: bool) -> tuple:
        (start, stop), size = blocks[index], kind.itemsize
        return Contraction(
            a=a,
            b=b,
            out=out,
            rows=len(out),
            columns=columns,
            depth=stop - start,
            a_row=size,
            a_step=rows * size,
            b_step=columns * size,
            out_row=columns * size,
            a_start=(start * rows + first) * size,
            b_start=start * columns * size,
            accumulate=accumulate,
        ).call()

    def panel(tree: Any, first: int, out: np.ndarray, depth: int) -> Calls:
        if isinstance(tree, int):
            return [product(tree, first, out, False)]
        left, right = tree
        calls = panel(left, first, out, depth + 1)
        if isinstance(right, int):
            return [*calls, product(right, first, out, True)]
        while len(held) <= depth:
            held.append(scratch((height, columns), kind))
        other = held[depth][: len(out)]
        addition = add_flat[kind], (other.reshape(-1), out.reshape(-1))
        return [*calls, *panel(right, first, other, depth + 1), addition]

    return [
        call
        for first in range(0, rows, height)
        for out, tree in zip(outs, trees, strict=True)
        for call in panel(tree, first, out[first : first + height], 0)
    ]
