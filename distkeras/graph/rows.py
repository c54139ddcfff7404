"""A graph over whole batches becomes the part of it that one process computes: rows are cut, sums put together.

    whole graph                                   this process's graph
    x [32, 784] ------ matmul -- ... y            x [16, 784] -- the same for its rows -- ... y [16, 10]
    dw = matmul(x^T, dy)                          nodes = sums over its shards -- exchange --> dw, the same everywhere
    loss = reduce_sum(...)                        nodes = ...                  -'
    update, metrics: of whole values              the same, on all processes

A value is whole, and then the same on every process; or it is cut, and each holds the rows of its samples. What becomes
of an equation its primitive's rule says (`core.rows`); where there is none, its inputs are gathered and all compute it.
Sums over the samples are taken shard by shard and added up over a fixed tree (`graph.shards`), so that they have the
same bits however many processes there are; a process alone writes the same equations, for what is fused with what must
not depend on their number. They are exchanged together, as late as can be: what needs them is put off
until an equation with cut inputs asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from distkeras.core.host import HostCall
from distkeras.core.host import primitive as host_primitive
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import SUM, Rows, elementwise_rows
from distkeras.core.spec import TensorSpec
from distkeras.graph.ir import Equation, Graph, Value, read_variable
from distkeras.graph.shards import by_shards


class Cut(Protocol):
    """How a batch is cut, and where this process is in it.

    Attributes:
        samples: Of the whole batch.
        start, stop: Which of them are this process's.
        shards: [start, stop) of its shards, relative to `start`.
        longest: The samples of the largest shard of all processes.
        trees: How its shards are added up: for each sum that it gives a shard's number, or a pair of such sums.
        is_alone: Whether it has all samples.
        replica: What primitives that talk to other processes themselves are given.
    """

    samples: int
    start: int
    stop: int
    shards: Sequence[tuple[int, int]]
    longest: int
    trees: Sequence[Any]
    is_alone: bool
    replica: Any

    def exchange(self, specs: Sequence[TensorSpec]) -> HostCall:
        """A call that takes each process's sums, [len(trees), *shape], and gives the total of all."""

    def gather(self, spec: TensorSpec, whole: TensorSpec) -> HostCall:
        """A call that takes rows, and gives those of all processes."""


def cut_rows(graph: Graph, cut_inputs: Sequence[bool], cut: Cut) -> Graph:
    """This process's part of a graph.

    Args:
        graph: Over whole batches.
        cut_inputs: For each input of the graph whether it has a row for each sample, and is to be given cut.
        cut: The cut.
    """
    writer = _Writer(graph, cut)
    inputs = [writer.add_input(value, is_cut) for value, is_cut in zip(graph.inputs, cut_inputs, strict=True)]
    for equation in graph.equations:
        writer.write(equation)
    outputs = [writer.whole(value) for value in graph.outputs]
    writer.catch_up()
    return Graph(inputs, outputs, writer.equations, graph.constants, graph.random_state).check()


# Rows of a value that every process has whole.
_take = Primitive("rows", alias=lambda array, start, stop: array[start:stop])
_take.def_shape(lambda spec, start, stop: TensorSpec((stop - start, *spec.shape[1:]), spec.dtype))

# The total of a process that is alone.
_only = Primitive("only_sum", alias=lambda array: array[0, ...])  # a view, of a scalar too
_only.def_shape(lambda spec: TensorSpec(spec.shape[1:], spec.dtype))

# The random state of the first of a process's rows.
_state_at = Primitive("random_state_at")
_state_at.def_shape(lambda state, row: state)


@_state_at.def_kernel
def _state_at_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, row: int) -> Calls:
    return [(np.add, (inputs[0], np.array([0, 0, row], np.int64), outputs[0]))]


class _Writer:
    """Writes the equations of the part, for each one of the whole."""

    def __init__(self, graph: Graph, cut: Cut) -> None:
        self.equations: list[Equation] = []
        self._cut = cut
        self._units: dict[Value, int] = {}  # of the values that are cut: rows of a sample
        self._rows: dict[Value, Value] = {}
        self._wholes: dict[Value, Value] = {value: value for value in graph.sources()}
        self._sums: list[tuple[Value, Value]] = []  # of this process, and of all
        self._put_off: list[Equation] = []
        self._waiting: set[Value] = set()
        self._effect_waits = False

    def add_input(self, value: Value, is_cut: bool) -> Value:
        if not is_cut:
            return value
        del self._wholes[value]
        return self._new_rows(value, 1)

    def _new_rows(self, value: Value, unit: int) -> Value:
        self._units[value] = unit
        self._rows[value] = rows = Value(self._spec_of_rows(value.spec, unit), value.spec.shape)
        return rows

    def _spec_of_rows(self, whole: TensorSpec, unit: int) -> TensorSpec:
        return TensorSpec(((self._cut.stop - self._cut.start) * unit, *whole.shape[1:]), whole.dtype)

    # --- values

    def whole(self, value: Value) -> Value:
        """A value of the whole graph, whole."""
        if value not in self._wholes:
            rows = self._rows[value]
            self._wholes[value] = whole = Value(value.spec)
            if self._cut.is_alone:
                self._append(Equation(_take, (rows,), {"start": 0, "stop": rows.spec.shape[0]}, (whole,)))
            else:
                host = self._cut.gather(rows.spec, value.spec)
                self._append(Equation(host_primitive, (rows,), {"host": host}, (whole,)))
        return self._wholes[value]

    def rows(self, value: Value, unit: int) -> Value:
        """A value of the whole graph, cut."""
        if value not in self._rows or self._units.get(value, unit) != unit:
            whole = self.whole(value)
            rows = Value(self._spec_of_rows(value.spec, unit), value.spec.shape)
            params = {"start": self._cut.start * unit, "stop": self._cut.stop * unit}
            self._demand(whole)
            self._append(Equation(_take, (whole,), params, (rows,)))
            self._rows[value] = rows
        return self._rows[value]

    # --- equations

    def write(self, equation: Equation) -> None:
        """Write what becomes of an equation of the whole graph."""
        units = tuple(self._units.get(value, 0) for value in equation.inputs)
        rows = self._rule(equation, units) if any(units) else None
        if rows is None:
            inputs = tuple(map(self.whole, equation.inputs))
            self._wholes.update((value, value) for value in equation.outputs)
            self._later(Equation(equation.primitive, inputs, equation.params, equation.outputs))
        else:
            self._write_cut(equation, rows)

    def _rule(self, equation: Equation, units: tuple[int, ...]) -> Rows | None:
        specs, samples = tuple(value.spec for value in equation.inputs), self._cut.samples
        if equation.primitive.expr:
            return elementwise_rows(units, specs, samples, equation.outputs[0].spec)
        rule = equation.primitive.cut
        return rule(units, specs, samples, **equation.params) if rule is not None else None

    def _write_cut(self, equation: Equation, rule: Rows) -> None:
        inputs = [
            self.rows(value, unit) if unit else self.whole(value)
            for value, unit in zip(equation.inputs, rule.inputs, strict=True)
        ]
        for value in inputs:
            self._demand(value)
        kinds = rule.outputs * len(equation.outputs) if len(rule.outputs) == 1 else rule.outputs
        if rule.state is not None:
            inputs[rule.state] = self._state_of_rows(inputs[rule.state], kinds[0])
        if SUM in kinds:
            self._write_sums(equation, tuple(inputs), rule, kinds)
            return
        params = self._params(equation, rule)(self._cut.stop - self._cut.start)
        outputs = tuple(
            self._new_rows(value, unit) if unit else self._wholes.setdefault(value, value)
            for value, unit in zip(equation.outputs, kinds, strict=True)
        )
        self._append(Equation(equation.primitive, tuple(inputs), params, outputs))

    def _params(self, equation: Equation, rule: Rows) -> Callable[[int], dict[str, Any]]:
        """samples -> the equation's params for so many."""
        params = {**equation.params, "replica": self._cut.replica} if rule.has_replica else equation.params
        return lambda samples: params if rule.params is None else {**params, **rule.params(samples)}

    def _state_of_rows(self, state: Value, unit: int) -> Value:
        if not self._cut.start:
            return state
        moved = Value(state.spec)
        self._append(Equation(_state_at, (state,), {"row": self._cut.start * unit}, (moved,)))
        return moved

    def _write_sums(self, equation: Equation, inputs: tuple, rule: Rows, kinds: tuple[int, ...]) -> None:
        trees, outputs = self._cut.trees, []
        for value, kind in zip(equation.outputs, kinds, strict=True):
            if kind != SUM:
                outputs.append(self._new_rows(value, kind))
                continue
            self._wholes[value] = value
            outputs.append(Value(TensorSpec((len(trees), *value.spec.shape), value.spec.dtype)))
            self._sums.append((outputs[-1], value))
            self._waiting.add(value)
        params = {
            "primitive": equation.primitive,
            "params": self._params(equation, rule),
            "units": (rule.inputs, kinds),
            "shards": tuple(self._cut.shards),
            "longest": self._cut.longest,
            "trees": tuple(trees),
            "lower_sum": rule.lower_sum,
        }
        self._append(Equation(by_shards, inputs, params, tuple(outputs)))

    # --- the order

    def _append(self, equation: Equation) -> None:
        self.equations.append(equation)

    def _demand(self, value: Value) -> None:
        if value in self._waiting:
            self.catch_up()

    def _later(self, equation: Equation) -> None:
        """Write an equation over whole values, or put it off if it needs a sum that is not exchanged yet."""
        is_ordered = equation.primitive.effect or equation.params.get("version") and equation.primitive is read_variable
        if not self._waiting.isdisjoint(equation.inputs) or (is_ordered and self._effect_waits):
            self._put_off.append(equation)
            self._waiting.update(equation.outputs)
            self._effect_waits = self._effect_waits or bool(is_ordered)
        else:
            self._append(equation)

    def catch_up(self) -> None:
        """Exchange sums, and write what waited for them."""
        if self._sums:
            mine, totals = zip(*self._sums, strict=True)
            if self._cut.is_alone:
                self.equations += [Equation(_only, (one,), {}, (total,)) for one, total in self._sums]
            else:
                host = self._cut.exchange([value.spec for value in totals])
                self._append(Equation(host_primitive, mine, {"host": host}, totals))
        self.equations += self._put_off
        self._sums, self._put_off, self._effect_waits = [], [], False
        self._waiting.clear()
