"""Rows added one at a time."""

import numpy as np


def add_rows(ids, updates, out):
    out = out.copy()
    for i, update in zip(ids, updates, strict=True):
        if 0 <= i < len(out):
            out[i] += update
    return out


def sum_rows(ids, updates, size):
    inside = [i for i in range(len(ids)) if 0 <= ids[i] < size]
    rows = list(dict.fromkeys(int(ids[i]) for i in inside))
    sums = [sum(updates[i] for i in inside if ids[i] == row) for row in rows]
    return np.array(rows, np.int64), np.array(sums, updates.dtype).reshape(len(rows), updates.shape[1]), len(inside)
