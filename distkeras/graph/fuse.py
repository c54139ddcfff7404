"""Fusion: neighbouring element-wise equations of one shape become one loop over memory."""

from __future__ import annotations

from dataclasses import dataclass

from distkeras.graph.ir import Equation, Graph, Value

# Loops over about a dozen arrays silently stop vectorising: the compiler gives up on proving that they do not overlap.
_MOST_ARRAYS = 8


@dataclass(eq=False)
class Group:
    """Element-wise equations that one generated kernel computes."""

    equations: list[Equation]
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.equations[0].outputs[0].spec.shape)

    @property
    def form(self) -> tuple[int, ...]:
        return self.equations[0].outputs[0].form

    def takes(self, value: Value) -> bool:
        """Whether an equation that gives `value` is computed by the same loop."""
        mine = self.equations[0].outputs[0]
        return value.form == mine.form and value.is_cut == mine.is_cut

    def __str__(self) -> str:
        return f"fused({' '.join(map(repr, self.inputs))}) -> {' '.join(map(repr, self.outputs))}:\n  " + "\n  ".join(
            map(str, self.equations)
        )


def fuse(graph: Graph) -> list[Group | Equation]:
    """The equations as steps: groups of element-wise ones, and the others alone."""
    users = _users(graph)
    steps: list[Group | Equation] = []
    producer: dict[Value, int] = {}
    for equation in graph.equations:
        index = _place(equation, steps, producer, users)
        if index is None:
            index = len(steps)
            steps.append(Group([equation]) if _fusible(equation) else equation)
        else:
            steps[index].equations.append(equation)
        producer.update((value, index) for value in equation.outputs)
    for step in steps:
        if isinstance(step, Group):
            step.inputs, step.outputs = _interface(step.equations, users)
    return steps


def _fusible(equation: Equation) -> bool:
    """Whether it is element-wise, on types that kernels can be generated for: no text, no half or complex numbers."""
    if not equation.primitive.expr:
        return False
    types = {value.spec.dtype for value in (*equation.inputs, *equation.outputs)}
    return all(kind.is_bool or kind.is_integer or kind.name in ("float32", "float64") for kind in types)


def _users(graph: Graph) -> dict[Value, list[Equation | None]]:
    users: dict[Value, list[Equation | None]] = {value: [None] for value in graph.outputs}
    for equation in graph.equations:
        for value in equation.inputs:
            users.setdefault(value, []).append(equation)
    return users


def _place(equation: Equation, steps: list, producer: dict[Value, int], users: dict) -> int | None:
    """The step the equation can join: the last group of its shape, if nothing it needs is computed after that."""
    if not _fusible(equation):
        return None
    earliest = max((producer.get(value, -1) for value in equation.inputs), default=-1)
    for index in range(len(steps) - 1, max(earliest, 0) - 1, -1):
        step = steps[index]
        if isinstance(step, Group) and step.takes(equation.outputs[0]):
            inputs, outputs = _interface([*step.equations, equation], users)
            # By dimensions, not by size: one sample is to be grouped as many are, and run their kernels.
            arrays = sum(bool(value.spec.shape) for value in inputs) + len(outputs)
            return index if arrays <= _MOST_ARRAYS else None
    return None


def _interface(equations: list[Equation], users: dict) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    """The values a group takes from outside, and those it gives to the outside."""
    inside = {value for equation in equations for value in equation.outputs}
    members = set(map(id, equations))
    inputs = dict.fromkeys(value for equation in equations for value in equation.inputs if value not in inside)
    outputs = [
        value
        for equation in equations
        for value in equation.outputs
        if any(user is None or id(user) not in members for user in users.get(value, ()))
    ]
    return tuple(inputs), tuple(outputs)
