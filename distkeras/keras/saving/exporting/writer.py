"""What a graph of any library's operators can be told to hold: constants, sizes, and a few operators on them."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core.variable import Variable
from distkeras.keras.saving.exporting.sizes import Size, is_fixed


class GraphWriter(abc.ABC):
    """A graph as it is written, value by value; values are known by what this library calls them.

    Attributes:
        open_size: Open size -> the value, int64 of one element, that holds it; set by whoever knows the inputs.
    """

    open_size: Callable[[int], str]

    def __init__(self, names: set[str] | None = None) -> None:
        self._names: set[str] = set() if names is None else names
        self._sizes: dict[int, str] = {}

    def name(self, wanted: str) -> str:
        """`wanted`, numbered if it is taken."""
        name, number = wanted, 0
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    # --- what a library's writer defines

    @abc.abstractmethod
    def constant(self, value: Any, dtype: Any = None) -> str:
        """A value that is known now."""

    @abc.abstractmethod
    def variable(self, variable: Variable) -> str:
        """What a variable holds."""

    def assign(self, variable: Variable, value: str) -> None:
        """Let a variable hold something else from now on.

        Raises:
            ValueError: The library's graphs cannot.
        """
        raise ValueError(f"it assigns to {variable.name!r}, which the library's graphs cannot")

    @abc.abstractmethod
    def size_of(self, value: str, axis: int, dtype: np.dtype) -> str:
        """The size along an axis of a value of that type, as int64 of one element."""

    @abc.abstractmethod
    def concat(self, values: Sequence[str], axis: int, dtype: np.dtype) -> str:
        """Values of one type, one after the other."""

    @abc.abstractmethod
    def add(self, one: str, other: str, dtype: np.dtype) -> str:
        """Sums."""

    @abc.abstractmethod
    def multiply(self, one: str, other: str, dtype: np.dtype) -> str:
        """Products."""

    @abc.abstractmethod
    def cast(self, value: str, source: np.dtype, target: np.dtype) -> str:
        """Another element type."""

    @abc.abstractmethod
    def expand(self, value: str, sizes: Sequence[int | Size], dtype: np.dtype) -> str:
        """Repeated along dimensions of size 1 until it has the shape."""

    @abc.abstractmethod
    def positions(self, size: int | Size) -> str:
        """0, 1, ... to before `size`, as int64."""

    @abc.abstractmethod
    def reshape(self, value: str, sizes: Sequence[int | Size], dtype: np.dtype) -> str:
        """The same elements in another shape."""

    # --- sizes

    def integers(self, *values: int) -> str:
        """A list of numbers that are known now."""
        return self.constant(values, np.int64)

    def shape(self, sizes: Sequence[int | Size]) -> str:
        """A list of sizes, some of them perhaps open."""
        if is_fixed(sizes):
            return self.integers(*sizes)
        parts = [self._size(size) if isinstance(size, Size) else self.integers(size) for size in sizes]
        return parts[0] if len(parts) == 1 else self.concat(parts, 0, np.dtype(np.int64))

    def with_unknown(self, sizes: Sequence[int | Size]) -> list[int | Size]:
        """Sizes for a reshape: where one is open, it may be worked out instead."""
        unknown = [place for place, size in enumerate(sizes) if isinstance(size, Size)]
        if len(unknown) != 1 or 0 in sizes:
            return list(sizes)
        return [-1 if place in unknown else size for place, size in enumerate(sizes)]

    def _size(self, size: Size) -> str:
        int64 = np.dtype(np.int64)
        value = self.integers(size.factor) if size.factor != 1 else ""
        for symbol, added in size.terms:
            if symbol not in self._sizes:
                self._sizes[symbol] = self.open_size(symbol)
            term = self._sizes[symbol]
            term = self.add(term, self.integers(added), int64) if added else term
            value = self.multiply(value, term, int64) if value else term
        return self.add(value, self.integers(size.offset), int64) if size.offset else value
