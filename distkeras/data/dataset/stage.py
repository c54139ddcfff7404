"""Stages: what a dataset is made of. A stage reads from other stages and gives elements, one pass at a time.

    elements    one after the other, each a flat list of arrays
    rows, order random access, where the elements lie in arrays: what is there, and the numbers of the elements in
                order. Stages that pick or order elements then work on numbers alone, and `batch` gathers at once
    parts       elements that are batches, of which a rank reads its own rows

A pass has a key, a tuple of ints that random orders are functions of; None takes the next of each stage's own count.
"""

from __future__ import annotations

import abc
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from distkeras import _nest
from distkeras.core.random_state import global_seed, new_stream
from distkeras.core.spec import TensorSpec
from distkeras.data.dataset.structure import Leaves
from distkeras.data.sharding import shard_bounds

Key = tuple[int, ...] | None
INFINITE = -1
UNKNOWN = -2
_BLOCK_BYTES = 1 << 20
_MOST_ROWS = 64


class Rows(abc.ABC):
    """Elements that can be read in any order.

    Attributes:
        count: How many; None for endlessly many.
        spec: The structure of an element's specs.
    """

    count: int | None
    spec: Any

    @abc.abstractmethod
    def take(self, numbers: np.ndarray, out: list[np.ndarray] | None = None) -> Leaves:
        """The elements of these numbers stacked: for each leaf an array with a row per number.

        Args:
            numbers: int64, (n,).
            out: Arrays to fill; new ones by default.
        """


class Part(NamedTuple):
    """A rank's rows of a batch.

    Attributes:
        size: Rows of the whole batch.
        start: Which row of it the first one is.
        count: How many there are.
        leaves: The rows; one that does not count where there is none, for the sake of its shape.
    """

    size: int
    start: int
    count: int
    leaves: Leaves

    @property
    def rows(self) -> Leaves:
        """The rows that count."""
        return self.leaves if self.count else [leaf[:0] for leaf in self.leaves]


def part_of(leaves: Leaves, rank: int, count: int, size: int | None = None, first: int = 0) -> Part:
    """The rows of a batch that belong to one rank of `count`.

    Args:
        leaves: The batch, or the rows of it that some ranks take.
        rank, count: Whose rows.
        size, first: Of a part of a batch: rows of the whole, and which one of them it begins with.

    Raises:
        ValueError: The element is no batch.
    """
    size = size or num_rows(leaves)
    start, stop = shard_bounds(size, rank, count)
    rows = slice(start - first, max(stop, start + 1) - first)
    return Part(size, start, stop - start, leaves if count == 1 else [leaf[rows] for leaf in leaves])


class Stage(abc.ABC):
    """Base of all stages.

    Attributes:
        inputs: The stages it reads from.
        options: What `with_options` set on it.
        rows: Random access to its elements, None where there is none.
        is_whole: Whether `order` gives all rows, from 0 on.
        runs_python: Whether it calls Python of the user's for each element.
        goes_on_after_errors: Whether it passes over errors of what it reads from.
    """

    inputs: tuple[Stage, ...] = ()
    options: Any = None
    rows: Rows | None = None
    is_whole = False
    runs_python = False
    goes_on_after_errors = False
    _spec: Any = None

    # --- what the elements are

    @property
    def known_spec(self) -> Any:
        """The structure of the elements' specs; None where that shows only once an element has been read."""
        if self._spec is None:
            self._spec = self.find_spec()
        return self._spec

    @property
    def spec(self) -> Any:
        """The structure of the elements' specs; one element is read if it is not known before.

        Raises:
            ValueError: There is no element.
        """
        if self.known_spec is None:
            for source in self.inputs:  # where one element of theirs is enough, no more are read
                source.spec  # noqa: B018
        if self.known_spec is None and next(self.elements((0,)), None) is None:
            raise ValueError(
                "The structure of this dataset's elements is not known: it comes from a function that cannot be "
                "traced, and there is no element to call it with."
            )
        return self.known_spec

    def adopt_spec(self, spec: Any) -> None:
        """Take over what another process knows of the elements."""
        self._spec = spec

    @abc.abstractmethod
    def find_spec(self) -> Any:
        """The spec, from what is known so far."""

    @abc.abstractmethod
    def cardinality(self) -> int:
        """The number of elements, or INFINITE or UNKNOWN."""

    @property
    def is_reproducible(self) -> bool:
        """Whether every process that reads it reads as many elements, of the same data in the same order.

        What Python of the user's makes of each may differ where it draws random numbers of its own; where it decides
        which there are, processes might wait for each other for ever.
        """
        return not self.runs_python and all(stage.is_reproducible for stage in self.inputs)

    @property
    def reads_without_python(self) -> bool:
        """Whether reading an element more than is asked for would not call Python of the user's."""
        return not self.runs_python and all(stage.reads_without_python for stage in self.inputs)

    @property
    def divides(self) -> bool:
        """Whether `parts` reads and computes, for the most part, only the rows that are asked for."""
        return False

    # --- reading

    def elements(self, key: Key) -> Iterator[Leaves]:
        """The elements of a pass."""
        return self.stream(key) if self.rows is None else read_rows(self.rows, self.order(key))

    def stream(self, key: Key) -> Iterator[Leaves]:
        """The elements of a pass, for stages without `rows`."""
        raise NotImplementedError

    def order(self, key: Key) -> Iterator[int]:
        """The numbers, in `rows`, of the elements of a pass."""
        raise NotImplementedError

    def parts(self, key: Key, rank: int, count: int) -> Iterator[Part]:
        """The rows of each batch that belong to one rank of `count`."""
        for leaves in self.elements(key):
            yield part_of(leaves, rank, count)


def num_rows(leaves: Leaves) -> int:
    """The rows of a batch.

    Raises:
        ValueError: The element is no batch.
    """
    if not leaves or not getattr(leaves[0], "ndim", 0):
        raise ValueError(
            "Expected a dataset of batches, whose first axis counts samples; received an element "
            f"{leaves[0] if leaves else ()!r}: call `.batch(batch_size)` on the dataset."
        )
    return leaves[0].shape[0]


def read_rows(rows: Rows, order: Iterator[int]) -> Iterator[Leaves]:
    """The elements of these numbers, read some at a time."""
    specs = [spec for spec in _nest.flatten(rows.spec) if isinstance(spec, TensorSpec)]
    row_bytes = sum(spec.nbytes for spec in specs if spec.shape.is_fully_defined())
    most = max(1, min(_MOST_ROWS, _BLOCK_BYTES // max(row_bytes, 1)))
    for numbers in blocks(order, most):
        # The ellipsis makes a scalar a view of no dimensions, not a number.
        yield from zip(*([array[i, ...] for i in range(len(numbers))] for array in rows.take(numbers)), strict=True)


def blocks(order: Iterator[int], size: int) -> Iterator[np.ndarray]:
    """Numbers in arrays of `size`, the last one perhaps shorter."""
    order = iter(order)
    while True:
        numbers = np.fromiter(itertools.islice(order, size), np.int64)
        if not len(numbers):
            return
        yield numbers


class Selecting(Stage):
    """Base of stages that give elements of another one, in an order or number of their own.

    What they do with elements they do as well with numbers of rows and with parts of batches.
    """

    def __init__(self, source: Stage) -> None:
        self.inputs = (source,)
        self.rows = source.rows

    @abc.abstractmethod
    def select(self, begin: Callable[[Key], Iterator], key: Key) -> Iterator:
        """The items of a pass; `begin(key)` begins a pass over those of the source."""

    def find_spec(self) -> Any:
        return self.inputs[0].known_spec

    @property
    def divides(self) -> bool:
        return self.inputs[0].divides

    def stream(self, key: Key) -> Iterator[Leaves]:
        return self.select(self.inputs[0].elements, key)

    def order(self, key: Key) -> Iterator[int]:
        return self.select(self.inputs[0].order, key)

    def parts(self, key: Key, rank: int, count: int) -> Iterator[Part]:
        return self.select(lambda inner: self.inputs[0].parts(inner, rank, count), key)


class PassKeys:
    """The keys of a stage's passes: its own count where none is given."""

    def __init__(self) -> None:
        self._begun = itertools.count()

    def numbered(self, key: Key) -> tuple[int, ...]:
        """`key`, or the number of passes so far."""
        return (next(self._begun),) if key is None else key


class Draws(PassKeys):
    """What a stage draws from: a random generator for each pass.

    Args:
        seed: Given, the draws depend on it alone; else on the global seed and which stage it is.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        self._seed = None if seed is None else int(seed) & 0xFFFFFFFFFFFFFFFF
        self._stream = 0 if seed is not None else new_stream()

    def generator(self, key: tuple[int, ...]) -> np.random.Generator:
        """The generator of a pass."""
        root = [0, self._seed] if self._seed is not None else [global_seed(), self._stream]
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([*root, *key])))


def extended(key: Key, number: int) -> Key:
    """The key of one of several passes within a pass."""
    return None if key is None else (*key, number)


def scalar_spec(dtype: Any) -> TensorSpec:
    """The spec of single values."""
    return TensorSpec((), dtype)
