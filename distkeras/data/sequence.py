"""`keras.utils.Sequence`: data that gives its i-th batch on request."""

from __future__ import annotations

import abc
import dataclasses
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from distkeras.data.adapter import ADAPTERS, Data, DataAdapter, DataOptions, GlobalBatch, Place
from distkeras.data.arrays import is_array
from distkeras.data.batches import read_batch
from distkeras.data.node import NodeReader
from distkeras.data.pool import WorkerPool
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
    """A Sequence: passes over its batches follow each other without end, and an epoch is as many as are asked for.

    With shard='stride' the r-th of n ranks reads every n-th batch, from the r-th on, and a step is on n of them.
    """

    form = "a keras.utils.Sequence"
    comes_in_batches = True

    @classmethod
    def can_handle(cls, x: Any) -> bool:
        return isinstance(x, Sequence) or _gives_batches_by_index(x)

    def __init__(self, x: Any, y: Any, sample_weight: Any, options: DataOptions) -> None:
        if len(x) < 1:
            raise ValueError(f"The Sequence {x!r} has no batches: its __len__ gave {len(x)}, expected 1 or more.")
        self._strides = options.num_replicas if options.shard == "stride" else 1
        alone = dataclasses.replace(options, rank=0, num_replicas=1)
        self._node = NodeReader(options if self._strides == 1 else alone)
        self._reader = SequenceReader(x, options, self._node.prepare)
        self._options = options
        self._pass: Iterator[GlobalBatch] | None = None
        self._left = self._taken = self._passes = 0
        self._length = -(-len(x) // self._strides)
        self.num_batches = options.steps or self._length

    def batches(self, epoch: int) -> Iterator[GlobalBatch]:
        if self._options.restart:
            self._pass = None
        passes, self._passes = self._passes, 0
        first, self._taken = self._taken, 0
        for _ in range(first, self.num_batches):
            if self._pass is None:
                self._begin_pass((*self._options.order_key(epoch), passes))
                passes += 1
            yield next(self._pass)
            self._left -= 1
            if not self._left:
                self._pass = None
                self._reader.end_pass()

    def go_to(self, place: Place) -> int:
        # The Sequence hears of the passes that it made, for it may change with each; no batch is read again.
        length = self._length
        passes, step = divmod(place.consumed, length)
        for _ in range(passes):
            self._reader.end_pass()
        if step:
            self._begin_pass(self._key_of_pass(place, place.consumed - step), step)
        self._taken = place.step
        self._passes = -(-place.consumed // length) + (place.step - place.consumed) // length
        return 0

    def _key_of_pass(self, place: Place, begun: int) -> tuple[int, ...]:
        """The key of the pass that was begun after so many batches, perhaps in an epoch before."""
        epoch_begun = place.consumed - place.step
        epochs = max(0, -(-(epoch_begun - begun) // self.num_batches))
        epoch_begun -= epochs * self.num_batches
        *seed, epoch, runs = self._options.order_key(place.epoch - epochs)
        # An epoch that is over was counted as run since.
        return *seed, epoch, runs - (epochs > 0), begun // self._length + -epoch_begun // self._length

    def _begin_pass(self, key: tuple[int, ...], first: int = 0) -> None:
        options = self._options
        order = self._reader.order(key[:-1] if options.shuffle and options.steps is None else None)
        order = order[first * self._strides :]
        self._left = -(-len(order) // self._strides)
        if self._strides > 1:
            self._pass = self._dealt(order, key)
            return
        items = self._node.items(lambda: self._reader.read(order, key))
        self._pass = (read_batch(item.value, options, item.rows, item.first) for item in items)

    def _dealt(self, order: list[int], key: tuple[int, ...]) -> Iterator[GlobalBatch]:
        """Batches of which this rank's part is an item as a whole; or no row of one, where items run out."""
        options, strides = self._options, self._strides
        # A rank that has no item at all reads another's, for the shape.
        mine = order[options.rank :: strides] or order[:1]
        items = self._node.items(lambda: self._reader.read(mine, key))
        batch = None
        for begun in range(0, len(order), strides):
            has_item = begun + options.rank < len(order)
            if has_item or batch is None:
                batch = read_batch(next(items).value, options)
            sizes = options.gather(batch.size if has_item else 0)
            begins = sum(sizes[: options.rank])

            def read(start: int, stop: int, batch: GlobalBatch = batch, begins: int = begins) -> Data:
                return batch.read(start - begins, stop - begins)

            yield GlobalBatch(sum(sizes), read, (begins, begins + sizes[options.rank]))

    def how_to_speed_up(self) -> str:
        workers = self._options.workers
        if self._options.use_multiprocessing and workers:
            return f"Let more processes read: workers={2 * workers}, if there are cores for them; or do less per item."
        return f"Let processes read: workers={max(workers, 2)}, use_multiprocessing=True."

    def close(self) -> None:
        self._pass = None
        self._node.close()
        self._reader.close()


class SequenceReader:
    """Reads items of a Sequence ahead, by threads or processes, pass by pass.

    Args:
        sequence: What is read; anything with `__getitem__` and `__len__`.
        options: Who reads, and how far ahead.
        prepare: What is made of an item in the thread that reads it.
    """

    def __init__(self, sequence: Any, options: DataOptions, prepare: Callable[[Any], Any] = lambda item: item) -> None:
        self._sequence = sequence
        self._options = options
        self._prepare = prepare
        self._pool: WorkerPool | None = None

    def order(self, key: tuple[int, ...] | None) -> list[int]:
        """The numbers of all items; in an order that is a function of `key`, if that is given."""
        count = len(self._sequence)
        return list(range(count)) if key is None else permutation(count, key).tolist()

    def read(self, order: list[int], key: tuple[int, ...] | None = None) -> Iterator:
        """The items of the given numbers: `prepare`d ones, or parcels of processes.

        Args:
            order: The numbers.
            key: What processes seed their global random generators from, together with an item's number.
        """
        options = self._options
        if not options.workers:
            return map(self._item, order)
        if not options.use_multiprocessing:
            return map_ahead(self._item, order, options.workers, options.max_queue_size)
        if self._pool is None:
            self._pool = WorkerPool(self._sequence, options.workers, options.max_queue_size, "the Sequence")
        return self._told(self._pool.read(order, key))

    def _told(self, items: Iterator) -> Iterator:
        """Items of processes; that one is missing is told as where it is read here. The cause says which."""
        try:
            yield from items
        except IndexError as error:
            raise IndexError(
                f"The Sequence lacks an item, though its __len__ is {len(self._sequence)}: {error!r}."
            ) from (error.__cause__ or error)

    def _item(self, index: int) -> Any:
        try:
            return self._prepare(self._sequence[index])
        except (IndexError, StopIteration) as error:
            raise IndexError(
                f"The Sequence gave no item {index}, though its __len__ is {len(self._sequence)}: {error!r}."
            ) from error

    def end_pass(self) -> None:
        """Let the Sequence end its epoch.

        It does so here, once, and workers go on with it as it is then: copies that each drew a new order of their own
        would read some samples twice and others never. For the same reason ranks draw what rank 0 draws.
        """
        end = getattr(self._sequence, "on_epoch_end", None)
        if end is None or getattr(end, "__func__", None) is Sequence.on_epoch_end:
            return
        python, numpy = self._options.broadcast((random.getstate(), np.random.get_state()))
        random.setstate(python)
        np.random.set_state(numpy)
        end()
        if self._pool is not None:
            self._pool.share(self._sequence)

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.close()
        self._pool = None


def _gives_batches_by_index(x: Any) -> bool:
    """Whether `x` is used like a Sequence, though it does not derive from it."""
    by_index = hasattr(x, "__getitem__") and hasattr(x, "__len__") and not hasattr(x, "__iter__")
    return by_index and not is_array(x)
