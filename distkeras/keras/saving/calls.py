"""How a config numbers the calls of nested models, so that every Keras understands it.

TF 2.0 and tf_keras count a model's call on its own inputs, which no config lists: a reference to the first listed call
says 1. For Keras 3 it says 0. Where each call is listed twice in a row, the number 1 means the first call for all:

    calls      [c0, c0, c1, c1]        number of c0 = 1, of c1 = 3
    TF 2.0      1   2   3   4
    Keras 3     0   1   2   3

A second call that nothing refers to is not part of the model that is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def doubled(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a functional model, with the calls of models in it listed twice.

    Args:
        config: `layers`, `input_layers` and `output_layers`, as TF 2.0 has them; not changed.
    """
    numbers = _references(config)
    names = {
        entry["name"]
        for entry in config["layers"]
        if "layers" in entry["config"] and numbers.get(entry["name"]) and 0 not in numbers[entry["name"]]
    }
    return _renumbered(
        config, names, lambda number: 2 * number - 1, lambda calls: [call for call in calls for _ in range(2)]
    )


def undoubled(config: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `doubled`; a config that it has not made is returned as it is."""
    numbers = _references(config)
    names = {
        entry["name"]
        for entry in config["layers"]
        if "layers" in entry["config"]
        and entry["inbound_nodes"]
        and entry["inbound_nodes"][::2] == entry["inbound_nodes"][1::2]
        and all(number % 2 for number in numbers.get(entry["name"], ()))
    }
    return _renumbered(config, names, lambda number: (number + 1) // 2, lambda calls: calls[::2])


def _renumbered(
    config: dict[str, Any], names: set[str], number: Callable[[int], int], calls: Callable[[list], list]
) -> dict[str, Any]:
    if not names:
        return config

    def changed(structure: Any) -> Any:
        if is_address(structure):
            name, index, *rest = structure
            return [name, number(index) if name in names else index, *map(changed, rest)]
        if isinstance(structure, Mapping):
            return {key: changed(value) for key, value in structure.items()}
        return [changed(item) for item in structure] if isinstance(structure, (list, tuple)) else structure

    layers = []
    for entry in config["layers"]:
        nodes = changed(entry["inbound_nodes"])
        layers.append({**entry, "inbound_nodes": calls(nodes) if entry["name"] in names else nodes})
    ends = {key: changed(config[key]) for key in ("input_layers", "output_layers")}
    return {**config, "layers": layers, **ends}


def _references(config: Mapping[str, Any]) -> dict[str, set[int]]:
    """The numbers of the calls that a config refers to, by the name of the layer."""
    found: dict[str, set[int]] = {}

    def collect(structure: Any) -> None:
        if is_address(structure):
            found.setdefault(structure[0], set()).add(structure[1])
            structure = structure[3:]
        for item in structure.values() if isinstance(structure, Mapping) else structure:
            if isinstance(item, (list, tuple, Mapping)):
                collect(item)

    collect([entry["inbound_nodes"] for entry in config["layers"]])
    collect([config["input_layers"], config["output_layers"]])
    return found


def is_address(value: Any) -> bool:
    """Whether this is [layer, call, output], perhaps with the arguments of the call."""
    return (
        isinstance(value, (list, tuple))
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(isinstance(number, int) and not isinstance(number, bool) for number in value[1:3])
    )
