"""Plans: a graph lowered to a flat list of kernel calls over buffers allocated once, replayed by a plain Python loop.

inputs ---copy--> input buffers --.
variables (their own memory) -----+--> kernel, kernel, ... --> outputs, pinned arrays (gradients in their arena)
constants ------------------------'          |
                              `ready` callbacks as soon as their inputs are in place
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core import arena
from distkeras.core import variable as variables
from distkeras.core.host import HostCall
from distkeras.core.host import primitive as host_primitive
from distkeras.core.primitive import Calls
from distkeras.graph.chains import Chain, chain
from distkeras.graph.chunks import lower_chain
from distkeras.graph.fuse import fuse
from distkeras.graph.ir import Equation, Graph, Value, read_variable, written_variables
from distkeras.graph.lowering import Step, lower
from distkeras.graph.memory import Lifetime, Scratch, assign_offsets
from distkeras.graph.passes import simplify
from distkeras.graph.replay import compile_calls
from distkeras.kernels.denormals import flush_denormals, restore_denormals
from distkeras.kernels.gemm import rows_alike

_FOREVER = 1 << 60


class Plan:
    """A graph ready to run.

    Args:
        graph: What to compute; it is simplified first.
        cut: What is then made of it, if this process computes a part only: see `graph.rows`.

    Attributes:
        inputs, outputs: The buffers of the graph's inputs and outputs; `run` reads the first and fills the second.
        random_state: int64 [seed, step, first sample] to fill before `run`, or None when nothing is random.
        nbytes: Bytes of the buffers that belong to the plan.
    """

    def __init__(self, graph: Graph, cut: Callable[[Graph], Graph] | None = None) -> None:
        self.graph = simplify(graph) if cut is None else cut(simplify(graph))
        self.steps = chain(fuse(self.graph), self.graph)
        self._relocations = variables.relocations
        layout = _Buffers(self.graph, self.steps)
        self.inputs = [layout.array(value) for value in self.graph.inputs]
        self.outputs = [layout.array(value) for value in self.graph.outputs]
        state = self.graph.random_state
        self.random_state = layout.array(state) if state is not None else None
        scratch = Scratch()
        with rows_alike() if cut else contextlib.nullcontext():
            self.calls = _lower(self.steps, layout, scratch)
        self._replayed = compile_calls(self.calls)
        self.nbytes = layout.nbytes + scratch.nbytes
        self._flush, self._restore = flush_denormals[np.float32], restore_denormals[np.float32]

    @property
    def is_current(self) -> bool:
        """Whether every variable still lies where it did when the plan was made."""
        return self._relocations == variables.relocations

    def run(self) -> None:
        """Replay. Denormal numbers count as zero: see `kernels.denormals`."""
        before = self._flush()
        try:
            for function, arguments in self._replayed:
                function(*arguments)
        finally:
            self._restore(before)

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))


class _Buffers:
    """Decides for every value of a graph where it lies.

    A value that is another one seen otherwise (reshape) has that one as its root and lies in its memory; a variable
    that is read lies in the variable's own memory.
    """

    def __init__(self, graph: Graph, steps: Sequence[Step | Chain]) -> None:
        self._graph = graph
        self._steps = steps
        self._views: dict[Value, tuple[Value, Callable[[np.ndarray], np.ndarray]]] = {}
        self._arrays: dict[Value, np.ndarray] = {}
        self.made: dict[Value, int] = {value: -1 for value in graph.sources()}
        self.last_use: dict[Value, int] = {}
        self.uses: dict[Value, list[int]] = defaultdict(list)
        self.pinned: set[Value] = set()
        self.parts: dict[Value, Sequence[slice]] = {}  # of values of which no more is read
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
                self.uses[self.root(value)].append(index)
        for value in self._graph.outputs:
            self.last_use[self.root(value)] = _FOREVER

    def _place_sources(self) -> None:
        self._arrays.update((value, tensor._array) for value, tensor in self._graph.constants.items())
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
        since = pin_owners(self._steps)
        for index, host, inputs in host_calls(self._steps):
            for place, (value, pin) in enumerate(zip(inputs, host.pins, strict=True)):
                root = self.root(value)
                free = root not in self._arrays and root not in self.copied_reads and root.spec.size == pin.size
                if free and self.last_use[root] <= index and self.made[root] > since[index]:
                    self._arrays[root] = pin.reshape(root.spec.shape)
                    self.pinned.add(root)
                    if place in host.reads and len(self.uses[root]) == 1:
                        self.parts[root] = host.reads[place]

    def _place_rest(self) -> None:
        lifetimes: dict[Value, Lifetime] = {}
        for value, index in self.made.items():
            if value in self._arrays or value in self._views:
                continue
            if value.spec.dtype.name == "string":  # references to Python objects do not lie in a block of bytes
                self._arrays[value] = _empty(value)
            else:
                lifetimes[value] = Lifetime(value.spec.nbytes, index, self.last_use.get(value, index))
        offsets, size = assign_offsets(lifetimes)
        block = arena.allocate(size, np.uint8)
        for value, offset in offsets.items():
            raw = block[offset : offset + value.spec.nbytes]
            self._arrays[value] = raw.view(value.spec.dtype.numpy).reshape(value.spec.shape)
        self.nbytes = size + sum(self._arrays[value].nbytes for value in self._graph.sources())


def host_calls(steps: Sequence[Step | Chain]) -> list[tuple[int, HostCall, tuple[Value, ...]]]:
    """The host calls among the steps: at which step, what, and with which inputs."""
    return [
        (index, step.params["host"], step.inputs)
        for index, step in enumerate(steps)
        if isinstance(step, Equation) and step.primitive is host_primitive
    ]


def pin_owners(steps: Sequence[Step | Chain]) -> dict[int, int]:
    """For each host call, by its step, the last step before it at which another one still owns memory it is pinned to.

    Until then nothing may be written there: the same gradients' arena can be used twice in one function.
    """
    ranges: list[tuple[int, int, int]] = []
    owned: dict[int, int] = {}
    for index, host, _ in host_calls(steps):
        mine = [(pin.ctypes.data, pin.ctypes.data + pin.nbytes) for pin in host.pins]
        first, last = min((low for low, _ in mine), default=0), max((high for _, high in mine), default=0)
        near = [(step, low, high) for step, low, high in ranges if low < last and first < high]
        clashes = [step for step, low, high in near if any(low < end and start < high for start, end in mine)]
        owned[index] = max(clashes, default=-2)
        ranges += [(index, low, high) for low, high in mine]
    return owned


def _empty(value: Value) -> np.ndarray:
    if value.spec.dtype.name == "string":
        return np.empty(value.spec.shape, object)
    flat = arena.allocate(value.spec.size, value.spec.dtype.numpy)
    return flat.reshape(value.spec.shape)


def _lower(steps: Sequence[Step | Chain], buffers: _Buffers, scratch: Scratch) -> Calls:
    """The calls of all steps in order, host calls' inputs copied and announced as early as can be."""
    early = _announcements(steps, buffers)
    calls: Calls = list(early[-1])
    for index, step in enumerate(steps):
        calls += _lower_step(step, buffers, scratch)
        scratch.release()
        calls += early[index]
    return calls


def _lower_step(step: Step | Chain, buffers: _Buffers, scratch: Scratch) -> Calls:
    if isinstance(step, Chain):
        return lower_chain(step, {value: buffers.array(value) for value in (*step.inputs, *step.outputs)}, scratch)
    inputs = [buffers.array(value) for value in step.inputs]
    outputs = [buffers.array(value) for value in step.outputs]
    if isinstance(step, Equation):
        if step.primitive is host_primitive:
            return step.params["host"].calls(outputs, [buffers.parts.get(value) for value in step.outputs])
        if step.primitive.alias is not None:
            return []
        if step.primitive is read_variable and step.outputs[0] not in buffers.copied_reads:
            return []
    return lower(step, inputs, outputs, scratch)


def _announcements(steps: Sequence[Step | Chain], buffers: _Buffers) -> dict[int, Calls]:
    """For each step, what host calls want done right after it: copies into pinned arrays, `ready` callbacks."""
    copies: dict[int, Calls] = defaultdict(list)
    callbacks: dict[int, Calls] = defaultdict(list)
    since = pin_owners(steps)
    previous = -1
    for index, host, inputs in host_calls(steps):
        placed = []
        for value, pin in zip(inputs, host.pins, strict=True):
            array, root = buffers.array(value), buffers.root(value)
            place = max(buffers.made[root], since[index])
            if root in buffers.pinned and np.shares_memory(array, pin):
                # A callback may change what it is told of, in place: not before all others have read it.
                place = max([place, *(use for use in buffers.uses[root] if use < index)])
            else:
                copies[place].append((np.copyto, (pin, array)))
            placed.append(place)
        for indices, callback in host.ready:
            place = max((placed[i] for i in indices), default=index - 1)
            # Not before the call before this one is over: what they announce goes to one lane, on which all ranks need
            # the same order, however differently their kernels were fused.
            callbacks[max(place, previous)].append((callback, ()))
        previous = index if host.ready else previous
    return defaultdict(list, {key: copies[key] + callbacks[key] for key in {*copies, *callbacks, -1}})
