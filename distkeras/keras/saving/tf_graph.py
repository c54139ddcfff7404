"""The object graph of a checkpoint: which objects it was made of, what they call each other, where their values are.

    nodes[0]     what was saved
    children     name -> number of a node: an attribute, a key of a dict, a place in a list
    attributes   for a variable, the key of its value in the bundle
    slots        for an optimizer: (number of the variable, name of the slot, number of the slot's variable)

Source: tensorflow/core/protobuf/trackable_object_graph.proto, whose messages these are.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from distkeras import _wire as wire
from distkeras.core.trackable import children_of, is_optimizer
from distkeras.core.variable import Variable

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"


class Slot(NamedTuple):
    """A variable that an optimizer keeps for another one; both are numbers of nodes."""

    variable: int
    name: str
    node: int


@dataclass
class Node:
    """An object of the graph.

    Attributes:
        children: Numbers of nodes by name.
        key: The name of the variable's value in the bundle, None for what is no variable.
        full_name: The variable's name.
        slots: What an optimizer keeps for variables.
    """

    children: dict[str, int] = field(default_factory=dict)
    key: str | None = None
    full_name: str = ""
    slots: list[Slot] = field(default_factory=list)


class Gathered(NamedTuple):
    """The nodes of a program's objects, and the objects themselves, with equal numbers."""

    nodes: list[Node]
    objects: list[Any]

    def keys(self) -> dict[Variable, str]:
        """The variables, and what their values are called in a bundle."""
        pairs = zip(self.nodes, self.objects, strict=True)
        return {entry: node.key for node, entry in pairs if node.key is not None}

    def arrays(self) -> dict[str, np.ndarray]:
        """What a bundle holds of them."""
        found = {key: variable._array for variable, key in self.keys().items()}
        encoded = np.empty((), object)
        encoded[()] = encode(self.nodes)
        return {**found, GRAPH_KEY: encoded}


def gather(root: Any) -> Gathered:
    """The graph of the objects that are reached from `root`, nearest first.

    Raises:
        ValueError: A dict that holds such objects has keys that are no texts.
    """
    nodes, objects, paths = [Node()], [root], [""]
    numbers = {id(root): 0}
    waiting = deque([root])
    while waiting:
        parent = waiting.popleft()
        number = numbers[id(parent)]
        for name, child in children_of(parent).items():
            if id(child) not in numbers:
                numbers[id(child)] = len(nodes)
                nodes.append(Node())
                objects.append(child)
                paths.append("/".join(filter(None, (paths[number], _escaped(name)))))
                waiting.append(child)
            nodes[number].children[name] = numbers[id(child)]
    for number in range(len(nodes)):
        _describe(nodes[number], objects[number], paths[number])
    _add_slots(nodes, objects, paths)
    return Gathered(nodes, objects)


def _describe(node: Node, entry: Any, path: str) -> None:
    if isinstance(entry, Variable):
        node.key = f"{path}/.ATTRIBUTES/{_VALUE}".lstrip("/")
        node.full_name = entry.name.removesuffix(":0")


def _add_slots(nodes: list[Node], objects: list[Any], paths: list[str]) -> None:
    count = len(nodes)
    for optimizer in [number for number in range(count) if is_optimizer(objects[number])]:
        for name in objects[optimizer].get_slot_names():
            for number in range(count):
                slot = slot_of(objects[optimizer], objects[number], name)
                if slot is None:
                    continue
                nodes[optimizer].slots.append(Slot(number, name, len(nodes)))
                nodes.append(Node())
                objects.append(slot)
                _describe(nodes[-1], slot, f"{paths[number]}/.OPTIMIZER_SLOT/{paths[optimizer]}/{_escaped(name)}")


def slot_of(optimizer: Any, variable: Any, name: str) -> Variable | None:
    """What an optimizer keeps for a variable under a name, None for nothing."""
    if not isinstance(variable, Variable):
        return None
    try:
        return optimizer.get_slot(variable, name)
    except KeyError:
        return None


def _escaped(name: str) -> str:
    """A name as a part of a path: dots begin words of TensorFlow's own, and slashes separate."""
    return name.replace(".", "..").replace("/", ".S")


# --- messages


def encode(nodes: list[Node]) -> bytes:
    """The message."""
    return b"".join(wire.field(1, _encoded(node)) for node in nodes)


def encoded_links(node: Node, slots_field: int) -> tuple[bytes, bytes]:
    """A node's children and its slots, which saved models have as well, under another number."""
    children = b"".join(
        wire.field(1, wire.field(1, number) + wire.field(2, name)) for name, number in node.children.items()
    )
    slots = b"".join(
        wire.field(slots_field, wire.field(1, slot.variable) + wire.field(2, slot.name) + wire.field(3, slot.node))
        for slot in node.slots
    )
    return children, slots


def _encoded(node: Node) -> bytes:
    children, slots = encoded_links(node, 3)
    attribute = b""
    if node.key is not None:
        attribute = wire.field(2, wire.field(1, _VALUE) + wire.field(2, node.full_name) + wire.field(3, node.key))
    return children + attribute + slots


def decode(data: bytes) -> list[Node]:
    """The nodes of a message.

    Raises:
        ValueError: It is none, or refers to nodes that it has not.
    """
    nodes = [_decoded(wire.as_bytes(value)) for number, value in wire.fields(data) if number == 1]
    check_references(nodes)
    return nodes


def check_references(nodes: list[Node]) -> None:
    """Raise ValueError unless there are nodes, and only these are referred to."""
    referred = [number for node in nodes for number in node.children.values()]
    referred += [number for node in nodes for slot in node.slots for number in (slot.variable, slot.node)]
    if not nodes or max(referred, default=0) >= len(nodes):
        raise ValueError(f"the object graph refers to an object that is not among its {len(nodes)}")


def _decoded(data: bytes) -> Node:
    node = Node()
    for number, value in wire.fields(data):
        if number == 1:
            child, name = decoded_child(wire.as_bytes(value))
            node.children[name] = child
        elif number == 2:
            _decode_attribute(node, wire.as_bytes(value))
        elif number == 3:
            node.slots.append(decoded_slot(wire.as_bytes(value)))
    return node


def decoded_child(data: bytes) -> tuple[int, str]:
    """The number and the name of a child."""
    child, name = 0, ""
    for number, value in wire.fields(data):
        if number == 1:
            child = wire.as_int(value)
        elif number == 2:
            name = wire.as_text(value)
    return child, name


def decoded_slot(data: bytes) -> Slot:
    """The slot of a message."""
    variable = node = 0
    name = ""
    for number, value in wire.fields(data):
        if number == 2:
            name = wire.as_text(value)
        elif number in (1, 3):
            content = wire.as_int(value)
            variable, node = (content, node) if number == 1 else (variable, content)
    return Slot(variable, name, node)


def _decode_attribute(node: Node, data: bytes) -> None:
    texts = {number: wire.as_text(value) for number, value in wire.fields(data) if number in (1, 2, 3)}
    if texts.get(1) == _VALUE:  # others are configs, which TensorFlow does not read either
        node.key, node.full_name = texts.get(3, ""), texts.get(2, "")
