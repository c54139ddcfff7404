"""Rows added up in the order of a tree, a few columns at a time, so that sums of sums stay in the first-level cache."""

from __future__ import annotations

from distkeras.kernels.compile import ELEMENTWISE_FLAGS, kernel

# Columns that are added up at a time.
BLOCK = 512


@kernel("void({t}[:, ::1], int64, int64[:, ::1], {t}[:, ::1], {t}[::1])", **ELEMENTWISE_FLAGS)
def add_over_tree(rows, first, tree, room, out):
    """out = the sum of the rows from column `first` on.

    Args:
        rows: [rows, columns].
        first: A column.
        tree: [additions, 2]: what each addition adds, a row by its number, or by the number of rows and its own what
            an addition before it gave. None where there is one row.
        room: [additions, BLOCK].
        out: The sums.
    """
    count, additions = rows.shape[0], tree.shape[0]
    for start in range(0, out.size, BLOCK):
        stop = min(start + BLOCK, out.size)
        if additions == 0:
            out[start:stop] = rows[0, first + start : first + stop]
        for index in range(additions):
            left, right = tree[index, 0], tree[index, 1]
            one = rows[left, first + start : first + stop] if left < count else room[left - count, : stop - start]
            other = rows[right, first + start : first + stop] if right < count else room[right - count, : stop - start]
            total = out[start:stop] if index == additions - 1 else room[index, : stop - start]
            for i in range(total.size):
                total[i] = one[i] + other[i]
