"""Passes: graph in, smaller graph out, same results. Each is checked by `Graph.check` and can be printed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from distkeras.core.host import by_rows
from distkeras.core.host import primitive as host_primitive
from distkeras.core.primitive import Primitive, output_specs, run
from distkeras.graph.ir import Equation, Graph, Value, assign_variable, read_variable

_LEAST_BY_ROWS = 1 << 16  # bytes: less is in the cache anyway
_FOLD_LIMIT = 1 << 16  # elements: folding must not turn a small graph into large constants


def simplify(graph: Graph) -> Graph:
    """All passes, in the order in which each helps the next."""
    for step in (fold_constants, merge_common, remove_dead, rewrite, remove_dead, hoist_reads, use_rows):
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
            results = run(equation.primitive, tuple(constants[value] for value in equation.inputs), equation.params)
            constants.update(zip(equation.outputs, results, strict=True))
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


class _View:
    """What a rewrite may ask of the graph, and how it adds to it."""

    def __init__(self, graph: Graph) -> None:
        self.equations: list[Equation] = []
        self.replaced: dict[Value, Value] = {}
        self._producers: dict[Value, Equation] = {}
        self._uses = Counter(value for equation in graph.equations for value in equation.inputs)
        self._uses.update(graph.outputs)

    def producer(self, value: Value) -> Equation | None:
        """The equation that gives `value`."""
        return self._producers.get(value)

    def is_used_once(self, value: Value) -> bool:
        """Whether nothing else would be left to compute `value` for.

        The uses that `apply` makes are not counted: what a rewrite has made for one of its own has none.
        """
        return self._uses[value] <= 1

    def apply(self, primitive: Primitive, inputs: tuple[Value, ...], **params: Any) -> tuple[Value, ...]:
        """Add an equation and give its outputs."""
        specs = output_specs(primitive, tuple(value.spec for value in inputs), params)
        return self.add(Equation(primitive, tuple(inputs), params, tuple(map(Value, specs)))).outputs

    def add(self, equation: Equation) -> Equation:
        self.equations.append(equation)
        self._producers.update((value, equation) for value in equation.outputs)
        for value in equation.outputs:
            self._uses[value] += 0
        return equation

    def replace(self, old: tuple[Value, ...], new: tuple[Value, ...]) -> None:
        """Let everything that follows use `new` where it used `old`."""
        for before, after in zip(old, new, strict=True):
            self.replaced[before] = after
            self._uses[after] += self._uses[before]


def rewrite(graph: Graph) -> Graph:
    """Replace equations by cheaper ones, as their primitives' rewrites say."""
    view = _View(graph)
    for equation in graph.equations:
        inputs = tuple(view.replaced.get(value, value) for value in equation.inputs)
        results = (rule(view, inputs, **equation.params) for rule in equation.primitive.rewrites)
        instead = next((result for result in results if result is not None), None)
        if instead is None:
            view.add(Equation(equation.primitive, inputs, equation.params, equation.outputs))
        else:
            view.replace(equation.outputs, instead)
    outputs = [view.replaced.get(value, value) for value in graph.outputs]
    return Graph(graph.inputs, outputs, view.equations, graph.constants, graph.random_state)


def hoist_reads(graph: Graph) -> Graph:
    """Read what variables hold at the start before anything else: equations that use it are then free to fuse."""

    def is_first(equation: Equation) -> bool:
        return equation.primitive is read_variable and equation.params["version"] == 0

    first = [equation for equation in graph.equations if is_first(equation)]
    rest = [equation for equation in graph.equations if not is_first(equation)]
    return Graph(graph.inputs, graph.outputs, first + rest, graph.constants, graph.random_state)


def use_rows(graph: Graph) -> Graph:
    """Do host calls by kernels where they say how, their inputs in blocks of rows where these can be computed so.

    All is done where the host call stands: before it, something may still read what it writes.
    """
    calls = {equation: _used_by_rows(equation, graph) for equation in graph.equations if _is_in_kernels(equation)}
    moved = {source for used in calls.values() for source in used.values()}
    equations = []
    for equation in graph.equations:
        if equation in moved:
            continue
        if equation not in calls:
            equations.append(equation)
            continue
        host, used = equation.params["host"], calls[equation]
        equations.append(Equation(host_primitive, (), {"host": host.in_kernels.begin}, ()))
        for index, source in used.items():
            params = {"source": source.primitive, "host": host.in_kernels.rows[index], "params": source.params}
            equations.append(Equation(by_rows, source.inputs, params, ()))
        rest = tuple(value for index, value in enumerate(equation.inputs) if index not in used)
        equations.append(Equation(host_primitive, rest, {"host": host.without(tuple(used))}, ()))
    return Graph(graph.inputs, graph.outputs, equations, graph.constants, graph.random_state)


def _is_in_kernels(equation: Equation) -> bool:
    return equation.primitive is host_primitive and equation.params["host"].in_kernels is not None


def _used_by_rows(call: Equation, graph: Graph) -> dict[int, Equation]:
    """Those inputs of a host call that can be used up in rows, by their numbers, with the equations that give them."""
    uses = Counter(value for equation in graph.equations for value in equation.inputs)
    uses.update(graph.outputs)
    producers = {value: equation for equation in graph.equations for value in equation.outputs}

    def fits(index: int, value: Value) -> bool:
        source = producers.get(value)
        return (
            source is not None
            and index in call.params["host"].in_kernels.rows
            and uses[value] == 1
            and value.spec.nbytes >= _LEAST_BY_ROWS
            and source.primitive.rows is not None
            and source.primitive.fits_rows(*(given.spec for given in source.inputs), **source.params)
        )

    return {index: producers[value] for index, value in enumerate(call.inputs) if fits(index, value)}


def remove_dead(graph: Graph) -> Graph:
    """Leave out what nothing needs: values nobody uses, and assignments that the next one overwrites."""
    needed = set(graph.outputs)
    equations = []
    overwritten: set[Any] = set()
    for equation in reversed(graph.equations):
        if equation.primitive is assign_variable:
            variable = equation.params["variable"]
            if variable in overwritten:
                continue
            overwritten.add(variable)
        elif equation.primitive is read_variable:
            overwritten.discard(equation.params["variable"])
        elif equation.primitive.effect:  # a host call may read any variable
            overwritten.clear()
        if equation.primitive.effect or needed.intersection(equation.outputs):
            equations.append(equation)
            needed.update(equation.inputs)
    constants = {value: array for value, array in graph.constants.items() if value in needed}
    random_state = graph.random_state if graph.random_state in needed else None
    return Graph(graph.inputs, graph.outputs, equations[::-1], constants, random_state)
