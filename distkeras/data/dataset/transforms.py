"""Stages that call a function of each element: map, filter, flat_map, interleave; and errors passed over."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import InvalidArgumentError
from distkeras.core.random_state import global_seed
from distkeras.data.dataset.calling import CallingProcesses
from distkeras.data.dataset.functions import ElementFunction
from distkeras.data.dataset.selecting import AUTOTUNE
from distkeras.data.dataset.stage import UNKNOWN, Key, Part, PassKeys, Stage, blocks, extended
from distkeras.data.dataset.structure import DatasetSpec, Leaves, is_dataset
from distkeras.data.dataset.together import Together
from distkeras.data.prefetch import map_ahead, read_ahead

_MOST_THREADS = 8
_FILTERED_AT_ONCE = 64


def threads(num_parallel_calls: int | None, what: str) -> int:
    """How many threads to call a function with; 0 for the calling thread itself.

    Raises:
        InvalidArgumentError: The number is neither positive nor AUTOTUNE.
    """
    if num_parallel_calls is None:
        return 0
    if num_parallel_calls == AUTOTUNE:
        return min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    if num_parallel_calls < 1:
        raise InvalidArgumentError(
            f"{what}: num_parallel_calls must be greater than zero, or tf.data.experimental.AUTOTUNE; received "
            f"{num_parallel_calls}."
        )
    return int(num_parallel_calls)


def first_draw(key: tuple[int, ...]) -> int:
    """Where the draws of a pass begin; those of its elements follow."""
    return int(np.random.SeedSequence(key).generate_state(1)[0]) << 28


class _Calling(Stage):
    """Base of stages with a function of an element."""

    def __init__(self, source: Stage, function: Callable, what: str) -> None:
        self.inputs = (source,)
        self._function = ElementFunction(function, what, source.known_spec)
        self._passes = PassKeys()

    @property
    def runs_python(self) -> bool:
        return not self._function.is_traced

    def _call(self, leaves: Leaves, draw: int) -> Leaves:
        return self._function(self.inputs[0].known_spec, leaves, draw)

    def _draws(self, key: Key) -> Iterator[int]:
        return itertools.count(first_draw(self._passes.numbered(key)))


class Map(_Calling):
    """A function of each element.

    Attributes:
        processes: Who calls a function that runs as Python; None for this process.
    """

    processes: CallingProcesses | None = None

    def __init__(self, source: Stage, function: Callable, num_parallel_calls: int | None = None) -> None:
        super().__init__(source, function, "Dataset.map()")
        self._threads = threads(num_parallel_calls, "Dataset.map()")
        self.rows = self._function.mapped(source.rows)
        self.is_whole = source.is_whole

    def find_spec(self) -> Any:
        return self._function.known_spec

    def cardinality(self) -> int:
        return self.inputs[0].cardinality()

    def order(self, key: Key) -> Iterator[int]:
        return self.inputs[0].order(key)

    def stream(self, key: Key) -> Iterator[Leaves]:
        numbered = self._passes.numbered(key)
        pairs = zip(self.inputs[0].elements(key), itertools.count(first_draw(numbered)), strict=False)
        if self._threads and self.runs_python and self.processes:
            return self._in_processes(pairs, numbered)
        return Together(self._function, self.inputs[0], pairs, self._in_threads if self._threads else None)

    def _in_threads(self, pairs: Iterator[tuple[Leaves, int]]) -> Iterator[Leaves]:
        return map_ahead(lambda pair: self._call(*pair), pairs, self._threads, 2 * self._threads)

    def _in_processes(self, pairs: Iterator[tuple[Leaves, int]], key: tuple[int, ...]) -> Iterator[Leaves]:
        first = next(pairs, None)
        if first is None:
            return
        structure, pairs = self.inputs[0].known_spec, itertools.chain([first], pairs)
        results = None
        if self._function.runs_python_for(structure, first[0]):
            results = self.processes.map(self._function.as_it_is(structure), pairs, (global_seed(), *key))
        yield from self._in_threads(pairs) if results is None else map(self._function.adopt, results)

    @property
    def may_call_in_parallel(self) -> bool:
        """Whether several processes may call the function."""
        return bool(self._threads) and self.runs_python

    @property
    def is_reproducible(self) -> bool:
        return self.inputs[0].is_reproducible  # whatever a function makes of each element, there are as many

    @property
    def divides(self) -> bool:
        return self._function.keeps_rows and self.inputs[0].divides

    def parts(self, key: Key, rank: int, count: int) -> Iterator[Part]:
        if not self._function.keeps_rows:
            yield from super().parts(key, rank, count)
            return
        for part in self.inputs[0].parts(key, rank, count):
            yield part._replace(leaves=self._call(part.leaves, 0))


class Filter(_Calling):
    """The elements for which a function gives true."""

    def __init__(self, source: Stage, predicate: Callable) -> None:
        super().__init__(source, predicate, "Dataset.filter()")
        known = self._function.known_spec
        if known is not None:
            _check_predicate(known)
        self._mask = self._function.mapped(source.rows)
        self.rows = None if self._mask is None else source.rows

    def find_spec(self) -> Any:
        return self.inputs[0].known_spec

    def cardinality(self) -> int:
        return UNKNOWN

    def order(self, key: Key) -> Iterator[int]:
        for numbers in blocks(self.inputs[0].order(key), _FILTERED_AT_ONCE):
            yield from numbers[self._mask.take(numbers)[0]].tolist()

    def stream(self, key: Key) -> Iterator[Leaves]:
        for leaves, draw in zip(self.inputs[0].elements(key), self._draws(key), strict=False):
            if self._holds(leaves, draw):
                yield leaves

    def _holds(self, leaves: Leaves, draw: int) -> bool:
        found = self._call(leaves, draw)
        if len(found) != 1 or found[0].dtype != bool or found[0].ndim:
            _check_predicate(self._function.known_spec)
        return bool(found[0])


class TakeWhile(Filter):
    """The elements before the first for which a function gives false."""

    def order(self, key: Key) -> Iterator[int]:
        numbers, kept = itertools.tee(self.inputs[0].order(key))
        masks = (mask for block in blocks(numbers, _FILTERED_AT_ONCE) for mask in self._mask.take(block)[0].tolist())
        for number, keep in zip(kept, masks, strict=False):
            if not keep:
                return
            yield number

    def stream(self, key: Key) -> Iterator[Leaves]:
        for leaves, draw in zip(self.inputs[0].elements(key), self._draws(key), strict=False):
            if not self._holds(leaves, draw):
                return
            yield leaves


def _check_predicate(spec: Any) -> None:
    if _nest.is_nested(spec) or isinstance(spec, DatasetSpec) or spec.dtype.name != "bool" or spec.shape.rank != 0:
        raise ValueError(
            "Invalid `predicate`. `predicate` must return a `tf.bool` scalar tensor, but its return type is "
            f"{spec}: compare, as in `lambda x: x > 0`."
        )


class Interleave(_Calling):
    """The elements of datasets that a function makes of each element, some of them read in turns.

    Args:
        source: What datasets are made of.
        function: Gives a dataset for an element.
        cycle_length: How many datasets are read in turns.
        block_length: How many elements are taken from each at its turn.
        num_parallel_calls: If given, each of the datasets is read by a thread of its own.
        what: The transformation, for messages.
    """

    def __init__(
        self,
        source: Stage,
        function: Callable,
        cycle_length: int = 1,
        block_length: int = 1,
        num_parallel_calls: int | None = None,
        what: str = "Dataset.interleave()",
    ) -> None:
        super().__init__(source, function, what)
        for name, value in (("cycle_length", cycle_length), ("block_length", block_length)):
            if value < 1:
                raise InvalidArgumentError(f"{name} must be greater than zero, received {value}.")
        if self._function.known_spec is not None:  # no datasets, which cannot be traced
            raise _no_dataset(what, self._function.known_spec)
        self._what = what
        self._cycle_length, self._block_length = cycle_length, block_length
        self._ahead = threads(num_parallel_calls, what)

    def find_spec(self) -> Any:
        known = self._function.known_spec
        return None if known is None else known.element_spec

    def cardinality(self) -> int:
        return UNKNOWN

    @functools.cached_property
    def _gives_reproducible(self) -> bool:
        """Whether the first dataset that the function makes is read alike in every process."""
        first = next(self.inputs[0].elements((0,)), None)
        made = [] if first is None else self._call(first, 0)
        return all(is_dataset(dataset) and dataset._stage.is_reproducible for dataset in made)

    @property
    def is_reproducible(self) -> bool:
        return self.inputs[0].is_reproducible and self._gives_reproducible

    @property
    def reads_without_python(self) -> bool:
        return self.inputs[0].reads_without_python  # what opens a dataset may do so somewhat earlier

    def stream(self, key: Key) -> Iterator[Leaves]:
        return interleaved(self._opened(key), self._cycle_length, self._block_length)

    def _opened(self, key: Key) -> Iterator[Iterator[Leaves]]:
        for number, (leaves, draw) in enumerate(zip(self.inputs[0].elements(key), self._draws(key), strict=False)):
            (made,) = self._call(leaves, draw)
            if not is_dataset(made):
                raise _no_dataset(self._what, made)
            items = made._stage.elements(extended(key, number))
            yield read_ahead(items, 2 * self._block_length) if self._ahead else items


def _no_dataset(what: str, made: Any) -> TypeError:
    return TypeError(
        f"The function passed to {what} must return a `tf.data.Dataset`, received {made!r}: wrap tensors, as in "
        "`tf.data.Dataset.from_tensors(x)`."
    )


def interleaved(opened: Iterator[Iterator], cycle_length: int, block_length: int) -> Iterator:
    """Items of iterators in turns: `block_length` of each of `cycle_length`, an ended one replaced at its next turn."""
    cycle: list[Iterator | None] = [None] * cycle_length
    while True:
        for place in range(cycle_length):
            items = cycle[place] = cycle[place] or next(opened, None)
            taken = 0
            for item in itertools.islice(items or (), block_length):
                taken += 1
                yield item
            if taken < block_length:
                cycle[place] = None
        if not any(cycle):
            cycle[0] = next(opened, None)
            if cycle[0] is None:
                return


class IgnoreErrors(Stage):
    """The elements of the source but for those whose making raises an error."""

    goes_on_after_errors = True

    def __init__(self, source: Stage) -> None:
        self.inputs = (source,)

    def find_spec(self) -> Any:
        return self.inputs[0].known_spec

    def cardinality(self) -> int:
        return UNKNOWN

    def stream(self, key: Key) -> Iterator[Leaves]:
        source = self.inputs[0]
        items = source.stream(key) if source.rows is None else _one_by_one(source, key)
        while True:
            try:
                yield next(items)
            except StopIteration:
                return
            except Exception:  # whatever it is, the next element may do better
                continue


def _one_by_one(source: Stage, key: Key) -> Iterator[Leaves]:
    read = functools.partial(_read_one, source)
    return map(read, source.order(key))


def _read_one(source: Stage, number: int) -> Leaves:
    return [leaf[0, ...] for leaf in source.rows.take(np.array([number]))]
