"""Matrix products element by element, in float64."""

import numpy as np


def matmul(a, b, transpose_a=False, transpose_b=False, bias=None, relu=False):
    a = np.swapaxes(a, -1, -2) if transpose_a else a
    b = np.swapaxes(b, -1, -2) if transpose_b else b
    out = np.zeros((*a.shape[:-1], b.shape[-1]))
    for *index, row, column in np.ndindex(out.shape):
        at = tuple(index)
        total = 0.0 if bias is None else float(bias[column])
        for k in range(a.shape[-1]):
            total += float(a[(*at, row, k)]) * float(b[(*at, k, column)])
        out[(*at, row, column)] = 0.0 if relu and total < 0 else total
    return out
