"""Rows taken and added one at a time."""

import numpy as np


def take_rows(table, ids):
    rows = [table[i] if 0 <= i < len(table) else np.zeros(table.shape[1]) for i in ids]
    return np.array(rows, table.dtype).reshape(len(ids), table.shape[1])


def add_rows(ids, updates, out):
    out = out.copy()
    for i, update in zip(ids, updates, strict=True):
        if 0 <= i < len(out):
            out[i] += update
    return out
