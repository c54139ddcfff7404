"""The state of an optimizer: iterations, slots in the arenas of groups, and how all that is named, set and stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from distkeras.core import context, deferred
from distkeras.core.variable import Variable, assign_all
from distkeras.keras.optimizers.accumulation import Accumulation
from distkeras.keras.optimizers.arena import ParameterGroup, grouped


class State:
    """What an optimizer keeps from step to step; base of Optimizer.

    Attributes:
        groups: Variables of one element type with their gradients and slots.
        accumulation: Counts batches where several make an update, else None.
    """

    name: str
    groups: list[ParameterGroup]
    accumulation: Accumulation | None

    # Whether `weights` lists the slots variable by variable, rather than slot by slot.
    interleaves_slots = False

    def __init__(self, strategy: Any, accumulation: Accumulation | None) -> None:
        self.accumulation = accumulation
        self.groups = []
        self._strategy = strategy
        self._iterations: Variable | None = None
        self._weights: list[Variable] = []
        self._local_steps = 1
        self._is_apart = False
        self._own_slots: dict[Variable, dict[str, Variable]] = {}

    @property
    def iterations(self) -> Variable:
        """The number of steps taken, an int64 variable."""
        if self._iterations is None:
            with context.init_scope():
                self._iterations = Variable(np.int64(0), trainable=False, name=f"{self.name}/iter")
            self._weights.insert(0, self._iterations)
        return self._iterations

    @iterations.setter
    def iterations(self, variable: Variable) -> None:
        if self._iterations is not None:
            raise RuntimeError(
                "Cannot set `iterations` to a new Variable after the Optimizer weights have been created; assign to it."
            )
        self._iterations = variable
        self._weights.insert(0, variable)

    @property
    def weights(self) -> list[Variable]:
        """All state: the iterations, then the first slot of every variable, then the second, ..."""
        return list(self._weights)

    def variables(self) -> list[Variable]:
        """All state, as `weights`."""
        return self.weights

    @property
    def gradient_accumulation_steps(self) -> int | None:
        """How many batches an update takes, None for one."""
        return None if self.accumulation is None else self.accumulation.steps

    @property
    def batches_taken(self) -> int:
        """How many times gradients were applied, whether or not that led to an update."""
        updates = self.iterations._array.item()
        return updates if self.accumulation is None else updates * self.accumulation.steps + self.accumulation.taken

    @property
    def _strategy_of_step(self) -> Any:
        """The strategy whose step is running; outside of any, the one under which the optimizer was made."""
        return getattr(context.state.replica, "strategy", self._strategy)

    def build(self, variables: Sequence[Variable]) -> None:
        """Make arenas and slots for variables that have none yet.

        Args:
            variables: Floating-point variables; those of one element type become a group.

        Raises:
            ValueError: A variable is neither float32 nor float64; or the strategy takes local steps, and the optimizer
                updates variable by variable.
        """
        new = list({id(variable): variable for variable in variables if self.group_of(variable) is None}.values())
        for variable in new:
            if variable.dtype not in ("float32", "float64"):
                raise ValueError(
                    f"Optimizers update float32 and float64 variables; {variable.name!r} is {variable.dtype.name}."
                )
        first = not self.groups
        strategy = self._strategy_of_step
        self._local_steps = strategy.local_steps
        if self.is_by_variable and self._local_steps > 1:
            raise ValueError(
                f"local_steps={self._local_steps} needs an optimizer that defines `update`; {type(self).__name__} "
                "updates variable by variable, with `_resource_apply_dense`. Leave local_steps out."
            )
        if strategy.shards_state and not self.updates_elements:
            raise ValueError(
                f"shard_optimizer_state=True needs an optimizer that updates element by element; {type(self).__name__} "
                "does not. Take another, such as Adam or SGD, or leave shard_optimizer_state out."
            )
        with context.init_scope():
            made = [
                ParameterGroup(members, strategy, self.slots, self.name, self.accumulation) for members in grouped(new)
            ]
            _ = self.iterations
            self._create_hypers()  # from now on configs hold float32 values
            if first:
                self._weights += self.extra_weights()
        self.groups += made
        self._weights += self._slots_in_order(new, made)
        if new:
            with context.init_scope():
                self._create_slots(list(variables))
            deferred.changed(self)

    def _checkpoint_children(self, wanted: Collection[str] = ()) -> dict[str, Any]:
        """What checkpoints call the state here; the hyper-parameters among `wanted` become variables first."""
        if "iter" in wanted:
            _ = self.iterations
        for name in self._hyper.keys() & set(wanted):
            getattr(self, name)
        kept = [made for group in self.groups for made in group.slot_variables.values()]
        kept += [slots.values() for slots in self._own_slots.values()]
        slots = {id(slot) for made in kept for slot in made}
        own = {} if self._iterations is None else {"iter": self._iterations}
        for weight in self._weights:
            if weight is not self._iterations and id(weight) not in slots:
                own[weight.name.removeprefix(f"{self.name}/").removesuffix(":0")] = weight
        return own | {name: value for name, value in sorted(self._hyper.items()) if isinstance(value, Variable)}

    def _slots_in_order(self, variables: list[Variable], groups: list[ParameterGroup]) -> list[Variable]:
        def slot_of(variable: Variable, slot: str) -> Variable:
            group = next(group for group in groups if variable in group)
            return group.slot_variables[slot][group.index(variable)]

        if self.interleaves_slots:
            return [slot_of(variable, slot) for variable in variables for slot in self.slots]
        return [slot_of(variable, slot) for slot in self._slots_by_weight_order() for variable in variables]

    def _slots_by_weight_order(self) -> list[str]:
        """The slots in the order of `weights`, which may be another one than the kernel's."""
        return list(self.slots)

    def group_of(self, variable: Variable) -> ParameterGroup | None:
        """The group that holds a variable."""
        return next((group for group in self.groups if variable in group), None)

    def get_slot_names(self) -> list[str]:
        """The names of the state kept for each variable."""
        own = {name: None for slots in self._own_slots.values() for name in slots}
        return [*self._slots_by_weight_order(), *own]

    def get_slot(self, var: Variable, slot_name: str) -> Variable:
        """The state called `slot_name` that is kept for a variable.

        Raises:
            KeyError: There is none.
        """
        if slot_name in self._own_slots.get(var, ()):
            return self._own_slots[var][slot_name]
        group = self.group_of(var)
        if group is None or slot_name not in group.slots:
            raise KeyError(f"{self.name} keeps no slot {slot_name!r} for {var.name!r}; slots: {self.get_slot_names()}.")
        return group.slot_variables[slot_name][group.index(var)]

    def get_weights(self) -> list[np.ndarray]:
        """The values of `weights`; with `shard_optimizer_state` all ranks must call it."""
        with self._strategy.shards.whole():
            return [variable.numpy() for variable in self.weights]

    @property
    def replicated_weights(self) -> list[Variable]:
        """Of `weights` what every rank keeps the whole of."""
        parts = {
            id(slot)
            for group in self.groups
            if group.is_sharded
            for slots in group.slot_variables.values()
            for slot in slots
        }
        return [variable for variable in self._weights if id(variable) not in parts]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the values of `weights`; the optimizer must have been built.

        Raises:
            ValueError: Their number or a shape does not fit.
        """
        variables = self.weights
        if len(weights) != len(variables):
            raise ValueError(
                f"You called `set_weights(weights)` on optimizer {self.name} with a weight list of length "
                f"{len(weights)}, but the optimizer was expecting {len(variables)} weights. An optimizer has them "
                "once it was applied to variables, or after build(variables)."
            )
        assign_all(variables, [np.asarray(value) for value in weights], "optimizer", self.name)
