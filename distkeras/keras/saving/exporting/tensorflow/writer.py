"""Bodies of TensorFlow's functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core.variable import Variable
from distkeras.keras.saving.exporting.sizes import Size
from distkeras.keras.saving.exporting.tensorflow.messages import RESOURCE, Argument, Type, node_message
from distkeras.keras.saving.exporting.writer import GraphWriter

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)


class Writer(GraphWriter):
    """Nodes of a function's body. A value is `argument`, or `node:output:number`.

    Args:
        is_stored: Whether a variable's value is stored, so that it is read when the function runs. Others' values are
            constants.
        functions: The functions that this one calls are added here, name -> FunctionDef.

    Attributes:
        captures: The variables that are read or written, by the names of the arguments that bring them.
        effects: The nodes that write to variables.
    """

    def __init__(self, is_stored: Callable[[Variable], bool], functions: dict[str, bytes]) -> None:
        super().__init__()
        self.nodes: list[bytes] = []
        self.captures: dict[str, Variable] = {}
        self.functions = functions
        self.effects: list[str] = []
        self._is_stored = is_stored
        self._handles: dict[Variable, str] = {}
        self._touching: dict[Variable, str] = {}  # the node that read or wrote a variable last

    def node(self, operation: str, *inputs: str, out: str = "output", count: int = 1, **attributes: Any) -> Any:
        """Write a node.

        Args:
            operation: Its name.
            *inputs: Values.
            out: What the operation calls its output.
            count: How many values that is.
            **attributes: All of the operation that have no default.

        Returns:
            The output, or a list of them if there are several.
        """
        name = self.name(operation)
        self.nodes.append(node_message(name, operation, inputs, attributes))
        values = [f"{name}:{out}:{number}" for number in range(count)]
        return values[0] if count == 1 else values

    def constant(self, value: Any, dtype: Any = None) -> str:
        array = np.asarray(value, dtype, order="C")
        return self.node("Const", value=array, dtype=array.dtype)

    def variable(self, variable: Variable) -> str:
        if not self._is_stored(variable):
            return self.constant(variable.numpy())
        value = self.node("ReadVariableOp", *self._handle(variable), out="value", dtype=variable.dtype.numpy)
        self._touching[variable] = value.split(":")[0]
        return value

    def assign(self, variable: Variable, value: str) -> None:
        if not self._is_stored(variable):
            raise ValueError(f"it assigns to {variable.name!r}, which is no attribute of what is saved")
        handle, *after = self._handle(variable)
        done = self.node("AssignVariableOp", handle, value, *after, dtype=variable.dtype.numpy).split(":")[0]
        self._touching[variable] = done
        self.effects.append(done)

    def _handle(self, variable: Variable) -> list[str]:
        """The argument that brings a variable, and the node that must have touched it before."""
        if variable not in self._handles:
            self._handles[variable] = self.name("resource")
            self.captures[self._handles[variable]] = variable
        after = self._touching.get(variable)
        return [self._handles[variable]] + ([f"^{after}"] if after else [])

    def arguments(self) -> list[Argument]:
        """The arguments that bring variables."""
        return [Argument(name, Type(RESOURCE)) for name in self.captures]

    def size_of(self, value: str, axis: int, dtype: np.dtype) -> str:
        shape = self.node("Shape", value, T=dtype, out_type=INT64)
        return self.gather(shape, self.integers(axis), INT64)

    def gather(self, table: str, indices: str, dtype: np.dtype, index_dtype: np.dtype = INT64) -> str:
        """Rows of a table."""
        types = {"Tparams": dtype, "Tindices": index_dtype, "Taxis": INT64}
        return self.node("GatherV2", table, indices, self.constant(0, np.int64), batch_dims=0, **types)

    def concat(self, values: Sequence[str], axis: int, dtype: np.dtype) -> str:
        return self.node("ConcatV2", *values, self.constant(axis, np.int64), N=len(values), T=dtype, Tidx=INT64)

    def add(self, one: str, other: str, dtype: np.dtype) -> str:
        return self.node("AddV2", one, other, out="z", T=dtype)

    def multiply(self, one: str, other: str, dtype: np.dtype) -> str:
        return self.node("Mul", one, other, out="z", T=dtype)

    def subtract(self, one: str, other: str, dtype: np.dtype) -> str:
        """Differences."""
        return self.node("Sub", one, other, out="z", T=dtype)

    def apply(self, operation: str, value: str, dtype: np.dtype) -> str:
        """An operation that makes y of x, element by element."""
        return self.node(operation, value, out="y", T=dtype)

    def cast(self, value: str, source: np.dtype, target: np.dtype) -> str:
        return self.node("Cast", value, out="y", SrcT=source, DstT=target, Truncate=False)

    def expand(self, value: str, sizes: Sequence[int | Size], dtype: np.dtype) -> str:
        return self.node("BroadcastTo", value, self.shape(sizes), T=dtype, Tidx=INT64)

    def positions(self, size: int | Size) -> str:
        count = self.reshape(self.shape([size]), (), INT64)
        return self.node("Range", self.constant(0, np.int64), count, self.constant(1, np.int64), Tidx=INT64)

    def reshape(self, value: str, sizes: Sequence[int | Size], dtype: np.dtype) -> str:
        return self.node("Reshape", value, self.shape(self.with_unknown(sizes)), T=dtype, Tshape=INT64)
