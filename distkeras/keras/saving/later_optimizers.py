"""Checkpoints of tf_keras' newer optimizers, which keep their state in lists instead of slots.

_iterations, _learning_rate    variables
_variables                     the iterations, then for each trained variable its moments, in the order of training
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distkeras.core.trackable import is_optimizer, variables_in_order
from distkeras.core.variable import Variable
from distkeras.keras.saving import h5_optimizer, tf_graph


def matched(root: Any, nodes: Sequence[tf_graph.Node], objects: Mapping[int, Any]) -> dict[int, Any]:
    """Our optimizers' variables by the numbers of the nodes that such optimizers have for them.

    Args:
        root: What is restored.
        nodes: The checkpoint's.
        objects: What is known of them already.
    """
    found: dict[int, Any] = {}
    for number, node in enumerate(nodes):
        optimizer = objects.get(number)
        if "_variables" in node.children and is_optimizer(optimizer):
            found |= _matched_state(optimizer, node, nodes, _trained_by(optimizer, root, objects))
    return found


def _trained_by(optimizer: Any, root: Any, objects: Mapping[int, Any]) -> list[Variable]:
    """The variables of the model that has the optimizer; or else all that the checkpoint has values for."""
    for entry in objects.values():
        if getattr(entry, "optimizer", None) is optimizer and hasattr(entry, "trainable_weights"):
            return entry.trainable_weights
    variables = [entry for entry in objects.values() if isinstance(entry, Variable) and entry.trainable]
    return variables_in_order(root, variables)


def _matched_state(
    optimizer: Any, node: tf_graph.Node, nodes: Sequence[tf_graph.Node], variables: list[Variable]
) -> dict[int, Any]:
    places = nodes[node.children["_variables"]].children
    numbers = {f"{nodes[places[place]].full_name}:0": places[place] for place in sorted(places, key=int)}
    names = list(numbers)
    if h5_optimizer.later_slots(names, optimizer, variables) is None:
        return {}
    optimizer.build(variables)
    found: dict[int, Any] = {
        numbers[name]: weight for weight, name in h5_optimizer.sources_of(names, optimizer, variables) or ()
    }
    if "_learning_rate" in node.children and isinstance(optimizer.learning_rate, Variable):
        found[node.children["_learning_rate"]] = optimizer.learning_rate
    return found
