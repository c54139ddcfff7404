"""A graph of ONNX nodes as it is written, value by value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.keras.saving.onnx_export.sizes import Size, is_fixed

OPSET = 18


def load_onnx() -> Any:
    """The package that knows ONNX' files.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "Exporting to ONNX needs the package onnx: install it with pip install 'distkeras[onnx]'."
        ) from error
    return onnx


class Writer:
    """Nodes and initializers of a graph; values are known by their names.

    Args:
        open_size: Open size -> name of the value, int64 of one element, that holds it.
        parent: The writer of the graph around this one, whose values are known here too.
    """

    def __init__(self, open_size: Callable[[int], str] | None = None, parent: Writer | None = None) -> None:
        self._onnx = load_onnx()
        self.nodes: list[Any] = []
        self.initializers: list[Any] = [] if parent is None else parent.initializers
        self._arrays: dict[str, np.ndarray] = {} if parent is None else parent._arrays
        self._names: set[str] = set() if parent is None else parent._names
        self._open_size = open_size
        self._sizes: dict[int, str] = {}

    def name(self, wanted: str) -> str:
        """`wanted`, numbered if it is taken."""
        name, number = wanted, 0
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    def node(self, kind: str, *inputs: str, outputs: int | Sequence[str] = 1, **attributes: Any) -> Any:
        """Write a node.

        Args:
            kind: ONNX' name of the operator.
            *inputs: Names of values; an empty one is left out.
            outputs: How many there are, or their names.
            **attributes: Of the operator.

        Returns:
            The name of the output, or a list of them if there are several.
        """
        names = [self.name(kind.lower()) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, names, name=self.name(kind), **attributes))
        return names[0] if len(names) == 1 else names

    def constant(self, value: Any, dtype: Any = None, name: str = "constant") -> str:
        """A value that is known now."""
        name, array = self.name(name), np.asarray(value, dtype, order="C")
        self._arrays[name] = array
        self.initializers.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def number(self, value: Any, like: Any) -> str:
        """A scalar of the element type `like`."""
        return self.constant(value, like.numpy)

    def integers(self, *values: int) -> str:
        """A list of numbers that are known now."""
        return self.constant(values, np.int64)

    def shape(self, sizes: Sequence[int | Size]) -> str:
        """A list of sizes, some of them perhaps open."""
        if is_fixed(sizes):
            return self.integers(*sizes)
        return self.node("Concat", *(self._size(size) for size in sizes), axis=0)

    def _size(self, size: int | Size) -> str:
        if not isinstance(size, Size):
            return self.integers(size)
        value = self.integers(size.factor) if size.factor != 1 or not size.terms else ""
        for symbol, added in size.terms:
            if symbol not in self._sizes:
                self._sizes[symbol] = self._open_size(symbol)
            term = self._sizes[symbol]
            term = self.node("Add", term, self.integers(added)) if added else term
            value = self.node("Mul", value, term) if value else term
        return self.node("Add", value, self.integers(size.offset)) if size.offset else value

    def transpose(self, value: str, perm: Sequence[int]) -> str:
        """Dimensions in another order; of what is known now at once."""
        if tuple(perm) == tuple(range(len(perm))):
            return value
        if value in self._arrays:
            return self.constant(self._arrays[value].transpose(perm), name=f"{value}_transposed")
        return self.node("Transpose", value, perm=list(perm))

    def reshape(self, value: str, sizes: Sequence[int | Size]) -> str:
        """The same elements in another shape."""
        unknown = [place for place, size in enumerate(sizes) if isinstance(size, Size)]
        if len(unknown) == 1 and all(sizes[: unknown[0]]) and all(sizes[unknown[0] + 1 :]):
            sizes = [-1 if place in unknown else size for place, size in enumerate(sizes)]
        return self.node("Reshape", value, self.shape(sizes), allowzero=int(0 in sizes))

    def cast(self, value: str, dtype: Any) -> str:
        """Another element type, given as NumPy's."""
        return self.node("Cast", value, to=self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
