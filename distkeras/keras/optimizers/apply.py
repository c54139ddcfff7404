"""apply_gradients as one host call: reduce the gradients, then update the variables they belong to.

backward --> gradient arena --> ready: a bucket's reduction begins --> run: wait, clip, update kernels, constraints
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.host import HostCall
from distkeras.core.indexed_slices import IndexedSlices
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.distribute import timeline
from distkeras.keras.optimizers import clipping
from distkeras.keras.optimizers.arena import ParameterGroup, constrain
from distkeras.keras.optimizers.kernel_update import kernel_update, rule_of
from distkeras.keras.optimizers.shared_update import shared_update
from distkeras.keras.optimizers.sparse import RowsUpdate, SlicesUpdate, WholeUpdate
from distkeras.kernels.compile import Calls

Reductions = list[tuple[list[Variable], Callable]]


def as_pairs(grads_and_vars: Any) -> list[tuple[Any, Any]]:
    """The argument of apply_gradients as a list.

    Raises:
        ValueError: It does not consist of pairs.
    """
    pairs = list(grads_and_vars) if hasattr(grads_and_vars, "__iter__") else [grads_and_vars]
    for pair in pairs:
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
            raise ValueError(f"apply_gradients: expected (gradient, tf.Variable) pairs, received {pair!r}.")
    return pairs


def with_gradients(pairs: list[tuple[Any, Variable]]) -> tuple[list[Any], list[Variable]]:
    """The pairs that have a gradient.

    Raises:
        ValueError: None has, something is no variable, a variable comes twice, or rows do not fit theirs.
    """
    for _, variable in pairs:
        if not isinstance(variable, Variable):
            raise ValueError(f"apply_gradients: expected (gradient, tf.Variable) pairs, received {variable!r}.")
    names = [variable.name for _, variable in pairs]
    kept = [(gradient, variable) for gradient, variable in pairs if gradient is not None]
    if not kept:
        raise ValueError(f"No gradients provided for any variable: {names}.")
    if len({id(variable) for _, variable in kept}) < len(kept):
        raise ValueError(f"apply_gradients: a variable comes twice in {names}; add its gradients up.")
    for gradient, variable in kept:
        if isinstance(gradient, IndexedSlices) and (
            not variable.shape or gradient.values.shape[1:] != variable.shape[1:] or gradient.dtype != variable.dtype
        ):
            raise ValueError(
                f"apply_gradients: {variable.name!r} has shape {variable.shape} and dtype {variable.dtype.name}, its "
                f"gradient is IndexedSlices with values of shape {gradient.values.shape} and {gradient.dtype.name}."
            )
    missing = [variable.name for gradient, variable in pairs if gradient is None]
    if missing:
        warnings.warn(
            f"Gradients do not exist for variables {missing} when minimizing the loss.", UserWarning, stacklevel=4
        )
    return [gradient for gradient, _ in kept], [variable for _, variable in kept]


def call_inputs(gradients: list[Any], variables: list[Variable]) -> list[Tensor]:
    """What an `update_call` takes: a gradient for each variable, or the values and indices of its rows."""
    inputs: list[Tensor] = []
    for gradient, variable in zip(gradients, variables, strict=True):
        if isinstance(gradient, IndexedSlices):
            inputs += [gradient.values, ops.cast(gradient.indices, "int64")]
        else:
            inputs.append(to_tensor(gradient, like=variable))
    return inputs


def settle_sharing(optimizer: Any, gradients: list[Any], variables: list[Variable], aggregate: bool) -> None:
    """Let the ranks of a node share the groups of these variables; or leave those that this call updates otherwise."""
    for group in optimizer.groups:
        kinds = [type(gradient) for gradient, variable in zip(gradients, variables, strict=True) if variable in group]
        if not aggregate or optimizer.is_by_variable or IndexedSlices in kinds:
            group.parameters.leave()
        elif kinds:
            group.share()


class GroupUpdate:
    """The part of a group that a call of apply_gradients updates.

    Args:
        group: The group.
        variables: Those that are updated; others may be among them.
        sums_first: Whether sums of gradients are needed as a whole before any of them is used.
    """

    def __init__(self, group: ParameterGroup, variables: list[Variable], sums_first: bool = False) -> None:
        self.group = group
        self._sums_first = sums_first
        self.variables = [variable for variable in variables if variable in group]
        indices = [group.index(variable) for variable in self.variables]
        self.views = [group.gradients.views[index] for index in indices]
        self.runs = group.runs(indices)
        self._slices = [group.parameters.layout.slices[index] for index in indices]
        self.constrained = [variable for variable in self.variables if variable.constraint is not None]
        self._divided: Any = None

    def collect(self, optimizer: Any) -> None:
        """Have the sums of gradients in the arena that are needed as a whole; find out what this rank is to update."""
        reducer = self.group.reducer
        if self._divided is not reducer:
            self._divided = reducer
            edges = None if optimizer.updates_elements else self.group.starts
            self._portions = reducer.portions(self.runs, edges)
            self._blocks = reducer.blocks(self._portions) if optimizer.updates_elements else self._portions
            spans = self.runs if reducer.has_whole else self._portions
            self._pieces = [self._pieces_of(part, spans) for part in self._slices]
            self._rule = rule_of(optimizer) if reducer.takes_rules else None
        self._is_summed = self._sums_first or optimizer.clips or reducer.sums_at_once
        if self._is_summed:
            for portion in self._portions:
                reducer.sum(portion)

    def _pieces_of(self, part: slice, spans: Sequence[slice]) -> list[np.ndarray]:
        return [self.group.gradients.flat[span] for span in _overlaps(part, spans)]

    @property
    def portions(self) -> Sequence[slice]:
        """What this rank is to update where an optimizer updates elements."""
        return self.group.reducer.portions(self.runs, None)

    def reads(self, optimizer: Any) -> list[Sequence[slice]] | None:
        """The slices of each variable's gradient that are read, if this rank is known to need no more."""
        reducer = self.group.reducer
        needs_all = self._sums_first or optimizer.clips or optimizer.accumulation is not None
        if needs_all or not reducer.has_whole or rule_of(optimizer) is None:
            return None
        return [
            [slice(span.start - part.start, span.stop - part.start) for span in _overlaps(part, self.portions)]
            for part in self._slices
        ]

    @property
    def pieces(self) -> list[list[np.ndarray]]:
        """After `collect` what this rank is to clip of the gradient of each variable."""
        return self._pieces

    def update(self, optimizer: Any) -> None:
        """Run the optimizer's kernel over the variables, after its `begin_step`."""
        group = self.group
        if self._rule is not None:
            scalars = [group.dtype.type(scalar) for scalar in optimizer._scalars]
            for portion in self._portions:
                group.reducer.update_by(self._rule, group.arrays(portion), portion, scalars, self._is_summed)
            return
        for block in self._blocks:
            if not self._is_summed:
                group.reducer.sum(block)
            optimizer.update(group, block)

    def constrain(self) -> None:
        """Apply the variables' constraints."""
        if self.constrained:
            self.group.reducer.meet()
            constrain(self.group.reducer.mine(self.constrained))

    def reductions(self) -> Reductions:
        """For each reduction of the group the variables whose gradients it waits for."""
        slices = self.group.parameters.layout.slices
        found = []
        for span, callback in self.group.reducer.ready:
            members = [v for v in self.variables if span.start <= slices[self.group.index(v)].start < span.stop]
            found.append((members, callback))
        return found


def _overlaps(part: slice, spans: Sequence[slice]) -> list[slice]:
    cut = [slice(max(part.start, span.start), min(part.stop, span.stop)) for span in spans]
    return [span for span in cut if span.start < span.stop]


def _in_one_order(reductions: Reductions, place: dict[Variable, int], strategy: Any) -> Reductions:
    """Reductions of several groups such that they start in one order, that in which backward is likely to feed them."""

    def last(reduction: tuple[list[Variable], Callable]) -> int:
        return max((place[variable] for variable in reduction[0]), default=-1)

    ordered = sorted(reductions, key=last, reverse=True)
    queue = InOrder([callback for _, callback in ordered])
    strategy.communicator.on_loss(queue.begin_anew)
    return [(members, functools.partial(queue.ask, index)) for index, (members, _) in enumerate(ordered)]


class InOrder:
    """Functions that are called in their order, each once it was asked for and all before it were; then anew.

    >>> queue = InOrder([lambda: print("first"), lambda: print("second")])
    >>> queue.ask(1)
    >>> queue.ask(0)
    first
    second
    """

    def __init__(self, functions: list[Callable[[], object]]) -> None:
        self._functions = functions
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was asked for."""
        self._asked: set[int] = set()
        self._next = 0

    def ask(self, index: int) -> None:
        """Have a function called."""
        self._asked.add(index)
        while self._next in self._asked:
            self._functions[self._next]()
            self._next += 1
        if self._next == len(self._functions):
            self.begin_anew()


def update_call(
    optimizer: Any, variables: list[Variable], aggregate: bool, rows: dict[Variable, int]
) -> tuple[HostCall, dict[Variable, SlicesUpdate]]:
    """One update of these variables, as a call in whose pinned inputs backward writes the gradients.

    For an optimizer that updates variable by variable it gives the summed and clipped gradients instead.

    Args:
        optimizer: The Optimizer; it has groups that hold the variables.
        variables: In the order of the gradients that the call is given.
        aggregate: Whether gradients are summed over the ranks first.
        rows: For variables whose gradients are IndexedSlices how many rows these have.

    Returns:
        The call, whose inputs are a gradient for each variable, or values and indices; and the updates of rows.
    """
    dense = [variable for variable in variables if variable not in rows]
    scale = optimizer.loss_scale
    parts = [
        GroupUpdate(group, dense, scale is not None) for group in optimizer.groups if any(v in group for v in dense)
    ]
    kind = RowsUpdate if optimizer.updates_rows or optimizer.takes_rows else WholeUpdate
    sparse = {v: kind(optimizer.group_of(v), v, count, aggregate) for v, count in rows.items()}
    pins = {variable: [view] for part in parts for variable, view in zip(part.variables, part.views, strict=True)}
    pins |= {variable: [part.values, part.indices] for variable, part in sparse.items()}
    places, place = [], {}
    for variable in variables:
        place[variable] = len(places)
        places += pins[variable]
    reductions = [reduction for part in parts for reduction in part.reductions()] if aggregate else []
    if len(parts) > 1:
        reductions = _in_one_order(reductions, place, parts[0].group.strategy)
    ready = [([place[variable] for variable in members], callback) for members, callback in reductions if members]
    # Reductions that no gradient triggers: all ranks must start them all the same.
    unfed = [callback for members, callback in reductions if not members]

    record = timeline.current()
    step = record.timed("update", optimizer.step)
    finishes = [record.timed("wait", part.group.reducer.finish, "wait for gradients") for part in parts]
    updates = [*parts, *sparse.values()]
    # A timeline tells updates, meetings and products apart, some of which are one otherwise.
    is_simple = not rows and scale is None and record is timeline.OFF
    shared = shared_update(optimizer, parts) if is_simple and aggregate else None

    def run(*outputs: np.ndarray) -> None:
        for callback in unfed:
            callback()
        if shared is not None:
            if shared():
                return
        elif aggregate:
            for finish in finishes:
                finish()
            if not all(update.group.reducer.is_complete for update in updates):
                for part in sparse.values():
                    part.joined()
                return
        update_all(*outputs)

    def update_all(*outputs: np.ndarray) -> None:
        for update in updates:
            update.collect(optimizer)
        if not optimizer.is_by_variable:
            if scale is None or scale.record(clipping.are_finite(updates)):
                step(updates)
            for part in parts:
                part.group.reducer.meet()
            return
        optimizer.clip(updates)
        for output, variable in zip(outputs, dense, strict=True):
            np.copyto(output, *pins[variable])

    if optimizer.accumulation is not None:
        run = optimizer.accumulation.counted(run)
    groups = {id(part.group): part.group for part in updates}.values()
    slots = [slot for group in groups for made in group.slot_variables.values() for slot in made]
    writes = [*variables, *slots, optimizer.iterations, *optimizer.extra_weights()]
    writes += [] if scale is None else scale.weights
    name = f"{optimizer.name}.apply_gradients"
    if optimizer.is_by_variable:
        return HostCall(name, run, places, ready, output_specs=[variable.spec for variable in dense]), sparse
    in_kernels = kernel_update(optimizer, parts, variables) if is_simple else None
    reads = {
        place[variable]: slices
        for part in parts
        for variable, slices in zip(part.variables, part.reads(optimizer) or (), strict=False)
    }

    def around(calls: Calls) -> Calls:
        for part in parts:
            calls = part.group.reducer.with_what_is_left(part.portions, calls)
        return calls

    as_kernels = None if shared is None else lambda outputs: shared.calls(update_all)
    call = HostCall(name, run, places, ready, (), writes, in_kernels, reads, around, as_kernels)
    return call, sparse
