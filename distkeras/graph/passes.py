"""Passes: graph in, smaller graph out, same results. Each is checked by `Graph.check` and can be printed."""

from __future__ import annotations

from typing import Any

from distkeras.core.primitive import run
from distkeras.core.tensor import Tensor
from distkeras.graph.ir import Equation, Graph, Value

_FOLD_LIMIT = 1 << 16  # elements: folding must not turn a small graph into large constants


def simplify(graph: Graph) -> Graph:
    """All passes, in the order in which each helps the next."""
    for step in (fold_constants, merge_common, remove_dead):
        graph = step(graph).check()
    return graph


def fold_constants(graph: Graph) -> Graph:
    """Compute now what depends on constants alone."""
    constants = dict(graph.constants)
    equations = []
    for equation in graph.equations:
        foldable = (
            equation.inputs
            and not equation.primitive.effect
            and all(value in constants for value in equation.inputs)
            and all(value.spec.size <= _FOLD_LIMIT for value in equation.outputs)
        )
        if foldable:
            results = run(
                equation.primitive, tuple(Tensor(constants[value]) for value in equation.inputs), equation.params
            )
            constants.update((value, tensor._array) for value, tensor in zip(equation.outputs, results, strict=True))
        else:
            equations.append(equation)
    return Graph(graph.inputs, graph.outputs, equations, constants, graph.random_state)


def merge_common(graph: Graph) -> Graph:
    """Compute equal expressions once."""
    replaced: dict[Value, Value] = {}
    seen: dict[Any, Equation] = {}
    equations = []
    for equation in graph.equations:
        inputs = tuple(replaced.get(value, value) for value in equation.inputs)
        equation = Equation(equation.primitive, inputs, equation.params, equation.outputs)
        key = _key(equation)
        if key is not None and key in seen:
            replaced.update(zip(equation.outputs, seen[key].outputs, strict=True))
            continue
        if key is not None:
            seen[key] = equation
        equations.append(equation)
    outputs = [replaced.get(value, value) for value in graph.outputs]
    return Graph(graph.inputs, outputs, equations, graph.constants, graph.random_state)


def _key(equation: Equation) -> Any:
    if equation.primitive.effect:
        return None
    key = (equation.primitive.name, equation.inputs, tuple(sorted(equation.params.items(), key=lambda item: item[0])))
    try:
        hash(key)
    except TypeError:  # a parameter that cannot be compared by value
        return None
    return key


def remove_dead(graph: Graph) -> Graph:
    """Leave out what nothing needs; effects are always needed."""
    needed = set(graph.outputs)
    equations = []
    for equation in reversed(graph.equations):
        if equation.primitive.effect or needed.intersection(equation.outputs):
            equations.append(equation)
            needed.update(equation.inputs)
    constants = {value: array for value, array in graph.constants.items() if value in needed}
    random_state = graph.random_state if graph.random_state in needed else None
    return Graph(graph.inputs, graph.outputs, equations[::-1], constants, random_state)
