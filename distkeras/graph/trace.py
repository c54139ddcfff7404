"""Tracing: running Python with symbols, and writing down what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError
from distkeras.core.context import entering, state, tracing
from distkeras.core.indexed_slices import IndexedSlices
from distkeras.core.primitive import PRIMITIVES, Primitive, bind, output_specs
from distkeras.core.random_state import step_state
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.graph.ir import Equation, Graph, Value, assign_variable, read_variable, written_variables
from distkeras.graph.subgraph import RANDOM_STATE, Subgraph


class Trace:
    """Collects equations. What is computed from values alone is computed at once, and is a constant of the graph.

    Args:
        makes_variables: Whether variables may be made meanwhile.
    """

    def __init__(self, makes_variables: bool = True) -> None:
        self.graph = Graph()
        self.makes_variables = makes_variables
        self._constants: dict[int, Value] = {}  # by id: the graph keeps the tensors, so that none is used twice
        self._current: dict[Variable, Value] = {}
        self._versions: dict[Variable, int] = {}
        self._random_state: SymbolicTensor | None = None

    def input(self, spec: TensorSpec) -> SymbolicTensor:
        """A new input of the graph."""
        if not spec.shape.is_fully_defined():
            raise ValueError(f"A function is traced for known sizes, received {spec}: give each size a number.")
        value = Value(spec)
        self.graph.inputs.append(value)
        return SymbolicTensor(spec, self, value)

    def value_of(self, tensor: Tensor) -> Value:
        """The graph's value for a symbol, or for a tensor that becomes a constant."""
        if isinstance(tensor, SymbolicTensor):
            if tensor.trace is not self:
                raise CaptureError(
                    f"{tensor!r} was made while another function was traced, and has a value only inside of that one. "
                    "Return it from there, or keep it in a tf.Variable."
                )
            return tensor.value
        if id(tensor) not in self._constants:
            value = Value(tensor.spec)
            self.graph.constants[value] = tensor
            self._constants[id(tensor)] = value
        return self._constants[id(tensor)]

    def record(self, primitive: Primitive, inputs: tuple[Tensor, ...], params: dict[str, Any]) -> tuple[Tensor, ...]:
        specs = output_specs(primitive, tuple(tensor.spec for tensor in inputs), params)
        equation = Equation(primitive, tuple(map(self.value_of, inputs)), params, tuple(map(Value, specs)))
        self.graph.equations.append(equation)
        for variable in written_variables(equation):
            self._current.pop(variable, None)
            self._versions[variable] = self._versions.get(variable, 0) + 1
        return tuple(SymbolicTensor(value.spec, self, value) for value in equation.outputs)

    def read(self, variable: Variable) -> Tensor:
        """The variable's value at this point of the function.

        Each time another symbol of the same value, as each reading is another tensor when nothing is traced: tapes tell
        by the symbol where a value came from.
        """
        if variable not in self._current:
            version = self._versions.get(variable, 0)
            (symbol,) = self.record(read_variable, (), {"variable": variable, "version": version})
            self._current[variable] = symbol.value
        return SymbolicTensor(variable.spec, self, self._current[variable])

    def assign(self, variable: Variable, tensor: Tensor) -> None:
        """Write `tensor` into the variable at this point; later reads give it."""
        self.record(assign_variable, (tensor,), {"variable": variable})
        self._current[variable] = self.value_of(tensor)

    def updates(self, variable: Variable) -> bool:
        """Whether a host call up to here writes to the variable."""
        hosts = [equation.params.get("host") for equation in self.graph.equations]
        return any(written is variable for host in hosts if host is not None for written in host.writes)

    def random_state(self) -> SymbolicTensor:
        """The input that holds [seed, step, first sample] at each call."""
        if self._random_state is None:
            self.graph.random_state = Value(TensorSpec((3,), "int64"))
            self._random_state = SymbolicTensor(self.graph.random_state.spec, self, self.graph.random_state)
        return self._random_state

    def subgraph(self, function: Callable, carried: Sequence[Tensor] = (), kept: Sequence[Any] = ()) -> Subgraph:
        """Trace a branch or the body of a loop on its own; see `Subgraph`.

        Args:
            function: Called with a symbol for each of `carried`.
            carried: Tensors of this trace whose shapes and types the arguments have.
            kept: Variables, or RANDOM_STATE, that are arguments too, though `function` does not see them as such.
        """
        outer = state.trace, state.tapes
        inner = _InnerTrace(self, outer)
        with tracing(inner):
            arguments = [inner.input(tensor.spec) for tensor in carried]
            for item in kept:
                inner.keep(item)
            results = function(*arguments)
            return inner.close(results, list(kept))


class _InnerTrace(Trace):
    """A trace within another: what it takes from outside becomes inputs, and assignments become outputs."""

    def __init__(self, outer: Trace, outside: tuple) -> None:
        super().__init__(outer.makes_variables)
        self._outer = outer
        self._outside = outside
        self._captures: dict[Value, Tensor] = {}
        self._captured: dict[Any, Value] = {}  # an outer trace's value or a tensor's id -> the input it has become
        self._assigned: dict[Any, None] = {}

    def keep(self, item: Any) -> None:
        """Let a variable, or the random state, be an input that changes from one run to the next."""
        if item is RANDOM_STATE:
            self._random_state = self.input(TensorSpec((3,), "int64"))
        else:
            self._current[item] = self.input(item.spec).value

    def value_of(self, tensor: Tensor) -> Value:
        if isinstance(tensor, SymbolicTensor):
            return tensor.value if tensor.trace is self else self._capture(self._outer.value_of(tensor), tensor)
        if any(tape.tracks(tensor) for tape in self._outside[1]):
            return self._capture(id(tensor), tensor)
        return super().value_of(tensor)

    def _capture(self, key: Any, tensor: Tensor) -> Value:
        if key not in self._captured:
            self._captured[key] = value = Value(tensor.spec)
            self._captures[value] = tensor
        return self._captured[key]

    def record(self, primitive: Primitive, inputs: tuple[Tensor, ...], params: dict[str, Any]) -> tuple[Tensor, ...]:
        results = super().record(primitive, inputs, params)
        if written_variables(self.graph.equations[-1]):
            raise CaptureError(
                "A training step's update of variables by an optimizer cannot be part of a branch or loop that is "
                "decided while the function runs. Decide in Python, or run step by step with `run_eagerly=True`."
            )
        return results

    def read(self, variable: Variable) -> Tensor:
        if variable not in self._current:
            with entering(*self._outside):  # there the tapes are that have to know of the reading
                outer = variable.value()
            self._current[variable] = self.value_of(outer)
        return SymbolicTensor(variable.spec, self, self._current[variable])

    def assign(self, variable: Variable, tensor: Tensor) -> None:
        self._current[variable] = self.value_of(tensor)
        self._assigned[variable] = None

    def random_state(self) -> Tensor:
        if self._random_state is None:
            self._assigned[RANDOM_STATE] = None
            outer = self._outer.random_state()
            self._random_state = SymbolicTensor(outer.spec, self, self.value_of(outer))
        return self._random_state

    def close(self, results: Any, kept: list) -> Subgraph:
        tensors = [None if leaf is None else to_tensor(leaf) for leaf in _nest.flatten(results)]
        self.graph.outputs = [self.value_of(tensor) for tensor in tensors if tensor is not None]
        structure = _nest.pack(results, [None if tensor is None else tensor.spec for tensor in tensors])
        changed = [item for item in self._assigned if item is not RANDOM_STATE]
        after = {item: self._current[item] for item in [*changed, *kept] if item is not RANDOM_STATE}
        if RANDOM_STATE in kept:
            step = Tensor(np.array([0, 1 << 40, 0], np.int64))  # other numbers in each run than in the one before
            after[RANDOM_STATE] = self.value_of(bind(PRIMITIVES["add"], self._random_state, step))
        self.graph.inputs += self._captures
        return Subgraph(self.graph, structure, list(self._captures.values()), after, list(self._assigned), interpret)


def trace(
    function: Callable, args: Any, kwargs: dict[str, Any] | None = None, makes_variables: bool = True
) -> tuple[Graph, Any]:
    """Run `function` with a symbol in place of every TensorSpec in its arguments; see `Trace` for `makes_variables`.

    Returns:
        The graph, and the structure of the results: a TensorSpec stands for each output of the graph, in order;
        anything else is what the function gave.
    """
    recorder = Trace(makes_variables)
    with tracing(recorder):
        symbols = _nest.map_structure(lambda leaf: recorder.input(leaf) if isinstance(leaf, TensorSpec) else leaf, args)
        extra = _nest.map_structure(
            lambda leaf: recorder.input(leaf) if isinstance(leaf, TensorSpec) else leaf, dict(kwargs or {})
        )
        results = function(*symbols, **extra)
        leaves = [
            to_tensor(leaf) if isinstance(leaf, (Variable, IndexedSlices)) else leaf for leaf in _nest.flatten(results)
        ]
    structure = []
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            recorder.graph.outputs.append(recorder.value_of(leaf))
            leaf = leaf.spec
        structure.append(leaf)
    return recorder.graph.check(), _nest.pack(results, structure)


def infer(function: Callable, *args: Any) -> Any:
    """The specs of what `function` gives for arguments with TensorSpecs in place of tensors; nothing is computed."""
    return trace(function, args)[1]


def interpret(graph: Graph, inputs: Sequence[Tensor], again: bool = False) -> list[Tensor]:
    """Run a graph's equations one by one, recorded by the active tapes: how a tape sees into a traced function.

    Args:
        again: It has been run before, and is run to be differentiated: nothing is printed or checked once more.
    """
    known: dict[Value, Tensor] = dict(zip(graph.inputs, inputs, strict=True))
    known.update(graph.constants)
    if graph.random_state is not None:
        known[graph.random_state] = step_state()
    for equation in graph.equations:
        if equation.primitive is read_variable:
            outputs = (equation.params["variable"].value(),)
        elif equation.primitive is assign_variable:
            equation.params["variable"].assign(known[equation.inputs[0]])
            outputs = ()
        elif again and equation.primitive.effect and not equation.outputs:
            continue
        else:
            given = equation.primitive(*(known[value] for value in equation.inputs), **equation.params)
            outputs = given if isinstance(given, tuple) else (given,)
        known.update(zip(equation.outputs, outputs, strict=True))
    return [known[value] for value in graph.outputs]
