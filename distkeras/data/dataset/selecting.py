"""Stages that pick, order or repeat elements; they move numbers of rows where their input has rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.data.dataset.stage import INFINITE, UNKNOWN, Draws, Key, Selecting, Stage, extended
from distkeras.data.prefetch import read_ahead

AUTOTUNE = -1
_AUTOMATIC_DEPTH = 2
_DRAWN_AT_ONCE = 1024


class Take(Selecting):
    """The first `count` elements; all for -1."""

    def __init__(self, source: Stage, count: int) -> None:
        super().__init__(source)
        self._count = count

    def select(self, begin: Callable[[Key], Iterator], key: Key) -> Iterator:
        return itertools.islice(begin(key), None if self._count < 0 else self._count)

    def cardinality(self) -> int:
        size = self.inputs[0].cardinality()
        if self._count < 0:
            return size
        return self._count if size == INFINITE else UNKNOWN if size == UNKNOWN else min(size, self._count)


class Skip(Selecting):
    """All but the first `count` elements; none for -1."""

    def __init__(self, source: Stage, count: int) -> None:
        super().__init__(source)
        self._count = count

    def select(self, begin: Callable[[Key], Iterator], key: Key) -> Iterator:
        return iter(()) if self._count < 0 else itertools.islice(begin(key), self._count, None)

    def cardinality(self) -> int:
        size = self.inputs[0].cardinality()
        if self._count < 0:
            return 0
        return size if size < 0 else max(0, size - self._count)


class Shard(Selecting):
    """Every `num_shards`-th element, from number `index` on."""

    def __init__(self, source: Stage, num_shards: int, index: int) -> None:
        super().__init__(source)
        if num_shards < 1:
            raise InvalidArgumentError(
                f"Number of shards must be greater than zero (currently num_shards = {num_shards})."
            )
        if not 0 <= index < num_shards:
            raise InvalidArgumentError(f"Index must be between 0 and {num_shards - 1} (currently index = {index}).")
        self._num_shards, self._index = num_shards, index

    def select(self, begin: Callable[[Key], Iterator], key: Key) -> Iterator:
        return itertools.islice(begin(key), self._index, None, self._num_shards)

    def cardinality(self) -> int:
        size = self.inputs[0].cardinality()
        return size if size < 0 else len(range(self._index, size, self._num_shards))


class Repeat(Selecting):
    """Draws over the source one after the other; without end for -1."""

    def __init__(self, source: Stage, count: int) -> None:
        super().__init__(source)
        self._count = count

    def select(self, begin: Callable[[Key], Iterator], key: Key) -> Iterator:
        for number in itertools.count() if self._count < 0 else range(self._count):
            items = begin(extended(key, number))
            first = list(itertools.islice(items, 1))
            if not first:  # it would be empty for ever
                return
            yield first[0]
            yield from items

    def cardinality(self) -> int:
        size = self.inputs[0].cardinality()
        if self._count < 0:
            return 0 if size == 0 else INFINITE
        return 0 if self._count == 0 else size if size < 0 else size * self._count


class Shuffle(Selecting):
    """Elements drawn from a buffer that the next ones fill up again."""

    def __init__(self, source: Stage, buffer_size: int, seed: int | None, reshuffle_each_iteration: bool) -> None:
        super().__init__(source)
        if buffer_size < 1:
            raise InvalidArgumentError(f"buffer_size must be greater than zero, received {buffer_size}.")
        self._buffer_size = buffer_size
        self._draws = Draws(seed)
        self._reshuffles = reshuffle_each_iteration

    def select(self, begin: Callable[[Key], Iterator], key: Key) -> Iterator:
        drawn_by = self._draws.numbered(key) if self._reshuffles else ()
        return shuffled(begin(key), self._buffer_size, self._draws.generator(drawn_by))

    def cardinality(self) -> int:
        return self.inputs[0].cardinality()


def shuffled(items: Iterator, buffer_size: int, generator: np.random.Generator) -> Iterator:
    """`items` in random order, none earlier than `buffer_size` - 1 places before its own."""
    buffer = list(itertools.islice(items, buffer_size))
    for item, place in zip(items, _places(len(buffer), generator), strict=False):
        buffer[place], item = item, buffer[place]
        yield item
    for place in generator.permutation(len(buffer)).tolist():
        yield buffer[place]


def _places(size: int, generator: np.random.Generator) -> Iterator[int]:
    while True:
        yield from generator.integers(0, max(size, 1), _DRAWN_AT_ONCE).tolist()


class Prefetch(Selecting):
    """The same elements, read ahead by a thread."""

    def __init__(self, source: Stage, buffer_size: int) -> None:
        super().__init__(source)
        if buffer_size < AUTOTUNE:
            raise InvalidArgumentError(
                f"buffer_size must be >= 0, or tf.data.experimental.AUTOTUNE to have it chosen; it is {buffer_size}."
            )
        self._depth = _AUTOMATIC_DEPTH if buffer_size == AUTOTUNE else buffer_size

    def select(self, begin: Callable[[Key], Iterator], key: Key) -> Iterator:
        return read_ahead(begin(key), self._depth) if self._depth else begin(key)

    def order(self, key: Key) -> Iterator[int]:
        return self.inputs[0].order(key)  # numbers need no reading; whoever takes the rows reads

    def cardinality(self) -> int:
        return self.inputs[0].cardinality()


class WithOptions(Selecting):
    """The same elements; what the options say is looked up by those who read."""

    def __init__(self, source: Stage, options: Any) -> None:
        super().__init__(source)
        self.is_whole = source.is_whole
        self.options = options

    def select(self, begin: Callable[[Key], Iterator], key: Key) -> Iterator:
        return begin(key)

    def cardinality(self) -> int:
        return self.inputs[0].cardinality()
