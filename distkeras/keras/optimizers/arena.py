"""Variables that are trained together lie together: parameters, gradients and slots in flat arenas of one layout.

parameters | dense/kernel | dense/bias | ..            the variables' own memory
gradients  | dense/kernel | dense/bias | ..            written by backward, summed over ranks, read by the update
slot m     | dense/kernel | dense/bias | ..
slot v     | dense/kernel | dense/bias | ..

Where the ranks of a node share memory, parameters and slots move into it when they are first updated: one copy for all.
See `distribute.shared_arena` for how ranks then work together.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

import numpy as np

from distkeras.core import context
from distkeras.core.arena import Arena, Layout
from distkeras.core.tensor import to_tensor
from distkeras.core.variable import Variable, make_plans_anew
from distkeras.distribute import sharded_state
from distkeras.distribute.agreement import digest, same_on_all_ranks
from distkeras.distribute.node import NoSharedMemory
from distkeras.distribute.shared_arena import LeavingReducer, SharedReducer
from distkeras.keras.optimizers.accumulation import AccumulatingReducer, Accumulation

# Moving takes a copy: who writes to shared variables before every `fit` is left alone in the end.
_MOST_LEAVES = 8


class ParameterArena(Arena):
    """The memory of some variables. Optimizers of the same variables share it, so that none pulls them away.

    Attributes:
        groups: What optimizers keep for the variables.
        is_shared: Whether the ranks of the node have one copy of it.
        leaves: How often ranks have stopped sharing it.
    """

    def __init__(self, variables: Sequence[Variable], strategy: Any) -> None:
        super().__init__(Layout([variable.shape for variable in variables], _dtype(variables)), strategy.allocate)
        self.variables = tuple(variables)
        self._allocate = strategy.allocate
        self.groups: weakref.WeakSet[ParameterGroup] = weakref.WeakSet()
        self.is_shared = False
        self.leaves = 0

    def hold(self, variables: Set[Variable]) -> None:
        """Bring back those of some variables that another arena has taken since."""
        if any(view is not variable._array for variable, view in self._places(variables)):
            self.leave()
            for variable, view in self._places(variables):
                variable.relocate(view)

    def _places(self, variables: Set[Variable]) -> Iterator[tuple[Variable, np.ndarray]]:
        places = zip(self.variables, self.views, strict=True)
        return ((variable, view) for variable, view in places if variable in variables)

    def share(self, flat: np.ndarray) -> None:
        """Lie in memory of the node, which holds the values already."""
        self.is_shared = True
        _lie_in(self, flat, self.variables, self.leave)

    def leave(self) -> None:
        """Take a copy of parameters and slots for this rank alone: something else than their update will write there.

        The other ranks update nothing before this one meets them again, and then leave too.
        """
        if self.is_shared:
            self.is_shared = False
            self.leaves += 1
            _copy_out(self, self.variables, self._allocate)
            for group in self.groups:
                group.leave()


def _lie_in(arena: Arena, flat: np.ndarray, variables: Sequence[Variable], leave: Callable[[], None] | None) -> None:
    before = arena.views
    arena.lie_in(flat)
    for variable, old, view in zip(variables, before, arena.views, strict=True):
        if variable._array is old:  # and no other arena has taken it
            variable.lie_in(view)
            variable.before_write = leave


def _copy_out(arena: Arena, variables: Sequence[Variable], allocate: Callable) -> None:
    flat = allocate(arena.flat.size, arena.flat.dtype)
    np.copyto(flat, arena.flat)
    _lie_in(arena, flat, variables, None)


def constrain(variables: Sequence[Variable]) -> None:
    """Apply the constraints of variables that have one; on memory that is shared, one rank does."""
    for variable in variables:
        with context.init_scope():
            np.copyto(variable._array, to_tensor(variable.constraint(variable.value()), like=variable)._array)


_arenas: weakref.WeakValueDictionary[tuple, ParameterArena] = weakref.WeakValueDictionary()


def parameter_arena(variables: Sequence[Variable], strategy: Any) -> ParameterArena:
    """The arena of exactly these variables, in this order, which are moved into it if it is new."""
    key = (id(strategy), *map(id, variables))
    arena = _arenas.get(key)
    if arena is None:
        arena = _arenas[key] = ParameterArena(variables, strategy)
    arena.hold(set(arena.variables))
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
        reducer: Sums the gradients; another one when ranks begin or cease to share memory.
        form: Counts how often memory and reducer have changed.
        shares: Whether memory is to be shared when the variables are next updated.
        is_sharded: Whether this rank keeps a part of the slots only.
    """

    def __init__(
        self,
        variables: Sequence[Variable],
        strategy: Any,
        slots: dict[str, float],
        prefix: str,
        accumulation: Accumulation | None = None,
    ) -> None:
        self.form = 0
        self._may_share = self.shares = not any(variable.is_gathered for variable in variables)
        self.variables = tuple(variables)
        self.strategy = strategy
        self.dtype = _dtype(variables)
        self.parameters = parameter_arena(variables, strategy)
        layout = self.parameters.layout
        self.gradients = Arena(layout, strategy.allocate)
        self.is_sharded = strategy.shards_state and self._may_share
        allocate = sharded_state.allocate if self.is_sharded else strategy.allocate
        self.slots = {slot: Arena(layout, allocate) for slot in slots}
        self.slot_variables = {slot: self._make_slot(prefix, slot, value) for slot, value in slots.items()}
        self.starts = [part.start for part in layout.slices]
        self._cut: dict[tuple, list[np.ndarray]] = {}
        self._accumulation = accumulation
        self._accumulated = np.zeros(layout.size if accumulation is not None else 0, self.dtype)
        self._reduce_with(self._reducer_apart())
        self.parameters.groups.add(self)
        if self.is_sharded:
            self._fill_own(slots)
            strategy.shards.add(self)
        self._index = {variable: index for index, variable in enumerate(variables)}

    def _make_slot(self, prefix: str, slot: str, value: float) -> list[Variable]:
        made = []
        for variable, view in zip(self.variables, self.slots[slot].views, strict=True):
            name = f"{prefix}/{variable.name.split(':')[0]}/{slot}"
            if self.is_sharded:
                made.append(Variable(np.zeros(variable.shape, self.dtype), trainable=False, name=name))
                made[-1].lie_in(view)  # without a write, which would take memory for the parts of others
            else:
                made.append(Variable(np.full(variable.shape, value, self.dtype), trainable=False, name=name))
                made[-1].relocate(view)
        return made

    def _fill_own(self, values: dict[str, float]) -> None:
        """Give this rank's part of the slots their first values."""
        for slot, value in values.items():
            for part in self._exchange.own if value else ():
                self.slots[slot].flat[part] = value

    def gather(self) -> None:
        """Have the whole of all slots, of which each rank keeps a part."""
        for arena in self.slots.values():
            self._exchange.gather(arena.flat, "optimizer state")

    def release(self) -> None:
        """Keep this rank's part of the slots only."""
        for arena in self.slots.values():
            sharded_state.release(arena.flat, self._exchange.own)

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
        starts = [*self.starts, self.parameters.layout.size]
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

    def non_finite(self) -> list[str]:
        """The names of variables whose last gradient, as far as this rank sees it, has a NaN or an infinity."""
        # Of a gradient that was used up as it was computed, there is what it has made of the variable.
        rows = np.vstack([self._exchange.rows(self.gradients.flat), self.parameters.flat])
        pairs = zip(self.variables, self.parameters.layout.slices, strict=True)
        return [variable.name for variable, part in pairs if not np.isfinite(rows[:, part]).all()]

    # --- memory of the node

    def share(self) -> None:
        """Move into memory that the ranks of the node share, if they can; all ranks of the job call this together."""
        shares, self.shares = self.shares, False
        node = self.strategy.node() if shares else None
        if node is None or not self._is_alike():
            return
        layout, arenas = self.parameters.layout, list(self.slots.values())
        if not self.parameters.is_shared:
            arenas.insert(0, self.parameters)
        own_rows = 0 if self.strategy.gradients_are_summed else node.size
        try:
            rows, notes, *flats = node.allocate(
                [
                    ((own_rows, layout.size), self.dtype),
                    ((node.size, 1 + len(self.variables)), np.float64),
                    *(((layout.size,), self.dtype) for _ in arenas),
                ]
            )
        except NoSharedMemory:
            return
        if node.rank == 0:
            for flat, arena in zip(flats, arenas, strict=True):
                np.copyto(flat, arena.flat)
        node.meet("move variables into shared memory")
        if not self.parameters.is_shared:
            self.parameters.share(flats.pop(0))
        for (slot, arena), flat in zip(self.slots.items(), flats, strict=True):
            _lie_in(arena, flat, self.slot_variables[slot], self.parameters.leave)
        if own_rows:
            self.gradients.lie_in(rows[node.rank])
        apart = self._reducer_apart()

        def all_leave() -> None:
            self.parameters.leave()
            self._reduce_with(apart)
            # On all ranks at this place: a plan with the reducer of before waits for those that have made theirs anew.
            make_plans_anew()

        given = rows if own_rows else self.gradients.flat
        self._reduce_with(self.strategy.shared_reducer(node, given, notes, apart, all_leave))

    def share_again(self) -> bool:
        """Let memory that ranks have left be shared when it is next updated; all ranks of the job call this together.

        Returns:
            Whether it will be, if the ranks then have the same values there.
        """
        if not self._may_share or self.strategy.node() is None:
            return False
        parameters = self.parameters
        has_left = not parameters.is_shared and 0 < parameters.leaves <= _MOST_LEAVES
        if not self.strategy.any(has_left):
            return False
        parameters.leave()  # of others that have left this rank may not know yet
        for group in parameters.groups:
            group.shares = group._may_share
        return True

    def _is_alike(self) -> bool:
        """Whether all ranks have the same variables and slots, with the same values."""
        mine = digest([self.parameters.flat, *(arena.flat for arena in self.slots.values())])
        names = [variable.name for variable in self.variables]
        return same_on_all_ranks(self.strategy.communicator, (names, self.parameters.is_shared, mine))

    def leave(self) -> None:
        """Take a copy of the slots for this rank alone; `ParameterArena.leave` calls it."""
        exchange = self._exchange
        if isinstance(exchange, SharedReducer):
            for slot, arena in self.slots.items():
                _copy_out(arena, self.slot_variables[slot], self.strategy.allocate)
            exchange.note_leaving()
            self._reduce_with(LeavingReducer(exchange))

    def _reducer_apart(self) -> Any:
        """One for gradients that this rank alone sees."""
        boundaries = [*self.starts, self.parameters.layout.size]
        if self.is_sharded:
            return self.strategy.shard_reducer(self.gradients.flat, boundaries, self.parameters.flat)
        return self.strategy.gradient_reducer(self.gradients.flat, boundaries)

    def _reduce_with(self, reducer: Any) -> None:
        self._exchange = self.reducer = reducer
        if self._accumulation is not None:
            self.reducer = AccumulatingReducer(self._accumulation, reducer, self.gradients.flat, self._accumulated)
        self.form += 1
        self._cut.clear()
