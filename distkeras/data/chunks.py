"""Rows of HDF5 files in random order, where the chunks that they lie in are read as a whole.

    file     |chunk 0|chunk 1|chunk 2|chunk 3|chunk 4|chunk 5|
    windows  {3, 0, 5}  {1, 4, 2}                   all chunks in a new order, some at a time
    order    the rows of chunks 3, 0, 5 mixed, then those of 1, 4, 2

The chunks of one window are held in memory, so that each is read, and decompressed, once in an epoch. What fits into a
single window has the order that the same rows would have in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.data.hdf5 import chunk_rows, is_only_read
from distkeras.data.sharding import generator_of, permutation

WINDOW_BYTES = 64 << 20
_LEAST_BYTES = 1 << 17  # smaller chunks are read several at a time, and so are rows that lie in none
_LEAST_CHUNKS = 2


class ChunkedRows:
    """Rows by number, of which the last chunks that were read are kept.

    Args:
        array: An HDF5 dataset, or what reads from one.
        size, shift: Rows of a chunk, and how many of the first one's come before row 0.
        kept: How many chunks to keep.
    """

    def __init__(self, array: Any, size: int, shift: int, kept: int) -> None:
        self._array, self._size, self._shift = array, size, shift
        self.shape, self.dtype = tuple(array.shape), array.dtype
        count = -(-(len(self) + shift) // size)
        self._count, self._kept = count, min(kept, count)
        self.forget()

    def forget(self) -> None:
        """Read anew from now on: what is read may differ, as with a normalizer that draws random numbers."""
        self._rows: np.ndarray | None = None
        self._slot_of = np.full(self._count, -1)
        self._chunk_in = np.full(self._kept, -1)
        self._last_use = np.zeros(self._kept, np.int64)
        self._uses = 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Rows of a slice, or of an array of numbers in any order.

        Raises:
            OSError: They cannot be read.
        """
        if isinstance(rows, slice):
            return np.asarray(self._array[rows])
        chunks, places = np.divmod(np.asarray(rows) + self._shift, self._size)
        needed = np.unique(chunks)
        if len(needed) > self._kept:
            middle = len(rows) // 2
            return np.concatenate([self[rows[:middle]], self[rows[middle:]]])
        self._read(needed)
        if self._rows is None:  # no row was asked for
            return np.empty((0, *self.shape[1:]), self.dtype)
        slots = self._slot_of[chunks]
        self._uses += len(slots)
        self._last_use[slots] = np.arange(self._uses - len(slots), self._uses)  # of a chunk's rows the last one counts
        return self._rows.take(slots * self._size + places, axis=0)

    def _read(self, chunks: np.ndarray) -> None:
        """Read those of some chunks that are not there, in place of those that were not used for longest."""
        slots = self._slot_of[chunks]
        others = np.setdiff1d(np.arange(self._kept), slots)
        oldest = others[np.argsort(self._last_use[others], kind="stable")]
        for chunk, slot in zip(chunks[slots < 0].tolist(), oldest.tolist(), strict=False):
            if self._rows is None:
                self._rows = np.empty((self._kept * self._size, *self.shape[1:]), self.dtype)
            start = chunk * self._size - self._shift
            first, stop = max(start, 0), min(start + self._size, len(self))
            begin = slot * self._size - start
            if self._chunk_in[slot] >= 0:
                self._slot_of[self._chunk_in[slot]] = -1
                self._chunk_in[slot] = -1
            self._rows[begin + first : begin + stop] = self._array[first:stop]
            self._chunk_in[slot], self._slot_of[chunk] = chunk, slot


class ChunkOrder:
    """Random orders of rows, a window of chunks at a time.

    Args:
        count: How many rows there are.
        size, shift: As of ChunkedRows.
        window: How many chunks to mix at a time, at most.

    >>> order = ChunkOrder(7, size=2, shift=1, window=2)((1, 0))
    >>> sorted(order.tolist())
    [0, 1, 2, 3, 4, 5, 6]
    """

    def __init__(self, count: int, size: int, shift: int, window: int) -> None:
        self._count, self._size, self._shift, self._window = count, size, shift, window

    def __call__(self, key: tuple[int, ...]) -> np.ndarray:
        """The order of an epoch, a function of `key` alone: int64, (count,)."""
        chunks = -(-(self._count + self._shift) // self._size)
        if chunks <= self._window:
            return permutation(self._count, key)
        generator = generator_of(key)
        windows = np.array_split(generator.permutation(chunks), -(-chunks // self._window))
        return np.concatenate([self._mixed(window, generator) for window in windows])

    def _mixed(self, window: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        rows = (window[:, None] * self._size - self._shift + np.arange(self._size)).reshape(-1)
        return generator.permutation(rows[(rows >= 0) & (rows < self._count)])


def by_chunks(arrays: list) -> tuple[dict[int, ChunkedRows], ChunkOrder | None]:
    """How to read arrays in random order.

    Args:
        arrays: All with as many rows; those in HDF5 files that are open to read only are read by chunks.

    Returns:
        By `id` what to read instead of an array, and the order to read in; None for any.
    """
    stored = [array for array in arrays if is_only_read(array) and len(array)]
    if not stored:
        return {}, None
    # Rows are mixed by the largest chunks: then those of the other arrays are whole in a window, but for their ends.
    size, shift, _ = max(map(_layout, stored), key=lambda layout: layout[0] * layout[2])
    window = max(_LEAST_CHUNKS, WINDOW_BYTES // (size * sum(map(_row_bytes, stored))))
    rows = {id(array): _beside(array, size, shift, window) for array in stored}
    return rows, ChunkOrder(len(stored[0]), size, shift, window)


def _layout(array: Any) -> tuple[int, int, int]:
    """Rows of a chunk, how many of them come before the first row, bytes of a row."""
    size, first = chunk_rows(array)
    size *= max(1, -(-_LEAST_BYTES // (size * _row_bytes(array))))
    return size, first % size, _row_bytes(array)


def _row_bytes(array: Any) -> int:
    return max(1, int(np.prod(array.shape[1:])) * np.dtype(array.dtype).itemsize)


def _beside(array: Any, size: int, shift: int, window: int) -> ChunkedRows:
    """An array whose rows are read in windows of so many chunks of `size` rows."""
    own, first = chunk_rows(array)
    if own == 1:  # wherever a chunk begins
        return ChunkedRows(array, size, shift, window)
    own *= max(1, size // own)
    are_same = (own, first % own) == (size, shift)
    return ChunkedRows(array, own, first % own, window if are_same else window * (-(-size // own) + 1))
