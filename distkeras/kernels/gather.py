"""Rows taken from a table by number, and rows added to a table: what embeddings are made of.

Numbers outside the table are never followed; they are counted, for the caller to raise an error.
"""

from __future__ import annotations

from distkeras.kernels.compile import kernel


@kernel("void({t}[:, ::1], int64[::1], {t}[:, ::1], int64[::1])")
def take_rows(table, ids, out, bad):
    """out[i] = table[ids[i]]; zeros for ids outside [0, rows of table), bad[0] = how many they are."""
    outside = 0
    for i in range(ids.size):
        row = ids[i]
        if 0 <= row < table.shape[0]:
            for c in range(out.shape[1]):
                out[i, c] = table[row, c]
        else:
            outside += 1
            for c in range(out.shape[1]):
                out[i, c] = 0
    bad[0] = outside


@kernel("void(int64[::1], {t}[:, ::1], {t}[:, ::1], int64[::1])")
def add_rows(ids, updates, out, bad):
    """out[ids[i]] += updates[i], for i in order; ids outside [0, rows of out) are left out, bad[0] = how many they are.

    `out` is added to, not overwritten: fill it with zeros for the gradient of `take_rows`.
    """
    outside = 0
    for i in range(ids.size):
        row = ids[i]
        if 0 <= row < out.shape[0]:
            for c in range(out.shape[1]):
                out[row, c] += updates[i, c]
        else:
            outside += 1
    bad[0] = outside
