"""What a checkpoint looks into: objects with variables, by the names by which they hold each other.

An object takes part by `_checkpoint_children(wanted)`, which gives what it holds by name; `wanted` are names that a
checkpoint has values for, which an optimizer makes on demand. Lists, tuples and dicts are looked into.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from distkeras import _nest
from distkeras.core import deferred
from distkeras.core.variable import Variable


class AutoTrackable:
    """An object whose attributes are part of its checkpoints."""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if is_trackable(value):
            deferred.changed(self)

    def _checkpoint_children(self, wanted: Collection[str] = ()) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_restoration"}


def is_optimizer(entry: Any) -> bool:
    """Whether it keeps slots for variables."""
    return hasattr(entry, "get_slot_names") and not isinstance(entry, type)


def is_trackable(entry: Any) -> bool:
    """Whether it can hold something that a checkpoint stores."""
    if _nest.is_nested(entry):
        values = entry.values() if isinstance(entry, dict) else entry
        return any(is_trackable(value) for value in values)
    return isinstance(entry, Variable) or hasattr(entry, "_checkpoint_children") and not isinstance(entry, type)


def children_of(entry: Any, wanted: Collection[str] = ()) -> dict[str, Any]:
    """What an object holds, by the names that checkpoints use.

    Raises:
        ValueError: A dict that holds such objects has keys that are no texts.
    """
    if isinstance(entry, Variable):
        return {}
    if isinstance(entry, dict):
        held = _dict_children(entry)
    elif isinstance(entry, (list, tuple)):
        held = {str(place): value for place, value in enumerate(entry)}
    else:
        held = entry._checkpoint_children(wanted)
    return {name: value for name, value in held.items() if is_trackable(value)}


def _dict_children(entry: dict) -> dict[str, Any]:
    for key, value in entry.items():
        if not isinstance(key, str) and is_trackable(value):
            raise ValueError(
                f"A dict that a checkpoint is to look into has the key {key!r}, and keys must be texts: use "
                f"{str(key)!r}, or a list."
            )
    return entry


def variables_in_order(root: Any, variables: Iterable[Variable]) -> list[Variable]:
    """Variables in the order in which layers hold them, which is that of a model's weights."""
    wanted = {id(variable): variable for variable in variables}
    found: dict[int, Variable] = {}
    seen: set[int] = set()

    def visit(entry: Any) -> None:
        if id(entry) in seen:
            return
        seen.add(id(entry))
        if id(entry) in wanted:
            found[id(entry)] = entry
        for child in children_of(entry).values():
            visit(child)

    visit(root)
    return [*found.values(), *(variable for key, variable in wanted.items() if key not in found)]
