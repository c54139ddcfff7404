"""Data that is iterated over: Python generators, iterators and other iterables of batches."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from types import GeneratorType
from typing import Any

from distkeras.data.adapter import ADAPTERS, DataAdapter, DataOptions, GlobalBatch, Place
from distkeras.data.arrays import is_array
from distkeras.data.batches import read_batch
from distkeras.data.dataset.dataset import Dataset
from distkeras.data.node import NodeReader
from distkeras.data.pool import WorkerPool
from distkeras.data.prefetch import read_ahead
from distkeras.data.sequence import Sequence


@ADAPTERS.register("iterable")
class IterableAdapter(DataAdapter):
    """Whatever yields batches when it is iterated over.

    An iterator (a generator, `iter(...)`) is one stream: each epoch takes its next `steps` batches. Another iterable
    is iterated over anew for each epoch. Only rank 0 reads, because what a generator yields may depend on when and
    where it runs; the others receive their rows of its batches.
    """

    form = "a generator or another iterable of batches"
    comes_in_batches = True

    @classmethod
    def can_handle(cls, x: Any) -> bool:
        not_iterated = isinstance(x, (Sequence, Dataset, list, tuple, dict, str, bytes)) or is_array(x)
        return isinstance(x, Iterable) and not not_iterated

    def __init__(self, x: Any, y: Any, sample_weight: Any, options: DataOptions) -> None:
        self._node = NodeReader(options, once=True)
        self._reader = IterableReader(x, options, prepare=self._node.prepare)
        self._is_stream = isinstance(x, Iterator)
        self._options = options
        self._items: Iterator | None = None
        self._taken = 0
        self.num_batches = options.steps
        if options.steps is None and hasattr(x, "__len__"):
            self.num_batches = len(x)

    def batches(self, epoch: int) -> Iterator[GlobalBatch]:
        if not self._is_stream:
            self._items = None
        count, self._taken = self._taken, 0
        left = None if self._options.steps is None else self._options.steps - count
        for item in itertools.islice(self._node.items(self._rest), left):
            yield read_batch(item.value, self._options, item.rows, item.first)

    def go_to(self, place: Place) -> int:
        if not self._is_stream:
            return place.step
        # A stream knows no other way to a batch than by reading those before it.
        if self._node.reads:
            for _ in itertools.islice(self._rest(), place.consumed):
                pass
        self._taken = place.step
        return 0

    def _rest(self) -> Iterator:
        """What has not been read yet."""
        if self._items is None:
            self._items = self._reader.read()
        return self._items

    def how_to_speed_up(self) -> str:
        return (
            "Only one thread or process can read a generator: put what it does into a keras.utils.Sequence, and let "
            "several processes read that: workers=2, use_multiprocessing=True."
        )

    def close(self) -> None:
        if isinstance(self._items, Generator) and self._options.workers:
            self._items.close()
        self._node.close()
        self._reader.close()


class IterableReader:
    """Reads an iterable ahead, by one thread or process: a second one would read the same batches a second time.

    Args:
        source: What is read.
        options: Who reads, and how far ahead.
        key: Ints that a process seeds its global random generators from, before each item; None to leave them.
        prepare: What is made of an item in the thread that reads it.
    """

    def __init__(
        self,
        source: Iterable,
        options: DataOptions,
        key: tuple[int, ...] | None = None,
        prepare: Callable[[Any], Any] = lambda item: item,
    ) -> None:
        self._source = source
        self._options = options
        self._key = key
        self._prepare = prepare
        self._pool: WorkerPool | None = None

    def read(self) -> Iterator:
        """The items, from the beginning if the source can begin anew: `prepare`d ones, or parcels of a process."""
        options = self._options
        if options.use_multiprocessing and options.workers:
            if not isinstance(self._source, GeneratorType):
                with contextlib.suppress(pickle.PicklingError):
                    return self._items_of_process()
            self._warn("a thread of this process reads it, for it cannot be sent to another")
        items = map(self._prepare, self._source)
        return read_ahead(items, options.max_queue_size) if options.workers else items

    def _items_of_process(self) -> Iterator:
        if self._pool is None:
            self._pool = WorkerPool(self._source, 1, self._options.max_queue_size)
            if self._options.workers > 1:
                self._warn("one process reads it, for copies of it would all yield the same batches")
        else:
            self._pool.share(self._source)
        return self._pool.read(itertools.repeat(None), self._key)

    def _warn(self, what: str) -> None:
        options = self._options
        warnings.warn(
            f"workers={options.workers}, use_multiprocessing=True: data is a {type(self._source).__name__}; {what}. "
            "Several processes can share the work of a keras.utils.Sequence.",
            stacklevel=_level_of_caller(),
        )

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.close()
        self._pool = None


def _level_of_caller() -> int:
    """How far up the stack, for `warnings.warn`, the script's own code is."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("distkeras."):
        level, frame = level + 1, frame.f_back
    return level
