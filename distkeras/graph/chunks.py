"""A chain becomes the kernel calls of all its chunks, which use the same memory one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from distkeras.core.primitive import Calls
from distkeras.core.rows import SUM, Rows
from distkeras.core.spec import TensorSpec
from distkeras.graph.chains import Chain, Member, lifetimes_inside
from distkeras.graph.fuse import Group
from distkeras.graph.ir import Equation, Value
from distkeras.graph.lowering import lower
from distkeras.graph.memory import Scratch, assign_offsets
from distkeras.kernels.copy import addition

Arrays = Mapping[Value, np.ndarray]


def lower_chain(chain: Chain, arrays: Arrays, scratch: Scratch) -> Calls:
    """The calls of all chunks; `arrays` are those of the chain's inputs and outputs."""
    inside = _inside(chain, scratch)
    partial = {
        value: scratch(value.spec.shape, value.spec.dtype.numpy)
        for member in chain.members
        for value, kind in member.kinds()
        if kind == SUM
    }
    calls: Calls = []
    for start, stop in chain.ranges():
        chunk = _Chunk(start, stop, arrays, inside, partial)
        for member in chain.members:
            with scratch.nested():
                calls += chunk.lower(member, scratch)
    return calls


def _inside(chain: Chain, scratch: Scratch) -> Arrays:
    """Memory for the values of a chunk, which all chunks use."""
    lifetimes = lifetimes_inside(chain.members, chain.inside)
    for life in lifetimes.values():
        life.nbytes = life.nbytes // chain.samples * chain.size
    offsets, size = assign_offsets(lifetimes)
    block = scratch((size,), np.uint8)
    return {
        value: block[offset : offset + lifetimes[value].nbytes].view(value.spec.dtype.numpy)
        for value, offset in offsets.items()
    }


class _Chunk:
    """Lowers the members of a chain for some of the samples.

    Args:
        start, stop: The samples.
        arrays: The values outside of the chain.
        inside: Flat memory for those inside.
        partial: Memory for what is to be added to each sum.
    """

    def __init__(self, start: int, stop: int, arrays: Arrays, inside: Arrays, partial: Arrays) -> None:
        self._start, self._count = start, stop - start
        self._of_chain, self._inside, self._partial = arrays, inside, partial
        self._views: dict[Value, np.ndarray] = {}

    def lower(self, member: Member, scratch: Scratch) -> Calls:
        """The calls of one member."""
        step, rows = member.step, member.rows
        inputs = self._arrays_of(step.inputs, rows.inputs)
        if member.is_alias:
            self._views[step.outputs[0]] = step.primitive.alias(inputs[0], **self._params(step, rows))
            return []
        outputs = self._arrays_of(step.outputs, rows.outputs)
        if isinstance(step, Group):
            return lower(self._resized(step, rows), inputs, outputs, scratch)
        calls: Calls = []
        if rows.state is not None and self._start:
            state = inputs[rows.state]
            inputs[rows.state] = moved = scratch(state.shape, state.dtype)
            calls.append((np.add, (state, np.array([0, 0, self._start * rows.outputs[0]], np.int64), moved)))
        calls += lower(
            Equation(step.primitive, step.inputs, self._params(step, rows), step.outputs), inputs, outputs, scratch
        )
        sums = [value for value, kind in zip(step.outputs, rows.outputs, strict=True) if kind == SUM and self._start]
        return calls + [addition(self._of_chain[value], self._partial[value]) for value in sums]

    def _params(self, equation: Equation, rows: Rows) -> dict[str, Any]:
        return equation.params if rows.params is None else {**equation.params, **rows.params(self._count)}

    def _arrays_of(self, values: Iterable[Value], kinds: Iterable[int]) -> list[np.ndarray]:
        return [self._array(value, kind) for value, kind in zip(values, kinds, strict=True)]

    def _array(self, value: Value, kind: int) -> np.ndarray:
        if kind == 0:
            return self._of_chain[value]
        if kind == SUM:
            return self._partial[value] if self._start else self._of_chain[value]
        if value in self._views:
            return self._views[value]
        if value in self._inside:
            shape = self._shape(value, kind)
            return self._inside[value][: math.prod(shape)].reshape(shape)
        return self._of_chain[value][self._start * kind : (self._start + self._count) * kind]

    def _shape(self, value: Value, unit: int) -> tuple[int, ...]:
        return (self._count * unit, *value.spec.shape[1:])

    def _resized(self, group: Group, rows: Rows) -> Group:
        """A group over so many samples, that is computed by the kernel of the whole one."""
        unit = rows.outputs[0]
        cut = {value for value, kind in zip(group.inputs, rows.inputs, strict=True) if kind}
        cut.update(value for equation in group.equations for value in equation.outputs)
        new = {value: Value(TensorSpec(self._shape(value, unit), value.spec.dtype), value.form) for value in cut}

        def resized(values: Iterable[Value]) -> tuple[Value, ...]:
            return tuple(new.get(value, value) for value in values)

        equations = [
            Equation(equation.primitive, resized(equation.inputs), equation.params, resized(equation.outputs))
            for equation in group.equations
        ]
        return Group(equations, resized(group.inputs), resized(group.outputs))
