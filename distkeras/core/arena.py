"""Arenas: one flat buffer that holds many arrays.

Parameters, gradients and optimizer slots each live in an arena of the same layout. The gradient arena is what ranks
allreduce and what the update kernel reads: nothing is ever packed or copied. Every array starts on a cache line, and
the gaps are zero, so that a kernel may run over the whole buffer or over any range of it.

    parameters  | kernel 784x512 .. | bias 512 | kernel 512x10 ..  | bias 10 |.pad.|
    gradients   |                   |          |                   |         |.....|   tail: sums that ride along
    slot "m"    |                   |          |                   |         |.....|
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_LINE = 64  # bytes of a cache line, and of the widest vector
# Left free around each buffer. Compiled loops take their scalar form, which rounds otherwise, where an output begins
# within a few vectors of an input: whether it does must not be up to where buffers happen to lie.
_GUARD = 1024


def allocate(count: int, dtype: Any) -> np.ndarray:
    """`count` zeros on a cache-line boundary, away from all other memory."""
    dtype = np.dtype(dtype)
    raw = np.zeros(count * dtype.itemsize + _LINE + 2 * _GUARD, np.uint8)
    start = _GUARD + -raw.ctypes.data % _LINE
    return raw[start : start + count * dtype.itemsize].view(dtype)


class Layout:
    """Where arrays of the given shapes lie in a flat buffer of one element type."""

    def __init__(self, shapes: Sequence[tuple[int, ...]], dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.shapes = [tuple(shape) for shape in shapes]
        step = _LINE // self.dtype.itemsize
        self.slices: list[slice] = []
        start = 0
        for shape in self.shapes:
            size = int(np.prod(shape, dtype=np.int64))
            self.slices.append(slice(start, start + size))
            start += -(-size // step) * step
        self.size = start


class Arena:
    """A flat buffer and a view of it for each array of a layout.

    Args:
        layout: Where the arrays lie.
        allocate: (count, dtype) -> zeroed ndarray; a communicator's, so that ranks of a node can share the memory.
    """

    def __init__(self, layout: Layout, allocate: Callable[[int, Any], np.ndarray] = allocate) -> None:
        self.layout = layout
        self.lie_in(allocate(layout.size, layout.dtype))

    def lie_in(self, flat: np.ndarray) -> None:
        """Take `flat` for the buffer, with what it holds."""
        slices, shapes = self.layout.slices, self.layout.shapes
        self.flat = flat
        self.views = [flat[part].reshape(shape) for part, shape in zip(slices, shapes, strict=True)]
