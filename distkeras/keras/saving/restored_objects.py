"""The objects of a SavedModel that no class of the program makes: trees of attributes, with variables and functions."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distkeras._errors import FileFormatError
from distkeras.core.tensor import to_tensor
from distkeras.core.trackable import AutoTrackable, children_of
from distkeras.core.variable import Variable
from distkeras.keras.saving.exporting.tensorflow.function_messages import BareFunction, SavedFunction
from distkeras.keras.saving.restoration import restore
from distkeras.keras.saving.restored_functions import RestoredFunction, RestoredSignature, RestoredVersion
from distkeras.keras.saving.saved_model_files import variables_prefix
from distkeras.keras.saving.saved_model_graph import SavedFunctions, SavedObject
from distkeras.keras.saving.tf_bundle import TYPES, Bundle

_SIGNATURES = "signatures"


class RestoredObject(AutoTrackable):
    """What `tf.saved_model.load` makes of an object that is no Keras model with a config: what it holds, by name."""

    def __init__(self) -> None:
        self.signatures: dict[str, RestoredSignature] = {}

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"The restored object has no attribute {name!r}: it has the variables, and the functions with known "
            f"signatures, that were saved, {sorted(vars(self))}. Make the object in Python for what is not there, and "
            "restore it with tf.train.Checkpoint."
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the `__call__` that was saved gives.

        Raises:
            NotImplementedError: None was.
        """
        function = vars(self).get("__call__")
        if function is None:
            raise NotImplementedError(
                "The object was saved without a `__call__` that is a tf.function of a known signature: call one of its "
                f"signatures, {sorted(self.signatures)}, or make the object in Python and restore it with "
                "tf.train.Checkpoint, or load_weights(folder)."
            )
        return function(*args, **kwargs)


def restored(objects: Sequence[SavedObject], functions: SavedFunctions, folder: str) -> Any:
    """The first of the objects of a folder, with all that it holds.

    Raises:
        FileFormatError: The folder is damaged.
    """
    prefix = variables_prefix(folder)
    _check_sizes(objects, prefix)
    made = {number: _made(entry, folder, functions) for number, entry in enumerate(objects)}
    made |= restored_functions(objects, made, functions)
    for number, entry in enumerate(objects):
        for name, child in entry.node.children.items():
            _hold(made[number], name, made[child])
    restore(made[0], prefix)
    made[0].signatures = restored_signatures(objects, made, functions)
    return made[0]


def _check_sizes(objects: Sequence[SavedObject], prefix: str) -> None:
    """Raise FileFormatError if the variables were to have more elements than are stored."""
    claimed = sum(math.prod(entry.variable.shape) for entry in objects if entry.variable is not None)
    stored = sum(math.prod(entry.shape) for entry in Bundle(prefix).entries.values())
    if claimed > stored:
        raise FileFormatError(f"{prefix}: variables of {claimed} elements are claimed, but only {stored} are stored.")


def _made(entry: SavedObject, folder: str, functions: SavedFunctions) -> Any:
    """The empty object; None for a function."""
    if entry.variable is not None:
        number, shape, trainable, name = entry.variable
        if number not in TYPES or TYPES[number] == "string":
            raise FileFormatError(f"{folder}: the variable {name!r} has an element type that variables cannot have.")
        return Variable(np.zeros(shape, TYPES[number]), trainable=trainable, name=name)
    if entry.constant:
        node = functions.nodes.get(entry.constant)
        value = None if node is None else node.attributes.get("value")
        if value is None:
            raise FileFormatError(f"{folder}: the constant {entry.constant!r} is missing.")
        return to_tensor(value)
    if entry.kind.endswith("dict_wrapper"):
        return {}
    if entry.kind.endswith(("list_wrapper", "tuple_wrapper")):
        return []
    return RestoredObject() if entry.kind else None


def _hold(holder: Any, name: str, held: Any) -> None:
    if held is None or name == _SIGNATURES:
        return
    if isinstance(holder, list):
        holder.append(held)
    elif isinstance(holder, dict):
        holder[name] = held
    elif isinstance(holder, RestoredObject):
        setattr(holder, name, held)


# --- functions


def restored_functions(
    objects: Sequence[SavedObject], made: Mapping[int, Any], functions: SavedFunctions
) -> dict[int, RestoredFunction | RestoredSignature]:
    """The functions among the objects, by number; what they are bound to is what was made.

    Those whose graphs were left out of the file are not there.
    """

    def graph(name: str) -> tuple[Any, ...]:
        version = functions.versions[name]
        return functions.library, version, [made.get(number) for number in version.bound]

    found: dict[int, RestoredFunction | RestoredSignature] = {}
    names = {child: name for entry in objects for name, child in entry.node.children.items()}
    for number, entry in enumerate(objects):
        function = entry.function
        if isinstance(function, BareFunction) and function.version in functions.versions:
            found[number] = RestoredSignature(function, *graph(function.version))
        elif isinstance(function, SavedFunction):
            versions = [RestoredVersion(name, *graph(name)) for name in function.versions if name in functions.versions]
            if versions:
                found[number] = RestoredFunction(names.get(number, "function"), function.parameters, versions)
    return found


def restored_signatures(
    objects: Sequence[SavedObject], made: Mapping[int, Any], functions: SavedFunctions
) -> dict[str, RestoredSignature]:
    """What the first of the objects serves, by name."""
    place = objects[0].node.children.get(_SIGNATURES)
    if place is None:
        return {}
    known = restored_functions(objects, made, functions)
    return {name: known[child] for name, child in objects[place].node.children.items() if child in known}


def counterparts(root: Any, objects: Sequence[SavedObject]) -> dict[int, Any]:
    """What of a program's objects stands for those of a SavedModel: both are walked, by equal names."""
    found, waiting = {0: root}, deque([0])
    while waiting:
        number = waiting.popleft()
        held = children_of(found[number])
        for name, child in objects[number].node.children.items():
            if name in held and child not in found:
                found[child] = held[name]
                waiting.append(child)
    return found
