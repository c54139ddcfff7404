"""Rows added one at a time."""


def add_rows(ids, updates, out):
    out = out.copy()
    for i, update in zip(ids, updates, strict=True):
        if 0 <= i < len(out):
            out[i] += update
    return out
