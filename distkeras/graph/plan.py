"""Plans: a graph lowered to a flat list of kernel calls over buffers allocated once, replayed by a plain Python loop.

inputs ---copy--> input buffers --.
variables (their own memory) -----+--> kernel, kernel, ... --> outputs, pinned arrays (gradients in their arena)
constants ------------------------'          |
                              `ready` callbacks as soon as their inputs are in place
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core import arena
from distkeras.core import variable as variables
from distkeras.core.host import primitive as host_primitive
from distkeras.core.primitive import Calls
from distkeras.graph import kernel_cache
from distkeras.graph.emit import emit, views
from distkeras.graph.fuse import Group, fuse
from distkeras.graph.ir import Equation, Graph, Value, read_variable, written_variables
from distkeras.graph.memory import Lifetime, Scratch, assign_offsets
from distkeras.graph.passes import simplify

_FOREVER = 1 << 60


class Plan:
    """A graph ready to run.

    Args:
        graph: What to compute; it is simplified first.

    Attributes:
        inputs, outputs: The buffers of the graph's inputs and outputs; `run` reads the first and fills the second.
        random_state: int64 [seed, step, first sample] to fill before `run`, or None when nothing is random.
        nbytes: Bytes of the buffers that belong to the plan.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = simplify(graph)
        self.steps = fuse(self.graph)
        self._relocations = variables.relocations
        layout = _Buffers(self.graph, self.steps)
        self.inputs = [layout.array(value) for value in self.graph.inputs]
        self.outputs = [layout.array(value) for value in self.graph.outputs]
        state = self.graph.random_state
        self.random_state = layout.array(state) if state is not None else None
        scratch = Scratch()
        self.calls = _lower(self.steps, layout, scratch)
        self.nbytes = layout.nbytes + scratch.nbytes

    @property
    def is_current(self) -> bool:
        """Whether every variable still lies where it did when the plan was made."""
        return self._relocations == variables.relocations

    def run(self) -> None:
        """Replay."""
        for function, arguments in self.calls:
            function(*arguments)

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))


class _Buffers:
    """Decides for every value of a graph where it lies.

    A value that is another one seen otherwise (reshape) has that one as its root and lies in its memory; a variable
    that is read lies in the variable's own memory.
    """

    def __init__(self, graph: Graph, steps: Sequence[Group | Equation]) -> None:
        self._graph = graph
        self._steps = steps
        self._views: dict[Value, tuple[Value, Callable[[np.ndarray], np.ndarray]]] = {}
        self._arrays: dict[Value, np.ndarray] = {}
        self.made: dict[Value, int] = {value: -1 for value in graph.sources()}
        self.last_use: dict[Value, int] = {}
        self.copied_reads: set[Value] = set()
        self._find_lifetimes()
        self._place_sources()
        self._place_reads()
        self._place_pinned()
        self._place_rest()

    def root(self, value: Value) -> Value:
        """The value in whose memory this one lies."""
        while value in self._views:
            value = self._views[value][0]
        return value

    def array(self, value: Value) -> np.ndarray:
        """The buffer of a value."""
        if value not in self._arrays:
            source, view = self._views[value]
            self._arrays[value] = view(self.array(source))
        return self._arrays[value]

    def _find_lifetimes(self) -> None:
        for index, step in enumerate(self._steps):
            for value in step.outputs:
                self.made[value] = index
            if isinstance(step, Equation) and step.primitive.alias is not None:
                alias, params = step.primitive.alias, step.params
                self._views[step.outputs[0]] = (
                    step.inputs[0],
                    lambda array, alias=alias, params=params: alias(array, **params),
                )
            for value in step.inputs:
                self.last_use[self.root(value)] = index
        for value in self._graph.outputs:
            self.last_use[self.root(value)] = _FOREVER

    def _place_sources(self) -> None:
        self._arrays.update(self._graph.constants)
        for value in self._graph.sources():
            if value not in self._arrays:
                self._arrays[value] = _empty(value)

    def _place_reads(self) -> None:
        """A variable is used where it lies, unless the old value is still wanted after a write."""
        writes: dict[Any, list[int]] = defaultdict(list)
        for index, step in enumerate(self._steps):
            if isinstance(step, Equation):
                for variable in written_variables(step):
                    writes[variable].append(index)
        for index, step in enumerate(self._steps):
            if isinstance(step, Equation) and step.primitive is read_variable:
                (value,) = step.outputs
                last = self.last_use.get(value, index)
                # A write in the very step that uses the value last (v.assign(v + 1)) comes after its reading.
                if any(index < write < last for write in writes[step.params["variable"]]):
                    self.copied_reads.add(value)
                else:
                    self._arrays[value] = step.params["variable"]._array

    def _place_pinned(self) -> None:
        """Let kernels write straight to where a host call wants its inputs, if nothing else needs the value later."""
        for index, step in enumerate(self._steps):
            if not (isinstance(step, Equation) and step.primitive is host_primitive):
                continue
            for value, pin in zip(step.inputs, step.params["host"].pins, strict=True):
                root = self.root(value)
                free = root not in self._arrays and root not in self.copied_reads
                if free and self.last_use[root] <= index and root.spec.size == pin.size:
                    self._arrays[root] = pin.reshape(root.spec.shape)

    def _place_rest(self) -> None:
        lifetimes: dict[Value, Lifetime] = {}
        for value, index in self.made.items():
            if value not in self._arrays and value not in self._views:
                lifetimes[value] = Lifetime(value.spec.nbytes, index, self.last_use.get(value, index))
        offsets, size = assign_offsets(lifetimes)
        block = arena.allocate(size, np.uint8)
        for value, offset in offsets.items():
            raw = block[offset : offset + value.spec.nbytes]
            self._arrays[value] = raw.view(value.spec.dtype.numpy).reshape(value.spec.shape)
        self.nbytes = size + sum(self._arrays[value].nbytes for value in self._graph.sources())


def _empty(value: Value) -> np.ndarray:
    flat = arena.allocate(value.spec.size, value.spec.dtype.numpy)
    return flat.reshape(value.spec.shape)


def _lower(steps: Sequence[Group | Equation], buffers: _Buffers, scratch: Scratch) -> Calls:
    """The calls of all steps in order, host calls' inputs copied and announced as early as can be."""
    early = _announcements(steps, buffers)
    calls: Calls = list(early[-1])
    for index, step in enumerate(steps):
        calls += _lower_step(step, buffers, scratch)
        scratch.release()
        calls += early[index]
    return calls


def _lower_step(step: Group | Equation, buffers: _Buffers, scratch: Scratch) -> Calls:
    inputs = [buffers.array(value) for value in step.inputs]
    outputs = [buffers.array(value) for value in step.outputs]
    if isinstance(step, Group):
        code = emit(step)
        kernel = kernel_cache.load(code.source, code.signature)
        arguments = (*views(inputs, code.input_shapes), *views(outputs, [code.output_shape] * len(outputs)))
        return [(kernel, arguments)]
    if step.primitive is host_primitive:
        return [(step.params["host"].run, tuple(outputs))]
    if step.primitive.alias is not None:
        return []
    if step.primitive is read_variable and step.outputs[0] not in buffers.copied_reads:
        return []
    return step.primitive.kernel(inputs, outputs, scratch, **step.params)


def _announcements(steps: Sequence[Group | Equation], buffers: _Buffers) -> dict[int, Calls]:
    """For each step, what host calls want done right after it: copies into pinned arrays, `ready` callbacks."""
    copies: dict[int, Calls] = defaultdict(list)
    callbacks: dict[int, Calls] = defaultdict(list)
    for index, step in enumerate(steps):
        if not (isinstance(step, Equation) and step.primitive is host_primitive):
            continue
        host = step.params["host"]
        # What an earlier host call or assignment may still change is only copied just before this one.
        barrier = max(
            (i for i in range(index) if isinstance(steps[i], Equation) and steps[i].primitive.effect), default=-1
        )
        placed = []
        for value, pin in zip(step.inputs, host.pins, strict=True):
            array = buffers.array(value)
            place = buffers.made[buffers.root(value)]
            if not np.shares_memory(array, pin):
                place = max(place, barrier) if buffers.root(value) in buffers.copied_reads else place
                copies[place].append((np.copyto, (pin, array)))
            placed.append(place)
        for indices, callback in host.ready:
            place = max((placed[i] for i in indices), default=index - 1)
            callbacks[place].append((callback, ()))
    return defaultdict(list, {key: copies[key] + callbacks[key] for key in {*copies, *callbacks, -1}})
