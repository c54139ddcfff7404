"""Graphs of ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.core.variable import Variable
from distkeras.keras.saving.exporting.sizes import Size
from distkeras.keras.saving.exporting.writer import GraphWriter

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


class Writer(GraphWriter):
    """Nodes and initializers of a graph; values are known by their names.

    Args:
        parent: The writer of the graph around this one, whose values are known here too.
    """

    def __init__(self, parent: Writer | None = None) -> None:
        super().__init__(None if parent is None else parent._names)
        self._onnx = load_onnx()
        self.nodes: list[Any] = []
        self.initializers: list[Any] = [] if parent is None else parent.initializers
        self._arrays: dict[str, np.ndarray] = {} if parent is None else parent._arrays

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

    def variable(self, variable: Variable) -> str:
        return self.constant(variable.numpy(), name=variable.name.removesuffix(":0"))

    def number(self, value: Any, like: Any) -> str:
        """A scalar of the element type `like`."""
        return self.constant(value, like.numpy)

    def size_of(self, value: str, axis: int, dtype: np.dtype) -> str:
        return self.node("Gather", self.node("Shape", value), self.integers(axis))

    def concat(self, values: Sequence[str], axis: int, dtype: np.dtype) -> str:
        return self.node("Concat", *values, axis=axis)

    def add(self, one: str, other: str, dtype: np.dtype) -> str:
        return self.node("Add", one, other)

    def multiply(self, one: str, other: str, dtype: np.dtype) -> str:
        return self.node("Mul", one, other)

    def cast(self, value: str, source: np.dtype, target: np.dtype) -> str:
        return self.node("Cast", value, to=self._onnx.helper.np_dtype_to_tensor_dtype(target))

    def expand(self, value: str, sizes: Sequence[int | Size], dtype: np.dtype) -> str:
        return self.node("Expand", value, self.shape(sizes))

    def positions(self, size: int | Size) -> str:
        count = self.node("Squeeze", self.shape([size]))
        return self.node("Range", self.constant(0, np.int64), count, self.constant(1, np.int64))

    def reshape(self, value: str, sizes: Sequence[int | Size], dtype: np.dtype) -> str:
        return self.node("Reshape", value, self.shape(self.with_unknown(sizes)), allowzero=int(0 in sizes))

    def transpose(self, value: str, perm: Sequence[int]) -> str:
        """Dimensions in another order; of what is known now at once."""
        if tuple(perm) == tuple(range(len(perm))):
            return value
        if value in self._arrays:
            return self.constant(self._arrays[value].transpose(perm), name=f"{value}_transposed")
        return self.node("Transpose", value, perm=list(perm))
