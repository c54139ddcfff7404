"""Variables that are trained together lie together: parameters, gradients and slots in flat arenas of one layout.

parameters | dense/kernel | dense/bias | ..            the variables' own memory
gradients  | dense/kernel | dense/bias | ..            written by backward, summed over ranks, read by the update
slot m     | dense/kernel | dense/bias | ..
slot v     | dense/kernel | dense/bias | ..
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.core import variable as _variables
from distkeras.core.arena import Arena, Layout
from distkeras.core.variable import Variable
from distkeras.keras.optimizers.accumulation import AccumulatingReducer, Accumulation


class ParameterArena(Arena):
    """The memory of some variables. Optimizers of the same variables share it, so that none pulls them away."""

    def __init__(self, variables: Sequence[Variable], strategy: Any) -> None:
        super().__init__(Layout([variable.shape for variable in variables], _dtype(variables)), strategy.allocate)
        self.variables = tuple(variables)
        self._checked = -1

    def hold(self) -> None:
        """Bring back variables that something else has moved since."""
        if self._checked != _variables.relocations:
            for variable, view in zip(self.variables, self.views, strict=True):
                variable.relocate(view)
            self._checked = _variables.relocations


_arenas: weakref.WeakValueDictionary[tuple, ParameterArena] = weakref.WeakValueDictionary()


def parameter_arena(variables: Sequence[Variable], strategy: Any) -> ParameterArena:
    """The arena of exactly these variables, in this order, which are moved into it if it is new."""
    key = (id(strategy), *map(id, variables))
    arena = _arenas.get(key)
    if arena is None:
        arena = _arenas[key] = ParameterArena(variables, strategy)
    arena.hold()
    return arena


def _dtype(variables: Sequence[Variable]) -> np.dtype:
    return variables[0].dtype.numpy


def grouped(variables: Sequence[Variable]) -> list[list[Variable]]:
    """Variables of one element type together; those with rows to be updated alone, so that only these are reduced."""
    groups: dict[Any, list[Variable]] = {}
    for variable in variables:
        groups.setdefault((variable.dtype, variable if variable.is_gathered else None), []).append(variable)
    return list(groups.values())


class ParameterGroup:
    """Variables of one element type with their gradients and slots.

    Args:
        variables: All of one element type.
        strategy: Allocates the arenas and sums gradients over ranks.
        slots: Name and first value of each slot.
        prefix: Comes before the names of slot variables.
        accumulation: Counts the batches whose gradients are added up, if several are.

    Attributes:
        dtype: The element type, NumPy's.
        parameters, gradients: Arenas.
        slots: Arenas by slot name.
        slot_variables: For each slot name, a Variable for each parameter.
    """

    def __init__(
        self,
        variables: Sequence[Variable],
        strategy: Any,
        slots: dict[str, float],
        prefix: str,
        accumulation: Accumulation | None = None,
    ) -> None:
        self.variables = tuple(variables)
        self.strategy = strategy
        self.dtype = _dtype(variables)
        self.parameters = parameter_arena(variables, strategy)
        layout = self.parameters.layout
        self.gradients = Arena(layout, strategy.allocate)
        self.slots = {slot: Arena(layout, strategy.allocate) for slot in slots}
        self.slot_variables = {slot: self._make_slot(prefix, slot, value) for slot, value in slots.items()}
        self.reducer = strategy.gradient_reducer(
            self.gradients.flat, [*(part.start for part in layout.slices), layout.size]
        )
        if accumulation is not None:
            self.reducer = AccumulatingReducer(accumulation, self.reducer, self.gradients.flat)
        self._cut: dict[tuple, list[np.ndarray]] = {}
        self._index = {variable: index for index, variable in enumerate(variables)}

    def _make_slot(self, prefix: str, slot: str, value: float) -> list[Variable]:
        made = []
        for variable, view in zip(self.variables, self.slots[slot].views, strict=True):
            name = f"{prefix}/{variable.name.split(':')[0]}/{slot}"
            made.append(Variable(np.full(variable.shape, value, self.dtype), trainable=False, name=name))
            made[-1].relocate(view)
        return made

    def index(self, variable: Variable) -> int:
        """The place of a variable in the group."""
        return self._index[variable]

    def __contains__(self, variable: Variable) -> bool:
        return variable in self._index

    def average(self) -> None:
        """Replace variables and slots by their means over the ranks."""
        for arena in (self.parameters, *self.slots.values()):
            self.strategy.average_(arena.flat)

    def runs(self, indices: Sequence[int]) -> list[slice]:
        """The ranges of the arena that hold these variables; neighbours make one range."""
        slices = self.parameters.layout.slices
        starts = [part.start for part in slices] + [self.parameters.layout.size]
        runs: list[slice] = []
        for index in sorted(indices):
            start, stop = starts[index], starts[index + 1]  # with the gap after it, so that neighbours touch
            if runs and runs[-1].stop == start:
                runs[-1] = slice(runs[-1].start, stop)
            else:
                runs.append(slice(start, stop))
        return runs

    def arrays(self, part: slice) -> list[np.ndarray]:
        """Parameters, gradients and every slot, in the order of their names in `slots`, cut to `part`."""
        key = (part.start, part.stop)
        if key not in self._cut:
            self._cut[key] = [arena.flat[part] for arena in (self.parameters, self.gradients, *self.slots.values())]
        return self._cut[key]
