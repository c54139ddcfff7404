"""`keras.utils.Sequence`: data that gives its i-th batch on request."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any

from distkeras.data.adapter import ADAPTERS, Data, DataAdapter, DataOptions, GlobalBatch, split_batch
from distkeras.data.arrays import check_lengths, map_arrays, take
from distkeras.data.prefetch import map_ahead
from distkeras.data.sharding import permutation


class Sequence(abc.ABC):
    """Base class for data that is read batch by batch, by index.

    Subclasses implement `__getitem__` and `__len__`, and may override `on_epoch_end` to change the data between epochs.
    A batch is the *global* batch: of several ranks each takes its part of its rows.

    >>> import numpy as np
    >>> class Squares(Sequence):
    ...     def __len__(self):
    ...         return 3
    ...
    ...     def __getitem__(self, index):
    ...         x = np.arange(4.0) + 4 * index
    ...         return x, x**2
    >>> [x.tolist() for x, y in Squares()][-1]
    [8.0, 9.0, 10.0, 11.0]
    """

    @abc.abstractmethod
    def __getitem__(self, index: int) -> Any:
        """Batch number `index`: (x, y) or (x, y, sample_weight)."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of batches."""

    def on_epoch_end(self) -> None:
        """Called after each pass over the data."""
        return

    def __iter__(self) -> Iterator:
        return (self[index] for index in range(len(self)))


@ADAPTERS.register("sequence")
class SequenceAdapter(DataAdapter):
    """A Sequence: passes over its batches follow each other without end, and an epoch is as many as are asked for."""

    form = "a keras.utils.Sequence"
    comes_in_batches = True

    @classmethod
    def can_handle(cls, x: Any) -> bool:
        return isinstance(x, Sequence)

    def __init__(self, x: Any, y: Any, sample_weight: Any, options: DataOptions) -> None:
        self._sequence = x
        self._options = options
        self._pass: Iterator[GlobalBatch] | None = None
        self._left = 0
        self.num_batches = options.steps or len(x)
        if len(x) < 1:
            raise ValueError(f"The Sequence {x!r} has no batches: its __len__ gave {len(x)}, expected 1 or more.")

    def batches(self, epoch: int) -> Iterator[GlobalBatch]:
        if self._options.restart:
            self._pass = None
        for _ in range(self.num_batches):
            if self._pass is None:
                self._begin_pass(epoch)
            yield next(self._pass)
            self._left -= 1
            if not self._left:
                self._pass = None
                self._sequence.on_epoch_end()

    def _begin_pass(self, epoch: int) -> None:
        options = self._options
        self._left = len(self._sequence)
        order = range(self._left)
        if options.shuffle and options.steps is None:
            order = permutation(self._left, options.order_key(epoch)).tolist()
        if options.workers:
            items = map_ahead(self._sequence.__getitem__, order, options.workers, options.max_queue_size)
        else:
            items = map(self._sequence.__getitem__, order)
        self._pass = (read_batch(item, options) for item in items)

    def close(self) -> None:
        self._pass = None


def read_batch(item: Any, options: DataOptions) -> GlobalBatch:
    """A batch that was read as a whole, standardized."""
    data = options.standardize(*split_batch(item, options.tuples_only))
    size = check_lengths(*data)

    def read(start: int, stop: int) -> Data:
        rows = slice(start, stop)
        return tuple(map_arrays(lambda array: take(array, rows, options.float_type), part) for part in data)

    return GlobalBatch(size, read)
