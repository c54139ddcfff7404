"""Configs of functional models: the layers, and for each of their calls what it was called on.

{"name": ..., "layers": [{"class_name", "config", "name", "inbound_nodes": [[[source, node, tensor, {arguments}]]]}],
 "input_layers": [[name, node, tensor]], "output_layers": [[name, node, tensor]]}
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

from distkeras import _nest
from distkeras.keras import layers as keras_layers
from distkeras.keras.layers.keras_tensor import KerasTensor
from distkeras.keras.layers.node import Node
from distkeras.keras.models.graph import LayerGraph
from distkeras.keras.saving.calls import is_address
from distkeras.keras.saving.serialize import serialize_keras_object

# --- writing


def graph_config(graph: LayerGraph) -> dict[str, Any]:
    """What a model's config says of its graph."""
    numbers = _node_numbers(graph)
    layers = []
    for layer in graph.layers:
        calls = [
            _call_config(node, numbers) for node in layer._inbound_nodes if id(node) in numbers and node.keras_inputs
        ]
        entry = serialize_keras_object(layer)
        layers.append({**entry, "name": layer.name, "inbound_nodes": calls})
    return {
        "layers": layers,
        "input_layers": _end_config(graph.inputs, numbers),
        "output_layers": _end_config(graph.outputs, numbers),
    }


def _node_numbers(graph: LayerGraph) -> dict[int, int]:
    """For each node its number among the calls of its layer that belong to the graph.

    A model has a call of its own, from its inputs to its outputs, that no config lists; it is counted all the same.
    """
    members = {id(node) for node in graph.nodes}
    numbers: dict[int, int] = {}
    for layer in graph.layers:
        kept = [node for node in layer._inbound_nodes if id(node) in members]
        first = 1 if getattr(layer, "_is_graph_network", False) else 0
        numbers.update((id(node), first + position) for position, node in enumerate(kept))
    return numbers


def _address(tensor: KerasTensor, numbers: dict[int, int]) -> list[Any]:
    if _nest.flatten(tensor.node.output_tensors)[tensor._keras_history.tensor_index] is not tensor:
        raise ValueError(
            f"The mask that layer {tensor.op.name!r} puts on its output was passed on by hand, and has no place in a "
            f"config. Pass `layer.compute_mask(inputs)`, or none: masks find their way by themselves."
        )
    return [tensor.op.name, numbers[id(tensor.node)], tensor._keras_history.tensor_index]


def _end_config(structure: Any, numbers: dict[int, int]) -> Any:
    addresses = _nest.map_structure(lambda tensor: _Leaf(_address(tensor, numbers)), structure)
    return _opened(addresses if _nest.is_nested(addresses) else [addresses])


def _call_config(node: Node, numbers: dict[int, int]) -> Any:
    signature = node.layer._call_signature
    named = dict(zip(signature.positional, node.args, strict=False)) | node.kwargs
    arguments = _nest.map_structure(
        lambda leaf: _Leaf(_address(leaf, numbers)) if isinstance(leaf, KerasTensor) else leaf, named
    )
    arguments = {name: _opened(value) for name, value in arguments.items()}

    def entry(leaf: Any) -> Any:
        if isinstance(leaf, KerasTensor):
            return _Leaf([*_address(leaf, numbers), arguments])
        raise ValueError(
            f"The layer {node.layer.name!r} was called on {leaf!r} beside symbolic tensors: such a call has no config."
        )

    entries = _nest.map_structure(entry, node.input_tensors)
    return _opened(entries if _nest.is_nested(entries) else [entries])


class _Leaf:
    """Keeps a list from being taken for a structure."""

    def __init__(self, value: list) -> None:
        self.value = value


def _opened(structure: Any) -> Any:
    """Lists for leaves and tuples, as JSON has them."""
    if isinstance(structure, _Leaf):
        return structure.value
    if isinstance(structure, dict):
        return {key: _opened(value) for key, value in structure.items()}
    return [_opened(item) for item in structure] if _nest.is_nested(structure) else structure


# --- reading


class Rebuilt(NamedTuple):
    """What a config gave: the graph's ends and all layers by name."""

    inputs: Any
    outputs: Any
    layers: dict[str, Any]


def rebuild(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Rebuilt:
    """New layers called on each other as `graph_config` wrote it.

    Raises:
        ValueError: A layer is unknown or a call refers to one that does not exist.
    """
    config = copy.copy(config)
    layers: dict[str, Any] = {}
    calls: list[tuple[str, Any]] = []
    for entry in config["layers"]:
        layers[entry["name"]] = keras_layers.deserialize(entry, custom_objects)
        calls += [(entry["name"], call) for call in entry["inbound_nodes"]]
    outputs_of = _own_outputs(layers, config)
    while calls:
        waiting: list[tuple[str, Any]] = []
        for call in calls:
            # The calls of one layer are numbered: none may overtake another.
            if any(call[0] == name for name, _ in waiting) or not _replay(call, layers, outputs_of):
                waiting.append(call)
        if len(waiting) == len(calls):
            raise ValueError(
                f"The config's calls of {sorted({name for name, _ in calls})} depend on calls that it does not have."
            )
        calls = waiting
    inputs, outputs = (_resolve_ends(config[key], outputs_of) for key in ("input_layers", "output_layers"))
    return Rebuilt(inputs, outputs, layers)


class _Calls(list):
    """The outputs of a layer's calls, in the order of the config; `first` is the number of the first."""

    first = 0

    def at(self, number: int) -> list[KerasTensor] | None:
        position = number - self.first
        return self[position] if 0 <= position < len(self) else None


def _own_outputs(layers: dict[str, Any], config: Mapping[str, Any]) -> dict[str, _Calls]:
    outputs_of = {name: _Calls() for name in layers}
    for name, layer in layers.items():
        if isinstance(layer, keras_layers.InputLayer):
            outputs_of[name].append([layer.output])
    # Calls of nested models are numbered from 1, but for writers that did not count the model's own.
    counted = {name: number for name, number in _references(config) if number == 0}
    for name, layer in layers.items():
        if hasattr(layer, "layers") and name not in counted:
            outputs_of[name].first = 1
    return outputs_of


def _references(structure: Any) -> list[tuple[str, int]]:
    if is_address(structure):
        inner = [pair for item in structure[3:] for pair in _references(item)]
        return [(structure[0], structure[1]), *inner]
    if isinstance(structure, Mapping):
        if "layers" in structure and "output_layers" in structure:
            parts = [entry["inbound_nodes"] for entry in structure["layers"]]
            return _references([*parts, structure["input_layers"], structure["output_layers"]])
        structure = list(structure.values())
    return [pair for item in structure for pair in _references(item)] if isinstance(structure, (list, tuple)) else []


class _Missing(Exception):
    """A call refers to one that was not made yet."""


def _tensor(address: Any, outputs_of: dict[str, _Calls]) -> KerasTensor:
    if address[0] not in outputs_of:
        raise ValueError(f"The config refers to the layer {address[0]!r}, which it does not have.")
    outputs = outputs_of[address[0]].at(address[1])
    if outputs is None:
        raise _Missing
    if not 0 <= address[2] < len(outputs):
        raise ValueError(f"The config refers to output {address[2]} of layer {address[0]!r}, which has {len(outputs)}.")
    return outputs[address[2]]


def _replay(call: tuple[str, Any], layers: dict[str, Any], outputs_of: dict[str, _Calls]) -> bool:
    """Make a call; False if what it is made on is not there yet."""
    name, entry = call
    arguments: dict[str, Any] = {}

    def resolve(structure: Any) -> Any:
        if is_address(structure):
            if len(structure) == 4:
                arguments.update(structure[3] or {})
            return _tensor(structure, outputs_of)
        if isinstance(structure, Mapping):
            return {key: resolve(item) for key, item in structure.items()}
        return [resolve(item) for item in structure] if isinstance(structure, (list, tuple)) else structure

    try:
        inputs = resolve(entry)
        arguments = {key: resolve(value) for key, value in arguments.items()}
    except _Missing:
        return False
    single = isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], KerasTensor)
    outputs = layers[name](inputs[0] if single else inputs, **arguments)
    outputs_of[name].append(_nest.flatten(outputs))
    return True


def _resolve_ends(structure: Any, outputs_of: dict[str, _Calls]) -> Any:
    if is_address(structure):
        try:
            return _tensor(structure, outputs_of)
        except _Missing:
            raise ValueError(f"The config refers to the call {list(structure)}, which it does not have.") from None
    if isinstance(structure, Mapping):
        return {key: _resolve_ends(item, outputs_of) for key, item in structure.items()}
    return [_resolve_ends(item, outputs_of) for item in structure]
