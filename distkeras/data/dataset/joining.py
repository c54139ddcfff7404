"""Stages that read from several datasets: zip, concatenate, and choosing which to read next."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import InvalidArgumentError
from distkeras.data.dataset.stage import INFINITE, UNKNOWN, Draws, Key, Rows, Stage, extended
from distkeras.data.dataset.structure import Leaves, common_structure


class ZipRows(Rows):
    """Rows side by side."""

    def __init__(self, rows: Sequence[Rows], structure: Any) -> None:
        self._rows = rows
        counts = [each.count for each in rows if each.count is not None]
        self.count = min(counts) if counts else None
        self.spec = _joined(structure, [each.spec for each in rows])
        self._widths = [len(_nest.flatten(each.spec)) for each in rows]

    def take(self, numbers: np.ndarray, out: list[np.ndarray] | None = None) -> Leaves:
        if out is None:
            return [leaf for rows in self._rows for leaf in rows.take(numbers)]
        places = iter(out)
        for rows, width in zip(self._rows, self._widths, strict=True):
            rows.take(numbers, out=list(itertools.islice(places, width)))
        return out


def _joined(structure: Any, specs: list) -> Any:
    return _nest.map_structure(lambda number: specs[number], structure)


class Zip(Stage):
    """Elements of several datasets side by side, until one of them ends.

    Args:
        structure: How the datasets' elements are nested; numbers of `stages`.
        stages: What to read.
    """

    def __init__(self, structure: Any, stages: Sequence[Stage]) -> None:
        self.inputs = tuple(stages)
        self._structure = structure
        if all(stage.rows is not None and stage.is_whole for stage in stages):
            self.rows = ZipRows([stage.rows for stage in stages], structure)
            self.is_whole = True

    def find_spec(self) -> Any:
        known = [stage.known_spec for stage in self.inputs]
        return None if any(spec is None for spec in known) else _joined(self._structure, known)

    def cardinality(self) -> int:
        sizes = [stage.cardinality() for stage in self.inputs]
        if UNKNOWN in sizes:
            return UNKNOWN
        return min((size for size in sizes if size != INFINITE), default=INFINITE)

    def order(self, key: Key) -> Iterator[int]:
        return itertools.count() if self.rows.count is None else iter(range(self.rows.count))

    def stream(self, key: Key) -> Iterator[Leaves]:
        for parts in zip(*(stage.elements(key) for stage in self.inputs), strict=False):
            yield [leaf for part in parts for leaf in part]


class Concatenate(Stage):
    """One dataset after the other."""

    def __init__(self, first: Stage, second: Stage) -> None:
        self.inputs = (first, second)
        self.known_spec  # noqa: B018  raises for elements that do not go together

    def find_spec(self) -> Any:
        return _common(self.inputs)

    def cardinality(self) -> int:
        sizes = [stage.cardinality() for stage in self.inputs]
        return INFINITE if INFINITE in sizes else UNKNOWN if UNKNOWN in sizes else sum(sizes)

    def stream(self, key: Key) -> Iterator[Leaves]:
        for stage in self.inputs:
            yield from stage.elements(key)


def _common(stages: Sequence[Stage]) -> Any:
    known = [stage.known_spec for stage in stages]
    return None if any(spec is None for spec in known) else functools.reduce(common_structure, known)


class Choose(Stage):
    """Elements of several datasets, in the order that another one gives; datasets that have ended are passed over.

    Args:
        stages: What to read.
        choices: int64 scalars: which one to read next.
    """

    def __init__(self, stages: Sequence[Stage], choices: Stage) -> None:
        self.inputs = (*stages, choices)
        spec = choices.spec
        if _nest.is_nested(spec) or spec.dtype.name != "int64" or spec.shape.rank != 0:
            raise TypeError(
                "Invalid `choice_dataset`. Elements of `choice_dataset` must be scalar `tf.int64` tensors but are "
                f"{spec}."
            )
        self.known_spec  # noqa: B018

    def find_spec(self) -> Any:
        return _common(self.inputs[:-1])

    def cardinality(self) -> int:
        return UNKNOWN

    def stream(self, key: Key) -> Iterator[Leaves]:
        readers: list[Iterator | None] = [stage.elements(key) for stage in self.inputs[:-1]]
        for (choice,) in self.inputs[-1].elements(key):
            if not 0 <= choice < len(readers):
                raise InvalidArgumentError(f"Selector index out of range: {int(choice)} >= {len(readers)}.")
            yield from _next_of(readers, int(choice))
            if not any(readers):
                return


class Sample(Stage):
    """Elements of several datasets, each time of one drawn by weight, until all have ended."""

    def __init__(self, stages: Sequence[Stage], weights: Sequence[float], seed: int | None) -> None:
        self.inputs = tuple(stages)
        self._weights = np.asarray(weights, np.float64)
        self._draws = Draws(seed)
        self.known_spec  # noqa: B018

    def find_spec(self) -> Any:
        return _common(self.inputs)

    def cardinality(self) -> int:
        return UNKNOWN

    def stream(self, key: Key) -> Iterator[Leaves]:
        generator = self._draws.generator(self._draws.numbered(key))
        readers: list[Iterator | None] = [
            stage.elements(extended(key, number)) if weight else None
            for number, (stage, weight) in enumerate(zip(self.inputs, self._weights, strict=True))
        ]
        while any(readers):
            weights = np.where([reader is not None for reader in readers], self._weights, 0)
            yield from _next_of(readers, int(generator.choice(len(readers), p=weights / weights.sum())))


def _next_of(readers: list[Iterator | None], number: int) -> Iterator[Leaves]:
    """The next element of a reader, which is struck off the list if there is none."""
    if readers[number] is not None:
        leaves = next(readers[number], None)
        if leaves is None:
            readers[number] = None
        else:
            yield leaves
