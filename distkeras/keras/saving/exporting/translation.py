"""A traced graph, written equation by equation as another library's operators."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from distkeras._registry import Registry
from distkeras.core.spec import DType
from distkeras.graph.ir import Equation, Value, assign_variable, read_variable
from distkeras.keras.saving.exporting.constants import write_constant
from distkeras.keras.saving.exporting.sizes import Size, merged
from distkeras.keras.saving.exporting.tracing import Traced
from distkeras.keras.saving.exporting.writer import GraphWriter


class Shaped(NamedTuple):
    """What is known of a value: its type, and its shape with sizes that may be open."""

    dtype: DType
    shape: tuple[int | Size, ...]


class Call(NamedTuple):
    """An equation to be written; numbers in `params` may be Sizes.

    Attributes:
        inputs: Values.
        specs, outputs: What is known of inputs and outputs.
    """

    inputs: tuple[str, ...]
    specs: tuple[Shaped, ...]
    outputs: tuple[Shaped, ...]
    params: dict[str, Any]


def border(call: Call) -> list[tuple[int, int]]:
    """What `unslice` puts around its input: how many zeros before and after it along each axis.

    Raises:
        ValueError: It spreads the elements out, or the border depends on open sizes.
    """
    pairs = []
    for size, place in zip(call.params["shape"], call.params["index"], strict=True):
        if not isinstance(place, tuple) or place[2] != 1:
            raise ValueError("elements spread out among zeros have no operator")
        start, stop, _ = place
        pairs.append((start, 0 if stop == size else size - stop))
    return pairs


class Translation:
    """A traced graph on its way to another library.

    Args:
        traced: The model's traces.
        writer: Takes the graph; must have its inputs.
        inputs: What the writer calls them.
        operators: A function (writer, call) -> output, or outputs, for each primitive that the library can do; outputs
            that only derivatives need come last, and need not be given.
        library: The library's name, for messages.

    Attributes:
        inputs, outputs: What is known of them.
        results: What the writer calls the outputs.

    Raises:
        ValueError: The traces do not do the same, or do something that the library cannot.
    """

    def __init__(
        self, traced: Traced, writer: GraphWriter, inputs: Sequence[str], operators: Registry, library: str
    ) -> None:
        self._traced = traced
        self._first, self._second = traced.graphs
        self._writer = writer
        self._operators = operators
        self._library = library
        self._check_alike()
        self._shaped = {
            one: Shaped(one.spec.dtype, self._merged(tuple(one.spec.shape), tuple(other.spec.shape)))
            for one, other in self._values()
        }
        self._names: dict[Value, str] = dict(zip(self._first.inputs, inputs, strict=True))
        if self._first.random_state is not None:
            self._names[self._first.random_state] = ""  # a library's random numbers have seeds of their own
        writer.open_size = self._open_size
        self._write_all()
        self.inputs = [self._shaped[value] for value in self._first.inputs]
        self.outputs = [self._shaped[value] for value in self._first.outputs]
        self.results = [self._names[value] for value in self._first.outputs]

    def _write_all(self) -> None:
        for value, other in zip(self._first.constants, self._second.constants, strict=True):
            arrays = self._first.constants[value].numpy(), self._second.constants[other].numpy()
            shape = self._shaped[value].shape
            with self._open_sizes_named():
                self._names[value] = write_constant(self._writer, *arrays, shape, self._traced.open_sizes)
        for equation, other in zip(self._first.equations, self._second.equations, strict=True):
            self._write(equation, other)

    # --- what both traces say

    def _check_alike(self) -> None:
        kinds = [[equation.primitive for equation in graph.equations] for graph in (self._first, self._second)]
        if kinds[0] != kinds[1] or len(self._first.constants) != len(self._second.constants):
            raise ValueError(
                f"{self._traced.name!r} does other operations for inputs of other sizes, as loops over an open size "
                f"do. {_GIVE_A_NUMBER}"
            )

    def _values(self) -> Iterator[tuple[Value, Value]]:
        yield from zip(self._first.sources(), self._second.sources(), strict=True)
        for equation, other in zip(self._first.equations, self._second.equations, strict=True):
            yield from zip(equation.outputs, other.outputs, strict=True)

    def _merged(self, first: Any, second: Any) -> Any:
        with self._open_sizes_named():
            return merged(first, second, self._traced.open_sizes)

    @contextlib.contextmanager
    def _open_sizes_named(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise ValueError(f"{self._traced.name!r} cannot be exported: {error}. {_GIVE_A_NUMBER}") from None

    def _open_size(self, symbol: int) -> str:
        number, axis = next(place for place, its_symbol in self._traced.places.items() if its_symbol == symbol)
        value = self._first.inputs[number]
        return self._writer.size_of(self._names[value], axis, value.spec.dtype.numpy)

    def _write(self, equation: Equation, other: Equation) -> None:
        if equation.primitive is read_variable:
            self._names[equation.outputs[0]] = self._writer.variable(equation.params["variable"])
            return
        if equation.primitive is assign_variable:
            with self._open_sizes_named():
                self._writer.assign(equation.params["variable"], self._names[equation.inputs[0]])
            return
        kind = equation.primitive.name
        if kind not in self._operators:
            raise ValueError(
                f"{self._traced.name!r} cannot be exported: there is no {self._library} operator for {kind!r}, which "
                "it applies with training=False. Export a model that ends before it, or begins after it."
            )
        params = {
            key: value if key in _NO_SIZES else self._merged(value, other.params[key])
            for key, value in equation.params.items()
        }
        call = Call(
            tuple(self._names[value] for value in equation.inputs),
            tuple(self._shaped[value] for value in equation.inputs),
            tuple(self._shaped[value] for value in equation.outputs),
            params,
        )
        with self._open_sizes_named():
            written = self._operators[kind](self._writer, call)
        self._names.update(zip(equation.outputs, [written] if isinstance(written, str) else written, strict=False))


Operator = Callable[[Any, Call], Any]

_NO_SIZES = ("stream",)  # parameters that differ from trace to trace: which draw of random numbers it is
_GIVE_A_NUMBER = "Give the size that is None a number, in Input(shape=...) or in input_signature."
