"""Rows added to a table by number: the gradient of taking them, as embeddings do.

Numbers outside the table are never followed; they are counted, for the caller to raise an error.
"""

from __future__ import annotations

from distkeras.kernels.compile import kernel


@kernel("int64(int64[::1], int64)")
def count_outside(ids, size):
    """How many ids are not in [0, size)."""
    outside = 0
    for i in range(ids.size):
        outside += (ids[i] < 0) | (ids[i] >= size)
    return outside


@kernel("void(int64[::1], {t}[:, ::1], {t}[:, ::1], int64[::1])")
def add_rows(ids, updates, out, bad):
    """out[ids[i]] += updates[i], for i in order; ids outside [0, rows of out) are left out, bad[0] = how many they are.

    `out` is added to, not overwritten: fill it with zeros for a gradient.
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


@kernel("void(int64[::1], {t}[:, ::1], int64[::1], int64[::1], {t}[:, ::1], int64[::1])")
def sum_rows(ids, updates, places, rows, out, counts):
    """rows = the different ids, as they occur first; out[k] = sum of the updates[i] with ids[i] = rows[k], in order.

    counts = [how many different ids, how many ids outside [0, places.size), which are left out].
    `places` is zero before and after. `rows` and `out` must have room for ids.size.
    """
    different = 0
    outside = 0
    for i in range(ids.size):
        row = ids[i]
        if row < 0 or row >= places.size:
            outside += 1
            continue
        k = places[row] - 1
        if k < 0:
            k = different
            different += 1
            places[row] = different
            rows[k] = row
            for c in range(out.shape[1]):
                out[k, c] = updates[i, c]
        else:
            for c in range(out.shape[1]):
                out[k, c] += updates[i, c]
    for k in range(different):
        places[rows[k]] = 0
    counts[0] = different
    counts[1] = outside
