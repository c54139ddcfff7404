"""The messages of a SavedModel: what each object of its graph is.

saved_model.pb      SavedModel -> MetaGraphDef -> SavedObjectGraph: a node for each object, the same as the checkpoint's
keras_metadata.pb   SavedMetadata: for each Keras object its number, path, kind and metadata; TF 2.0 has the metadata in
                    saved_model.pb instead

Source: tensorflow/core/protobuf/{saved_model,meta_graph,saved_object_graph}.proto, keras/protobuf/saved_metadata.proto.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from distkeras import _wire as wire
from distkeras.core.variable import Variable
from distkeras.keras.saving import tf_graph
from distkeras.keras.saving.exporting.tensorflow import serving
from distkeras.keras.saving.exporting.tensorflow.decoding import FunctionDef, NodeDef, decode_graph
from distkeras.keras.saving.exporting.tensorflow.function_messages import (
    BareFunction,
    SavedFunction,
    Version,
    decoded_bare_function,
    decoded_function,
    decoded_versions,
)
from distkeras.keras.saving.exporting.tensorflow.serving import Functions
from distkeras.keras.saving.tf_bundle import NUMBERS, decoded_shape, encoded_shape

# Field numbers of SavedObject.
_USER_OBJECT, _VARIABLE = 4, 7
_SLOTS = 3
_CONSTANT = 9
_FUNCTIONS = {6: decoded_function, 8: decoded_bare_function}
_UNKNOWN = {5: "asset", 10: "resource", 12: "captured tensor"}
_VERSION = wire.field(1, 1) + wire.field(2, 1)  # producer, minimal consumer
_AGGREGATIONS = {"SUM": 1, "MEAN": 2, "ONLY_FIRST_REPLICA": 3}
_SYNCHRONIZATIONS = {"NONE": 1, "ON_WRITE": 2, "ON_READ": 3}
_WRITER = "2.0.0"  # the TensorFlow whose layout this is


class SavedVariable(NamedTuple):
    """What a variable is."""

    type_number: int
    shape: tuple[int, ...]
    trainable: bool
    name: str


@dataclass
class SavedObject:
    """An object of a SavedModel.

    Attributes:
        node: What it holds.
        kind: Which class makes it again, such as `_tf_keras_layer`; empty for variables and functions.
        metadata: Of a Keras object: class, config and more.
        variable: What the variable is, if it is one.
        function: What the function is, if it is one.
        constant: For a constant the node that holds it.
    """

    node: tf_graph.Node = field(default_factory=tf_graph.Node)
    kind: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    variable: SavedVariable | None = None
    function: SavedFunction | BareFunction | None = None
    constant: str = ""


class SavedFunctions(NamedTuple):
    """The functions of a SavedModel.

    Attributes:
        versions: Concrete functions by name.
        library: Their graphs, and those that these call.
        nodes: The graph around them, in which constants stand.
    """

    versions: dict[str, Version]
    library: dict[str, FunctionDef]
    nodes: dict[str, NodeDef]


# --- writing


def encode(
    gathered: tf_graph.Gathered, described: list[tuple[str, dict[str, Any]]], functions: Functions | None = None
) -> bytes:
    """The content of saved_model.pb.

    Args:
        gathered: The objects.
        described: For each the kind and the metadata.
        functions: What they can do.
    """
    messages = [
        _encoded(node, entry, kind, metadata)
        for node, entry, (kind, metadata) in zip(gathered.nodes, gathered.objects, described, strict=True)
    ]
    about = wire.field(1, wire.field(4, "serve") + wire.field(5, _WRITER))
    if functions is None or not (functions.signatures or functions.methods):
        objects = b"".join(wire.field(1, message) for message in messages)
        return wire.field(1, 1) + wire.field(2, about + wire.field(2, b"") + wire.field(7, objects))
    numbers = {entry: number for number, entry in enumerate(gathered.objects) if isinstance(entry, Variable)}
    more, links = serving.object_messages(functions, len(messages))
    for holder, name, number in links:
        messages[holder] += wire.field(1, wire.field(1, number) + wire.field(2, name))
    objects = b"".join(wire.field(1, message) for message in messages + more)
    objects += serving.concrete_functions(functions, numbers)
    graph = wire.field(2, serving.graph_message(functions))
    return wire.field(1, 1) + wire.field(2, about + graph + serving.meta_fields(functions) + wire.field(7, objects))


def _encoded(node: tf_graph.Node, entry: Any, kind: str, metadata: dict[str, Any]) -> bytes:
    children, slots = tf_graph.encoded_links(node, _SLOTS)
    if isinstance(entry, Variable):
        return children + slots + wire.field(_VARIABLE, _encoded_variable(entry))
    text = json.dumps(metadata) if metadata else ""
    user = wire.field(1, kind) + wire.field(2, _VERSION) + wire.field(3, text)
    return children + slots + wire.field(_USER_OBJECT, user)


def _encoded_variable(variable: Variable) -> bytes:
    synchronization = _SYNCHRONIZATIONS.get(getattr(variable.synchronization, "name", variable.synchronization), 0)
    aggregation = _AGGREGATIONS.get(getattr(variable.aggregation, "name", variable.aggregation), 0)
    return (
        wire.field(1, NUMBERS[variable.dtype.name])
        + wire.field(2, encoded_shape(tuple(variable.shape)))
        + wire.field(3, int(variable.trainable))
        + wire.field(4, synchronization)
        + wire.field(5, aggregation)
        + wire.field(6, variable.name.removesuffix(":0"))
    )


def encode_metadata(described: list[tuple[str, dict[str, Any]]], paths: list[str]) -> bytes:
    """The content of keras_metadata.pb; arguments as for `encode`, with the paths of the objects."""
    return b"".join(
        wire.field(
            1,
            wire.field(2, number)
            + wire.field(3, path)
            + wire.field(4, kind)
            + wire.field(5, json.dumps(metadata))
            + wire.field(6, _VERSION),
        )
        for number, ((kind, metadata), path) in enumerate(zip(described, paths, strict=True))
        if metadata
    )


# --- reading


def decode(data: bytes) -> list[SavedObject]:
    """The objects in the content of saved_model.pb.

    Raises:
        ValueError: It is no such content, or holds no objects, as TensorFlow 1's have none.
    """
    fields = wire.fields(_parts(data)[7])
    objects = [_decoded(wire.as_bytes(content)) for which, content in fields if which == 1]
    tf_graph.check_references([entry.node for entry in objects])
    return objects


def decode_functions(data: bytes) -> SavedFunctions:
    """The functions in the content of saved_model.pb.

    Raises:
        ValueError: It is no such content.
    """
    parts = _parts(data)
    nodes, library = decode_graph(parts.get(2, b""))
    try:
        versions = decoded_versions(parts[7])
    except RecursionError:
        raise ValueError("what a function takes or gives is nested too deeply") from None
    missing = [name for name in versions if name not in library]
    if missing:
        raise ValueError(f"its graph has no function {missing[0]!r}, though an object is that")
    return SavedFunctions(versions, library, nodes)


def _parts(data: bytes) -> dict[int, bytes]:
    """Graph and objects, fields 2 and 7 of the first MetaGraphDef."""
    graphs = [wire.as_bytes(value) for number, value in wire.fields(data) if number == 2]
    parts = (
        {number: wire.as_bytes(value) for number, value in wire.fields(graphs[0]) if number in (2, 7)} if graphs else {}
    )
    if 7 not in parts:
        raise ValueError("it holds no objects of TensorFlow 2")
    return parts


def _decoded(data: bytes) -> SavedObject:
    found = SavedObject()
    for number, value in wire.fields(data):
        if number == 1:
            child, name = tf_graph.decoded_child(wire.as_bytes(value))
            found.node.children[name] = child
        elif number == _SLOTS:
            found.node.slots.append(tf_graph.decoded_slot(wire.as_bytes(value)))
        elif number == _USER_OBJECT:
            for which, content in wire.fields(wire.as_bytes(value)):
                if which == 1:
                    found.kind = wire.as_text(content)
                elif which == 3 and content:
                    found.metadata = _decoded_json(wire.as_bytes(content))
        elif number == _VARIABLE:
            parts = dict(wire.fields(wire.as_bytes(value)))
            found.variable = SavedVariable(
                wire.as_int(parts.get(1, 0)),
                decoded_shape(wire.as_bytes(parts.get(2, b""))),
                bool(parts.get(3, 0)),
                wire.as_text(parts.get(6, b"")),
            )
        elif number in _FUNCTIONS:
            found.function = _FUNCTIONS[number](wire.as_bytes(value))
        elif number == _CONSTANT:
            found.constant = wire.as_text(dict(wire.fields(wire.as_bytes(value))).get(1, b""))
        elif number in _UNKNOWN:
            found.kind = found.kind or _UNKNOWN[number]
    return found


def decode_metadata(data: bytes, objects: list[SavedObject]) -> None:
    """Put what keras_metadata.pb holds into the objects that it is about.

    Raises:
        ValueError: It is no such content, or does not belong to these objects.
    """
    for number, value in wire.fields(data):
        if number != 1:
            continue
        parts = dict(wire.fields(wire.as_bytes(value)))
        place = wire.as_int(parts.get(2, 0))
        if place >= len(objects):
            raise ValueError(f"it tells of the object {place}, but there are {len(objects)}")
        objects[place].kind = wire.as_text(parts.get(4, b""))
        objects[place].metadata = _decoded_json(wire.as_bytes(parts.get(5, b"{}")))


def _decoded_json(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("the metadata of an object are nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("the metadata of an object are not a dict")
    return found
