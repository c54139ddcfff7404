"""The products of split numbers in NumPy, part by part."""

import numpy as np

from distkeras.kernels.split import PRODUCTS


def rounded(x):
    """To bfloat16, halves away from zero, as float32."""
    return ((x.view(np.uint32) + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)


def split(x):
    """Three float32 arrays of which the lower halves are zero."""
    x = np.ascontiguousarray(x, np.float32)
    parts = []
    for _ in range(2):
        parts.append(rounded(x))
        x = x - parts[-1]
    return [*parts, x]


def product(a, b, multiply=np.matmul):
    """a @ b from six products of parts; sums are float64, so that only what is left out is missing."""
    a, b = ([part.astype(np.float64) for part in split(x)] for x in (a, b))
    return sum(multiply(a[i], b[j]) for i, j in PRODUCTS)
