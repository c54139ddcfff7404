"""A traced graph, written equation by equation as ONNX nodes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distkeras.graph.ir import Equation, Graph, Value, read_variable
from distkeras.keras.saving.onnx_export import neural, recurrent  # noqa: F401  (they enter their operators)
from distkeras.keras.saving.onnx_export.constants import write_constant
from distkeras.keras.saving.onnx_export.operators import OPERATORS, Call, Shaped
from distkeras.keras.saving.onnx_export.sizes import Size, merged
from distkeras.keras.saving.onnx_export.writer import Writer, load_onnx


class Translation:
    """A model's graph on its way to ONNX.

    Args:
        name: The model's, for messages.
        first, second: What the model was traced to for the two choices of open sizes; see `sizes`.
        places: (input, axis) -> number of the open size that stands there.

    Raises:
        ValueError: The two graphs do not do the same.
    """

    def __init__(self, name: str, first: Graph, second: Graph, places: Mapping[tuple[int, int], int]) -> None:
        self._name = name
        self._first = first
        self._second = second
        self._places = places
        self._open_sizes = len(set(places.values()))
        self._writer = Writer(self._open_size)
        self._names: dict[Value, str] = {}
        self._check_alike()
        self._shaped = {
            one: Shaped(one.spec.dtype, self._merged(tuple(one.spec.shape), tuple(other.spec.shape)))
            for one, other in self._values()
        }

    def graph(self, inputs: Sequence[str], outputs: Sequence[str] | None) -> Any:
        """The graph as an `onnx.GraphProto`.

        Args:
            inputs, outputs: What its inputs and outputs are to be called.
        """
        for value, name in zip(self._first.inputs, inputs, strict=True):
            self._names[value] = self._writer.name(name)
        for value, other in zip(self._first.constants, self._second.constants, strict=True):
            arrays = self._first.constants[value].numpy(), self._second.constants[other].numpy()
            shape = self._shaped[value].shape
            with self._open_sizes_named():
                self._names[value] = write_constant(self._writer, *arrays, shape, self._open_sizes)
        for equation, other in zip(self._first.equations, self._second.equations, strict=True):
            self._write(equation, other)
        found = self._first.outputs
        names = [
            self._writer.name(f"{name}_output" if name in inputs else name) for name in outputs or _numbered(found)
        ]
        for value, name in zip(found, names, strict=True):
            self._writer.node("Identity", self._names[value], outputs=[name])
        return load_onnx().helper.make_graph(
            self._writer.nodes,
            self._name,
            [self._described(value, self._names[value]) for value in self._first.inputs],
            [self._described(value, name) for value, name in zip(found, names, strict=True)],
            self._writer.initializers,
        )

    # --- what both traces say

    def _check_alike(self) -> None:
        kinds = [[equation.primitive for equation in graph.equations] for graph in (self._first, self._second)]
        if kinds[0] != kinds[1] or len(self._first.constants) != len(self._second.constants):
            raise ValueError(
                f"{self._name!r} does other operations for inputs of other sizes, as loops over an open size do. "
                f"{_GIVE_A_NUMBER}"
            )

    def _values(self) -> Iterator[tuple[Value, Value]]:
        yield from zip(self._first.sources(), self._second.sources(), strict=True)
        for equation, other in zip(self._first.equations, self._second.equations, strict=True):
            yield from zip(equation.outputs, other.outputs, strict=True)

    def _merged(self, first: Any, second: Any) -> Any:
        with self._open_sizes_named():
            return merged(first, second, self._open_sizes)

    @contextlib.contextmanager
    def _open_sizes_named(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise ValueError(f"{self._name!r} cannot be exported: {error}. {_GIVE_A_NUMBER}") from None

    # --- values

    def _open_size(self, symbol: int) -> str:
        number, axis = next(place for place, its_symbol in self._places.items() if its_symbol == symbol)
        shape = self._writer.node("Shape", self._names[self._first.inputs[number]])
        return self._writer.node("Gather", shape, self._writer.integers(axis))

    def _described(self, value: Value, name: str) -> Any:
        """What a runtime is told of an input or output: open sizes have names."""
        helper = load_onnx().helper
        dtype, shape = self._shaped[value]
        names = {Size(1, ((symbol, 0),)): self._name_of_size(symbol) for symbol in range(self._open_sizes)}
        sizes = [names.get(size) if isinstance(size, Size) else size for size in shape]
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype.numpy), sizes)

    def _name_of_size(self, symbol: int) -> str:
        is_batch = any(axis == 0 for (_, axis), its_symbol in self._places.items() if its_symbol == symbol)
        return "batch" if is_batch else f"size_{symbol}"

    # --- equations

    def _write(self, equation: Equation, other: Equation) -> None:
        if equation.primitive is read_variable:
            variable = equation.params["variable"]
            name = variable.name.removesuffix(":0")
            self._names[equation.outputs[0]] = self._writer.constant(variable.numpy(), name=name)
            return
        kind = equation.primitive.name
        if kind not in OPERATORS:
            raise ValueError(
                f"{self._name!r} cannot be exported: there is no ONNX operator for {kind!r}, which it applies with "
                "training=False. Export a model that ends before it, or begins after it."
            )
        params = {key: self._merged(value, other.params[key]) for key, value in equation.params.items()}
        call = Call(
            tuple(self._names[value] for value in equation.inputs),
            tuple(self._shaped[value] for value in equation.inputs),
            tuple(self._shaped[value] for value in equation.outputs),
            params,
        )
        with self._open_sizes_named():
            written = OPERATORS[kind](self._writer, call)
        # What only derivatives need comes last, and is not written.
        self._names.update(zip(equation.outputs, [written] if isinstance(written, str) else written, strict=False))


_GIVE_A_NUMBER = "Give the size that is None a number, in Input(shape=...) or in input_signature."


def _numbered(values: Sequence[Value]) -> list[str]:
    return [f"output_{number + 1}" for number in range(len(values))]
