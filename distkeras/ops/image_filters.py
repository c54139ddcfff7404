"""The weights with which places along an axis of an image are taken when it is resized.

Result i stands for the interval [i, i + 1] of the result's axis, so its centre lies at (i + 1/2) * size / new_size on
the input's. Positions are computed in float32, as TensorFlow does: at ties the last bit decides.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_SCALE_TABLE = 1024  # TensorFlow looks cubic weights up in a table of so many steps


class Filter(NamedTuple):
    """A sparse matrix by rows: row i has `weights[starts[i]:starts[i + 1]]` in the columns `places[...]`."""

    starts: np.ndarray
    places: np.ndarray
    weights: np.ndarray

    def matrix(self, columns: int) -> np.ndarray:
        """The same as a dense matrix, float64."""
        dense = np.zeros((len(self.starts) - 1, columns))
        dense[np.repeat(np.arange(len(dense)), np.diff(self.starts)), self.places] = self.weights
        return dense


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - x, 0)


def _keys(x: np.ndarray) -> np.ndarray:
    """Keys 1981, a = -1/2."""
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))


def _lanczos(radius: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


def _gaussian(x: np.ndarray) -> np.ndarray:
    """Standard deviation 1/2, cut at 3/2."""
    return np.where(x < 1.5, np.exp(-2 * x * x), 0)


def _mitchell(x: np.ndarray) -> np.ndarray:
    """Mitchell and Netravali 1988, B = C = 1/3."""
    inner = (7 / 6 * x - 2) * x * x + 8 / 9
    outer = ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return np.where(x < 1, inner, np.where(x < 2, outer, 0))


_KERNELS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "bilinear": (1.0, _triangle),
    "bicubic": (2.0, _keys),
    "lanczos3": (3.0, _lanczos(3.0)),
    "lanczos5": (5.0, _lanczos(5.0)),
    "gaussian": (1.5, _gaussian),
    "mitchellcubic": (2.0, _mitchell),
}


@functools.lru_cache(maxsize=256)
def resizing_filter(method: str, size: int, new_size: int, antialias: bool, is_transposed: bool = False) -> Filter:
    """How `new_size` places are made from `size`.

    Args:
        method: 'bilinear', 'bicubic', 'area', 'lanczos3', 'lanczos5', 'gaussian' or 'mitchellcubic'.
        size, new_size: The axis' lengths.
        antialias: Whether the kernel becomes wider where the axis becomes shorter.
        is_transposed: Whether to give the transposed matrix, which the derivative is.
    """
    if method == "area":
        dense = _area(size, new_size)
    elif antialias or method not in ("bilinear", "bicubic"):
        dense = _by_kernel(method, size, new_size, antialias)
    else:
        dense = (_bilinear if method == "bilinear" else _bicubic)(size, new_size)
    dense = dense.T if is_transposed else dense
    rows, places = np.nonzero(dense)
    starts = np.searchsorted(rows, np.arange(len(dense) + 1))
    return Filter(starts.astype(np.int64), places.astype(np.int64), dense[rows, places])


def nearest_places(size: int, new_size: int) -> np.ndarray:
    """For each new place the old one that it copies."""
    return np.minimum(np.floor(_centres(size, new_size)), size - 1).astype(np.int64)


def _centres(size: int, new_size: int) -> np.ndarray:
    scale = np.float32(size) / np.float32(new_size)
    return (np.arange(new_size, dtype=np.float32) + np.float32(0.5)) * scale


def _bilinear(size: int, new_size: int) -> np.ndarray:
    place = _centres(size, new_size) - np.float32(0.5)
    lower = np.floor(place)
    dense = np.zeros((new_size, size))
    rows = np.arange(new_size)
    np.add.at(dense, (rows, np.maximum(lower, 0).astype(int)), 1 - (place - lower))
    np.add.at(dense, (rows, np.minimum(np.ceil(place), size - 1).astype(int)), place - lower)
    return dense


def _bicubic(size: int, new_size: int) -> np.ndarray:
    """Places outside of the image do not count; the weights of the others are divided by their sum."""
    place = _centres(size, new_size) - np.float32(0.5)
    lower = np.floor(place)
    distance = np.rint((place - lower) * _SCALE_TABLE) / _SCALE_TABLE
    dense = np.zeros((new_size, size))
    for offset in range(-1, 3):
        column = lower.astype(int) + offset
        inside = (column >= 0) & (column < size)
        dense[np.flatnonzero(inside), column[inside]] = _keys(np.abs(distance - offset))[inside]
    return dense / dense.sum(axis=1, keepdims=True)


def _area(size: int, new_size: int) -> np.ndarray:
    """The share that each old pixel has in the new one."""
    edges = np.arange(new_size + 1) * (size / new_size)
    old = np.arange(size)
    overlap = np.minimum(old + 1, edges[1:, None]) - np.maximum(old, edges[:-1, None])
    return np.maximum(overlap, 0) * (new_size / size)


def _by_kernel(method: str, size: int, new_size: int, antialias: bool) -> np.ndarray:
    radius, kernel = _KERNELS[method]
    width = max(size / new_size, 1.0) if antialias else 1.0
    distance = np.abs(np.arange(size) + 0.5 - _centres(size, new_size).astype(np.float64)[:, None]) / width
    dense = np.where(distance <= radius, kernel(distance), 0)
    return dense / dense.sum(axis=1, keepdims=True)
