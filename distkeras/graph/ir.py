"""The graph: equations in single-assignment form, printable and checked after each pass.

%0: float32[32, 784] = input
%2: float32[784, 512] = read_variable[dense/kernel:0 version=0]
%3: float32[32, 512] = matmul[transpose_a=False transpose_b=False] %0 %2
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from distkeras.core.primitive import Calls, Primitive
from distkeras.core.spec import TensorShape, TensorSpec
from distkeras.core.tensor import Tensor

_ids = itertools.count()


class Value:
    """What an equation gives: a spec and an identity.

    Attributes:
        is_cut: Whether it consists of some rows of a whole value: see `graph.rows`.
        form: The shape by which kernels are chosen: that of the whole value.
    """

    __slots__ = ("form", "id", "is_cut", "spec")

    def __init__(self, spec: TensorSpec, whole: TensorShape | None = None) -> None:
        self.id = next(_ids)
        self.spec = spec
        self.is_cut = whole is not None
        self.form = tuple(spec.shape if whole is None else whole)

    def __repr__(self) -> str:
        return f"%{self.id}"

    def described(self) -> str:
        return f"%{self.id}: {self.spec.dtype.name}{list(self.spec.shape)}"


@dataclass(eq=False)
class Equation:
    """outputs = primitive(inputs, **params)."""

    primitive: Primitive
    inputs: tuple[Value, ...]
    params: dict[str, Any]
    outputs: tuple[Value, ...]

    def __str__(self) -> str:
        left = ", ".join(value.described() for value in self.outputs) or "()"
        params = " ".join(f"{key}={getattr(value, 'name', value)}" for key, value in self.params.items())
        name = f"{self.primitive.name}[{params}]" if params else self.primitive.name
        return " ".join([f"{left} = {name}", *map(repr, self.inputs)])


@dataclass(eq=False)
class Graph:
    """Equations in an order in which they can run.

    Attributes:
        inputs: Values filled at each call.
        outputs: Values given back.
        constants: Values known now, with their tensors.
        random_state: The value that holds [seed, step, first sample], if anything random is drawn.
    """

    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    constants: dict[Value, Tensor] = field(default_factory=dict)
    random_state: Value | None = None

    def sources(self) -> list[Value]:
        """Values that no equation gives."""
        return [*self.inputs, *self.constants, *([self.random_state] if self.random_state else [])]

    def as_graph_def(self) -> Any:
        """The nodes by name, as TensorFlow's scripts list them: `[node.name for node in graph.as_graph_def().node]`."""
        from distkeras.graph.graph_def import graph_def

        return graph_def(self)

    def check(self) -> Graph:
        """Assert that every value is given once, before it is used."""
        known = set(self.sources())
        for equation in self.equations:
            for value in equation.inputs:
                assert value in known, f"{value} is used before it is given, in: {equation}"
            for value in equation.outputs:
                assert value not in known, f"{value} is given twice, by: {equation}"
                known.add(value)
        for value in self.outputs:
            assert value in known, f"the output {value} is never given"
        return self

    def __str__(self) -> str:
        lines = [f"{value.described()} = input" for value in self.inputs]
        lines += [f"{value.described()} = constant" for value in self.constants]
        if self.random_state:
            lines.append(f"{self.random_state.described()} = random_state")
        lines += map(str, self.equations)
        return "\n".join([*lines, f"return {' '.join(map(repr, self.outputs))}"])


# A variable's value as it was when the function started, or after the host call that changed it last.
read_variable = Primitive("read_variable")
read_variable.def_shape(lambda variable, version: variable.spec)


@read_variable.def_kernel
def _read_kernel(inputs: Any, outputs: Any, scratch: Any, *, variable: Any, version: int) -> Calls:
    return [(np.copyto, (outputs[0], variable._array))]


assign_variable = Primitive("assign_variable", effect=True)
assign_variable.def_shape(lambda value, variable: ())


@assign_variable.def_kernel
def _assign_kernel(inputs: Any, outputs: Any, scratch: Any, *, variable: Any) -> Calls:
    return [(np.copyto, (variable._array, inputs[0]))]


def written_variables(equation: Equation) -> tuple:
    """The variables whose memory the equation changes."""
    if equation.primitive is assign_variable:
        return (equation.params["variable"],)
    host = equation.params.get("host")
    return host.writes if host is not None else ()
