"""A transposition element by element."""

import numpy as np


def transpose(x, axes):
    out = np.empty([x.shape[axis] for axis in axes], x.dtype)
    for index in np.ndindex(out.shape):
        source = [0] * x.ndim
        for axis, position in zip(axes, index, strict=True):
            source[axis] = position
        out[index] = x[tuple(source)]
    return out
