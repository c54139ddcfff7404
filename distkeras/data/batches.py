"""Batches that were read as a whole, brought into the form that a model takes."""

from __future__ import annotations

from typing import Any

from distkeras.data.adapter import Data, DataOptions, GlobalBatch, split_batch
from distkeras.data.arrays import check_lengths, map_arrays, take


def read_batch(item: Any, options: DataOptions, rows: int | None = None, first: int = 0) -> GlobalBatch:
    """A batch that was read as a whole, standardized.

    Args:
        item: (x, y, sample_weight), or as much of it as there is.
        options: How to standardize it.
        rows: Rows of the whole batch, where the item holds only some of them.
        first: Which row of the whole the item's first one is.
    """
    given = split_batch(item, options.tuples_only)
    parts = options.known.parts(given)
    if parts is not None:
        return known_batch(parts, rows, first)
    data = options.standardize(*given)
    size = check_lengths(*data)
    options.known.add(given, data, options.float_type)

    def read(start: int, stop: int) -> Data:
        mine = slice(start - first, stop - first)
        return tuple(map_arrays(lambda array: take(array, mine, options.float_type), part) for part in data)

    return GlobalBatch(rows or size, read)


def known_batch(parts: Data, rows: int | None = None, first: int = 0) -> GlobalBatch:
    """A batch of `parts` that `KnownForms` gave; see `read_batch`."""
    size = len(parts[0])

    def read(start: int, stop: int) -> Data:
        if stop - start == size:
            return parts
        mine = slice(start - first, stop - first)
        return tuple([None if part is None else part[mine] for part in parts])

    return GlobalBatch(rows or size, read)
