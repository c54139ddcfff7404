"""apply_gradients as one host call: reduce the gradients, then update the variables they belong to.

backward --> gradient arena --> ready: a bucket's reduction begins --> run: wait, clip, update kernels, constraints
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras.core.host import HostCall
from distkeras.core.variable import Variable
from distkeras.keras.optimizers.arena import ParameterGroup


def with_gradients(pairs: list[tuple[Any, Variable]]) -> tuple[list[Any], list[Variable]]:
    """The pairs that have a gradient.

    Raises:
        ValueError: None has, something is no variable, or a variable comes twice.
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
    missing = [variable.name for gradient, variable in pairs if gradient is None]
    if missing:
        warnings.warn(
            f"Gradients do not exist for variables {missing} when minimizing the loss.", UserWarning, stacklevel=4
        )
    return [gradient for gradient, _ in kept], [variable for _, variable in kept]


class GroupUpdate:
    """The part of a group that a call of apply_gradients updates."""

    def __init__(self, group: ParameterGroup, variables: list[Variable]) -> None:
        self.group = group
        self.variables = [variable for variable in variables if variable in group]
        indices = [group.index(variable) for variable in self.variables]
        self.views = [group.gradients.views[index] for index in indices]
        self.runs = group.runs(indices)
        self.constrained = [variable for variable in self.variables if variable.constraint is not None]

    def reductions(self) -> list[tuple[list[Variable], Callable]]:
        """For each reduction of the group the variables whose gradients it waits for."""
        slices = self.group.parameters.layout.slices
        found = []
        for span, callback in self.group.reducer.ready:
            stop = self.group.gradients.flat.size if span.stop is None else span.stop
            members = [v for v in self.variables if span.start <= slices[self.group.index(v)].start < stop]
            found.append((members, callback))
        return found


def update_call(optimizer: Any, variables: list[Variable], aggregate: bool) -> HostCall:
    """One update of these variables, as a call in whose pinned inputs backward writes the gradients.

    For an optimizer that updates variable by variable it gives the summed and clipped gradients instead.

    Args:
        optimizer: The Optimizer; it has groups that hold the variables.
        variables: In the order of the gradients that the call is given.
        aggregate: Whether gradients are summed over the ranks first.
    """
    parts = [GroupUpdate(group, variables) for group in optimizer.groups if any(v in group for v in variables)]
    pins = {variable: view for part in parts for variable, view in zip(part.variables, part.views, strict=True)}
    place = {variable: index for index, variable in enumerate(variables)}
    reductions = [reduction for part in parts for reduction in part.reductions()] if aggregate else []
    ready = [([place[variable] for variable in members], callback) for members, callback in reductions if members]
    # Reductions that no gradient triggers: all ranks must start them all the same.
    unfed = [callback for members, callback in reductions if not members]

    def run(*outputs: np.ndarray) -> None:
        for callback in unfed:
            callback()
        if aggregate:
            for part in parts:
                part.group.reducer.finish()
        if not optimizer.is_by_variable:
            optimizer.step(parts)
            return
        optimizer.clip(parts)
        for output, variable in zip(outputs, variables, strict=True):
            np.copyto(output, pins[variable])

    slots = [slot for part in parts for made in part.group.slot_variables.values() for slot in made]
    writes = [*variables, *slots, optimizer.iterations, *optimizer.extra_weights()]
    name, places = f"{optimizer.name}.apply_gradients", [pins[variable] for variable in variables]
    if optimizer.is_by_variable:
        return HostCall(name, run, places, ready, output_specs=[variable.spec for variable in variables])
    return HostCall(name, run, places, ready, writes=writes)
