"""Subgraphs: branches, and bodies of loops, traced on their own. What they need goes in, what they change comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor
from distkeras.graph.ir import Graph, Value
from distkeras.graph.plan import Plan

RANDOM_STATE = "random state"  # stands among the variables for [seed, step, first sample]


class Subgraph:
    """A graph within a graph.

    Args:
        graph: Its inputs are the arguments, what is kept from run to run, and the captures; its outputs the results.
        structure: Of the results, a TensorSpec for each output.
        captures: Tensors of the surrounding trace, one for each of the last inputs.
        after: The value that each assigned or kept variable has at the end.
        changed: What it assigns: variables, and RANDOM_STATE where it draws random numbers.
        interpret: (graph, inputs, again) -> outputs, op by op.
    """

    def __init__(
        self,
        graph: Graph,
        structure: Any,
        captures: list[Tensor],
        after: dict[Any, Value],
        changed: list[Any],
        interpret: Callable,
    ) -> None:
        self.graph = graph
        self.structure = structure
        self.captures = captures
        self.changed = changed
        self._after = after
        self._interpret = interpret
        self._plan: Plan | None = None

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The outputs' shapes and types."""
        return tuple(value.spec for value in self.graph.outputs)

    def aligned(
        self, captures: Sequence[Tensor], variables: Sequence[Any] = (), given: Sequence[Tensor] = ()
    ) -> Subgraph:
        """The same with inputs for exactly these captures, in their order, and the variables' last values as outputs.

        Args:
            given: For each of `variables` the value it has where it is not assigned, one of `captures`.
        """
        captured = self.graph.inputs[len(self.graph.inputs) - len(self.captures) :]
        places = {id(tensor): value for tensor, value in zip(self.captures, captured, strict=True)}
        inputs = [places.get(id(tensor)) or Value(tensor.spec) for tensor in captures]
        before = {id(tensor): value for tensor, value in zip(captures, inputs, strict=True)}
        last = [self._after.get(item) or before[id(value)] for item, value in zip(variables, given, strict=True)]
        own = self.graph.inputs[: -len(self.captures) or None]
        graph = Graph([*own, *inputs], [*self.graph.outputs, *last], self.graph.equations, self.graph.constants)
        return Subgraph(graph.check(), self.structure, list(captures), {}, [], self._interpret)

    @property
    def plan(self) -> Plan:
        """Made when it is first asked for. Its buffers are one caller's at a time."""
        self._plan = self._plan or Plan(self.graph)
        return self._plan

    def interpret(self, inputs: Sequence[Tensor], again: bool = False) -> list[Tensor]:
        """The outputs for given inputs, op by op, so that tapes and traces see each."""
        return self._interpret(self.graph, inputs, again)

    def __repr__(self) -> str:
        return f"subgraph({len(self.graph.equations)} equations)"
