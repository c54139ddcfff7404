"""The messages of a SavedModel that are about functions: which there are, what each takes, gives, and is bound to.

    SavedFunction              an object that is a function, for one or several signatures: names of concrete functions
    SavedBareConcreteFunction  an object that is one of them, such as what is served: tensors by name
    SavedConcreteFunction      name -> structures of arguments and results, and the objects that follow the arguments

Source: tensorflow/core/protobuf/saved_object_graph.proto.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from distkeras import _wire as wire
from distkeras.keras.saving.exporting.tensorflow.decoding import entry_of, numbers_of
from distkeras.keras.saving.exporting.tensorflow.structures import decoded_structure, encoded_structure

_FULL_SPEC = "args varargs varkw defaults kwonlyargs kwonlydefaults annotations"
FullArgSpec = namedtuple("FullArgSpec", _FULL_SPEC.split())


@dataclass
class Parameters:
    """The parameters of a Python function.

    Attributes:
        names: Of those by position, without `self`.
        defaults: Values of the last of them.
        only_named: Of those that are only given by name, with their defaults.
    """

    names: list[str] = field(default_factory=list)
    defaults: Sequence[Any] = ()
    only_named: dict[str, Any] = field(default_factory=dict)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Arguments by position where they can be, with defaults, as versions have them."""
        values, rest = list(args), dict(kwargs)
        first_default = len(self.names) - len(self.defaults)
        for place in range(len(values), len(self.names)):
            if self.names[place] in rest:
                values.append(rest.pop(self.names[place]))
            elif place >= first_default:
                values.append(self.defaults[place - first_default])
            else:
                break
        return values, {**self.only_named, **rest}


class SavedFunction(NamedTuple):
    """An object that is a function.

    Attributes:
        versions: Names of concrete functions.
        parameters: What its arguments are called.
    """

    versions: list[str]
    parameters: Parameters


class BareFunction(NamedTuple):
    """An object that is one concrete function.

    Attributes:
        version: Its name.
        keywords: What its tensors are called, in order.
        positional: How many of them may be given without a name.
    """

    version: str
    keywords: list[str]
    positional: int


class Version(NamedTuple):
    """A concrete function.

    Attributes:
        bound: Numbers of the objects that it takes after its arguments.
        arguments: (args, kwargs), with TensorSpecs for tensors.
        results: What it gives, in the same way.
    """

    bound: list[int]
    arguments: Any
    results: Any


# --- writing


def encoded_function(function: SavedFunction) -> bytes:
    """A SavedFunction."""
    known = function.parameters
    spec = FullArgSpec(
        ["self", *known.names],
        None,
        None,
        tuple(known.defaults) or None,
        list(known.only_named),
        dict(known.only_named) or None,
        {},
    )
    about = wire.field(1, encoded_structure(spec)) + wire.field(2, 1) + wire.field(5, encoded_structure(None))
    return b"".join(wire.field(1, name) for name in function.versions) + wire.field(2, about)


def encoded_bare_function(function: BareFunction) -> bytes:
    """A SavedBareConcreteFunction."""
    keywords = b"".join(wire.field(2, name) for name in function.keywords)
    return wire.field(1, function.version) + keywords + wire.field(3, function.positional)


def encoded_version(version: Version) -> bytes:
    """A SavedConcreteFunction."""
    bound = b"".join(wire.field(2, number) for number in version.bound)
    arguments, results = encoded_structure(version.arguments), encoded_structure(version.results)
    return bound + wire.field(3, arguments) + wire.field(4, results)


# --- reading


def decoded_function(data: bytes) -> SavedFunction:
    """The function of a message."""
    versions, parameters = [], Parameters()
    for number, value in wire.fields(data):
        if number == 1:
            versions.append(wire.as_text(value))
        elif number == 2:
            parameters = _decoded_parameters(wire.as_bytes(value))
    return SavedFunction(versions, parameters)


def _decoded_parameters(data: bytes) -> Parameters:
    parts = dict(wire.fields(data))
    spec = decoded_structure(wire.as_bytes(parts.get(1, b"")))
    if not hasattr(spec, "args"):
        return Parameters()
    names = list(spec.args)[1:] if parts.get(2) else list(spec.args)
    return Parameters(names, spec.defaults or (), dict.fromkeys(spec.kwonlyargs or ()) | (spec.kwonlydefaults or {}))


def decoded_bare_function(data: bytes) -> BareFunction:
    """The function of a message."""
    name, keywords, positional = "", [], 0
    for number, value in wire.fields(data):
        if number == 1:
            name = wire.as_text(value)
        elif number == 2:
            keywords.append(wire.as_text(value))
        elif number == 3:
            positional = wire.as_int(value)
    return BareFunction(name, keywords, positional)


def decoded_versions(data: bytes) -> dict[str, Version]:
    """The concrete functions of a SavedObjectGraph, by name."""
    entries = [entry_of(value) for number, value in wire.fields(data) if number == 2]
    return {name: _decoded_version(content) for name, content in entries}


def _decoded_version(data: bytes) -> Version:
    bound: list[int] = []
    structures = {3: None, 4: None}
    for number, value in wire.fields(data):
        if number == 2:
            bound.extend(numbers_of(value))
        elif number in structures:
            structures[number] = decoded_structure(wire.as_bytes(value))
    return Version(bound, structures[3], structures[4])
