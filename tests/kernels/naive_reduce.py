"""Reductions of [outer, n, inner] by loops over n."""

import numpy as np

STARTS = {"sum": 0, "prod": 1, "max": -np.inf, "min": np.inf, "any": False, "all": True}
STEPS = {
    "sum": lambda a, b: a + b,
    "prod": lambda a, b: a * b,
    "max": np.maximum,
    "min": np.minimum,
    "any": np.logical_or,
    "all": np.logical_and,
}


def reduce(name, x):
    dtype = x.dtype if x.dtype.kind in "biu" else np.float64
    start = STARTS[name]
    if name in ("max", "min") and x.dtype.kind in "iu":
        start = getattr(np.iinfo(x.dtype), "min" if name == "max" else "max")
    out = np.full((x.shape[0], x.shape[2]), start, dtype)
    for j in range(x.shape[1]):
        out = STEPS[name](out, x[:, j]).astype(dtype)
    return out


def arg(name, x):
    out = np.zeros((x.shape[0], x.shape[2]), np.int64)
    for o, i in np.ndindex(out.shape):
        for j in range(1, x.shape[1]):
            value, held = x[o, j, i], x[o, out[o, i], i]
            further = value > held if name == "max" else value < held
            if further or (value != value and held == held):
                out[o, i] = j
    return out
