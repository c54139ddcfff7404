"""Reading batches ahead, for training loops of one's own: what `fit` does with `workers` and `use_multiprocessing`."""

from __future__ import annotations

import abc
import random
from collections.abc import Iterable, Iterator
from typing import Any

from distkeras.data.adapter import DataOptions
from distkeras.data.generator import IterableReader
from distkeras.data.ring import opened
from distkeras.data.sequence import SequenceReader
from distkeras.data.shipping import leave_script


class SequenceEnqueuer(abc.ABC):
    """Base of what reads batches ahead.

    Args:
        sequence: Where they are read from.
        use_multiprocessing: Whether processes read; threads otherwise.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False) -> None:
        self.sequence = sequence
        self.use_multiprocessing = use_multiprocessing
        self._items: Iterator | None = None
        self._reader: Any = None

    @abc.abstractmethod
    def _open(self, options: DataOptions) -> tuple[Any, Iterator]:
        """What reads, and what it reads."""

    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._items is not None

    def start(self, workers: int = 1, max_queue_size: int = 10) -> None:
        """Begin; reading starts with the first item that is asked for.

        Args:
            workers: How many threads or processes read; 0 reads each item when it is asked for.
            max_queue_size: How many items they may be ahead.

        Raises:
            RuntimeError: It is running already.
            ValueError: `workers` is negative, or `max_queue_size` less than 1.
        """
        leave_script()
        if self.is_running():
            raise RuntimeError(f"This {type(self).__name__} is running already: call stop() first.")
        if workers < 0 or max_queue_size < 1:
            raise ValueError(
                "Expected `workers` of at least 0 and `max_queue_size` of at least 1, received "
                f"{workers} and {max_queue_size}."
            )
        options = DataOptions(
            workers=workers, max_queue_size=max_queue_size, use_multiprocessing=self.use_multiprocessing
        )
        self._reader, self._items = self._open(options)

    def stop(self, timeout: float | None = None) -> None:
        """End the threads or processes.

        Args:
            timeout: Not needed: processes are ended at once, and a thread after the item that it reads.
        """
        if self._items is not None and hasattr(self._items, "close"):
            self._items.close()
        if self._reader is not None:
            self._reader.close()
        self._items = self._reader = None

    def get(self) -> Iterator:
        """The items, in order, until there are no more or `stop` is called.

        Raises:
            RuntimeError: It was not started.
        """
        if not self.is_running():
            raise RuntimeError(f"This {type(self).__name__} is not running: call start() before get().")
        return self._until_stopped()

    def _until_stopped(self) -> Iterator:
        end = object()
        while self._items is not None and (item := next(self._items, end)) is not end:
            yield item


class OrderedEnqueuer(SequenceEnqueuer):
    """Reads the items of a `keras.utils.Sequence` in order, epoch after epoch without end.

    Args:
        sequence: A Sequence, or another object with `__getitem__`, `__len__` and `on_epoch_end`.
        use_multiprocessing: Whether processes read; threads otherwise.
        shuffle: Whether the items come in a new order in each epoch, drawn from Python's global generator.

    >>> import distkeras as tf
    >>> class Letters(tf.keras.utils.Sequence):
    ...     def __len__(self):
    ...         return 2
    ...
    ...     def __getitem__(self, index):
    ...         return "ab"[index]
    >>> enqueuer = tf.keras.utils.OrderedEnqueuer(Letters())
    >>> enqueuer.start(workers=2)
    >>> items = enqueuer.get()
    >>> [next(items) for _ in range(5)]
    ['a', 'b', 'a', 'b', 'a']
    >>> enqueuer.stop()
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False, shuffle: bool = False) -> None:
        super().__init__(sequence, use_multiprocessing)
        self.shuffle = shuffle

    def _open(self, options: DataOptions) -> tuple[SequenceReader, Iterator]:
        reader = SequenceReader(self.sequence, options)
        return reader, self._passes(reader)

    def _passes(self, reader: SequenceReader) -> Iterator:
        while True:
            order = reader.order(None)
            if not order:
                raise ValueError(f"The Sequence {self.sequence!r} has no items: its __len__ gave 0.")
            if self.shuffle:
                random.shuffle(order)
            yield from map(opened, reader.read(order))
            reader.end_pass()


class GeneratorEnqueuer(SequenceEnqueuer):
    """Reads a generator or another iterable until it ends.

    Args:
        sequence: The iterable. One thread or process reads it, because a second one would read the same items again.
        use_multiprocessing: Whether that is a process; a generator, which cannot be sent to one, is read by a thread.
        random_seed: What a process seeds NumPy's and Python's global generators from, together with each item's
            number; None to leave them. A thread shares the generators of the script, which are left alone.
    """

    def __init__(self, sequence: Iterable, use_multiprocessing: bool = False, random_seed: int | None = None) -> None:
        super().__init__(sequence, use_multiprocessing)
        self.random_seed = random_seed

    def _open(self, options: DataOptions) -> tuple[IterableReader, Iterator]:
        key = None if self.random_seed is None else (self.random_seed,)
        reader = IterableReader(self.sequence, options, key)
        return reader, map(opened, reader.read())
