"""Copies as kernels, so that a plan's run of kernels need not stop for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from distkeras.kernels.compile import Calls, kernel

# Beyond, NumPy's own loops are better where memory is not contiguous.
_MOST_STRIDED = 4096
_DIMENSIONS = 4
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@kernel("void({t}[::1], {t}[::1])")
def copy_flat(x, out):
    """out = x."""
    for i in range(out.size):
        out[i] = x[i]


@kernel("void({t}[::1], {t}[::1])")
def add_flat(x, out):
    """out = out + x."""
    for i in range(out.size):
        out[i] += x[i]


def addition(out: np.ndarray, x: np.ndarray) -> tuple[Callable, tuple]:
    """The call for out = out + x, both contiguous."""
    if out.dtype in (np.float32, np.float64):
        return add_flat[out.dtype], (x.reshape(-1), out.reshape(-1))
    return np.add, (out, x, out)


@kernel("void({t}[:, :, :, :], {t}[:, :, :, :])")
def copy_strided(x, out):
    """out = x, whatever the strides."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                for m in range(out.shape[3]):
                    out[i, j, k, m] = x[i, j, k, m]


def copy(x: Any, out: np.ndarray) -> Calls | None:
    """Lower out = x, broadcast to it, to a kernel call that knows elements only by their size.

    Returns:
        None where np.copyto does better: other types, many elements that are not contiguous, many dimensions.
    """
    known = isinstance(x, np.ndarray) and x.dtype == out.dtype and x.dtype.kind in "biuf" and out.itemsize in _UNSIGNED
    if not known:
        return None
    x = x if x.flags.writeable else _Writeable(x).alias()
    kind = np.dtype(_UNSIGNED[out.itemsize])
    if x.shape == out.shape and x.flags.c_contiguous and out.flags.c_contiguous:
        return [(copy_flat[kind], (x.reshape(-1).view(kind), out.reshape(-1).view(kind)))]
    if out.size > _MOST_STRIDED or out.ndim > _DIMENSIONS:
        return None
    return [(copy_strided[kind], (_strided(x, out.shape).view(kind), _strided(out, out.shape).view(kind)))]


def _strided(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array broadcast to a shape, in four dimensions."""
    missing = (1,) * (_DIMENSIONS - len(shape))
    strides = np.broadcast_to(array, shape).strides
    return as_strided(array, missing + shape, (0,) * len(missing) + strides)


class _Writeable:
    """Lends an array that must not be written to a kernel that only reads it: kernels declare all arrays writeable."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}

    def alias(self) -> np.ndarray:
        """The same memory; it keeps the array alive."""
        return np.asarray(self)
