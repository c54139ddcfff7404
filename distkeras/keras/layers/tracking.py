"""What a layer holds: sublayers and variables found in its attributes, and the lists of weights made of them.

Lists, tuples and dicts that are attributes are looked into each time, so a layer appended later is found as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.core import deferred
from distkeras.core.module import unique
from distkeras.core.variable import Variable, assign_all


def is_metric(item: Any) -> bool:
    """Whether a layer is a metric, which keeps weights but is not among a model's layers."""
    return hasattr(item, "update_state") and hasattr(item, "result")


def count_elements(weights: Iterable[Variable]) -> int:
    """The number of scalars in `weights`."""
    return sum(int(np.prod(weight.shape, dtype=np.int64)) for weight in weights)


class Tracked:
    """Finds the layers and variables assigned to attributes; base of Layer."""

    # Attributes of these names are the machinery's own and are not looked into.
    _untracked: frozenset[str] = frozenset({"_own_weights", "_inbound_nodes", "_outbound_nodes", "_initial_weights"})
    _own_weights_first = True

    def __setattr__(self, name: str, value: Any) -> None:
        tracked = self.__dict__.setdefault("_tracked", {})
        tracked.pop(name, None)
        before = self.__dict__.get(name)
        if isinstance(before, Variable) and before is not value:
            self._forget_weight(before)
        if name not in self._untracked and (isinstance(value, (Tracked, Variable)) or _nest.is_nested(value)):
            tracked[name] = value
        if isinstance(value, Variable):
            self._add_own_weight(value)
        object.__setattr__(self, name, value)
        if name in tracked and any(isinstance(leaf, (Tracked, Variable)) for leaf in _nest.flatten(value)):
            deferred.changed(self)

    def __delattr__(self, name: str) -> None:
        self.__dict__.get("_tracked", {}).pop(name, None)
        value = self.__dict__.get(name)
        if isinstance(value, Variable):
            self._forget_weight(value)
        object.__delattr__(self, name)

    def _add_own_weight(self, variable: Variable, name: str | None = None) -> None:
        weights = self.__dict__.setdefault("_own_weights", [])
        if not any(known is variable for known in weights):
            weights.append(variable)
        if name is not None:
            self.__dict__.setdefault("_weights_by_name", {})[name] = variable
            deferred.changed(self)

    def _checkpoint_children(self, wanted: Collection[str] = ()) -> dict[str, Any]:
        """What checkpoints call the things in here: weights by the names they were made with, and attributes."""
        return {**self.__dict__.get("_weights_by_name", {}), **self.__dict__.get("_tracked", {})}

    def _forget_weight(self, variable: Variable) -> None:
        self.__dict__["_own_weights"] = [
            known for known in self.__dict__.get("_own_weights", ()) if known is not variable
        ]

    # --- what is found

    def _tracked_leaves(self) -> Iterator[Any]:
        for value in self.__dict__.get("_tracked", {}).values():
            yield from _nest.flatten(value)

    def _children(self) -> list[Any]:
        """The layers and metrics held directly, in the order of assignment."""
        return unique(leaf for leaf in self._tracked_leaves() if isinstance(leaf, Tracked))

    def _sublayers(self) -> list[Any]:
        """The layers held directly, without metrics."""
        return [child for child in self._children() if not is_metric(child)]

    def _flatten_layers(self) -> Iterator[Any]:
        """This layer and all those inside of it, each once."""
        seen: dict[int, Any] = {}
        pending = [self]
        while pending:
            layer = pending.pop(0)
            if id(layer) not in seen:
                seen[id(layer)] = layer
                yield layer
                pending = layer._sublayers() + pending

    def _own_variables(self) -> list[Variable]:
        held = (leaf for leaf in self._tracked_leaves() if isinstance(leaf, Variable))
        return unique([*self.__dict__.get("_own_weights", ()), *held])

    def _with_children(self, own: Sequence[Variable], attribute: str) -> list[Variable]:
        nested = [weight for child in self._children() for weight in getattr(child, attribute)]
        return unique([*own, *nested] if self._own_weights_first else [*nested, *own])

    # --- weights

    @property
    def _trainable_weights(self) -> list[Variable]:
        return [variable for variable in self._own_variables() if variable.trainable]

    @property
    def _non_trainable_weights(self) -> list[Variable]:
        return [variable for variable in self._own_variables() if not variable.trainable]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The variables that training changes; none if the layer is not trainable."""
        return self._with_children(self._trainable_weights, "trainable_weights") if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The variables that training leaves alone."""
        if self.trainable:
            return self._with_children(self._non_trainable_weights, "non_trainable_weights")
        return self._with_children([*self._trainable_weights, *self._non_trainable_weights], "weights")

    @property
    def weights(self) -> list[Variable]:
        """All variables, the trainable ones first."""
        return unique([*self.trainable_weights, *self.non_trainable_weights])

    @property
    def trainable_variables(self) -> list[Variable]:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return self.non_trainable_weights

    @property
    def variables(self) -> list[Variable]:
        return self.weights

    def get_weights(self) -> list[np.ndarray]:
        """The values of all weights, as arrays, in the order of `weights`."""
        return [np.asarray(weight.numpy()) for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights.

        Args:
            weights: Arrays as `get_weights` gives them.

        Raises:
            ValueError: The number of arrays or a shape is another one; no weight is changed then.
        """
        variables = self.weights
        if not isinstance(weights, Iterable):
            raise TypeError(f"set_weights expects a list of arrays, as `get_weights` gives it, received {weights!r}.")
        arrays = [np.asarray(weight) for weight in weights]
        if len(variables) != len(arrays):
            raise ValueError(
                f'You called `set_weights(weights)` on layer "{self.name}" with a weight list of length {len(arrays)}, '
                f"but the layer was expecting {len(variables)} weights: {[variable.name for variable in variables]}."
            )
        assign_all(variables, arrays, "layer", self.name)

    @property
    def submodules(self) -> tuple[Any, ...]:
        """All layers and metrics inside of this one, however deep."""
        found: list[Any] = []
        for child in [*self._children(), *self._own_metrics()]:
            found += [child, *child.submodules]
        return tuple(unique(found))
