"""The table that `model.summary()` prints."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

from distkeras.keras.layers.tracking import count_elements, unique


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
) -> None:
    """Print a model's layers; see `Model.summary` for the arguments."""
    emit = print if print_fn is None else print_fn
    if not callable(emit):
        raise TypeError(f"`print_fn` must be a function of a line of text, received {print_fn!r}.")
    if line_length is not None and (not isinstance(line_length, numbers.Integral) or line_length < 1):
        raise ValueError(f"`line_length` must be a positive number of characters, received {line_length!r}.")
    chain = is_chain(model)
    width = line_length or (65 if chain else 98)
    columns = list(positions or ([0.45, 0.85, 1.0] if chain else [0.33, 0.55, 0.67, 1.0]))
    titles = ["Layer (type)", "Output Shape", "Param #"] + ([] if chain else ["Connected to"])
    if len(columns) != len(titles) or not all(isinstance(end, numbers.Real) for end in columns):
        raise ValueError(f"`positions` must have one number for each of the columns {titles}, received {positions!r}.")
    if columns[-1] <= 1:
        columns = [int(width * part) for part in columns]
    emit(f'Model: "{model.name}"')
    emit("_" * width)
    emit(_row(titles, columns))
    emit("=" * width)
    layers = model.layers
    for number, layer in enumerate(layers, 1):
        sources = [] if chain else _sources(layer, model)
        emit(_row(_cells(layer) + ([] if chain else sources[:1] or [""]), columns))
        for source in sources[1:]:
            emit(_row(["", "", "", source], columns))
        emit(("=" if number == len(layers) else "_") * width)
    trainable = count_elements(unique(model.trainable_weights))
    frozen = count_elements(unique(model.non_trainable_weights))
    emit(f"Total params: {trainable + frozen:,}")
    emit(f"Trainable params: {trainable:,}")
    emit(f"Non-trainable params: {frozen:,}")
    emit("_" * width)


def is_chain(model: Any) -> bool:
    """Whether every layer is called once, on the output of the one before; also said of models without a graph."""
    graph = model._graph
    if graph is None or type(model).__name__ == "Sequential":
        return True
    if any(len(nodes) > 1 or len(nodes[0].inbound_layers) > 1 for nodes in graph.nodes_by_depth.values()):
        return False
    members = {id(node) for node in graph.nodes}
    return all(sum(id(node) in members for node in layer._inbound_nodes) <= 1 for layer in graph.layers)


def _row(cells: Sequence[Any], columns: Sequence[int]) -> str:
    line = ""
    for number, (cell, end) in enumerate(zip(cells, columns, strict=False)):
        if number:
            line = line[:-1] + " "
        line = (line + str(cell))[:end].ljust(end)
    return line


def _cells(layer: Any) -> list[Any]:
    try:
        shape: Any = layer.output_shape
    except AttributeError:
        shape = "multiple"
    count = layer.count_params() if layer.built else "0 (unused)"
    return [f"{layer.name} ({type(layer).__name__})", shape, count]


def _sources(layer: Any, model: Any) -> list[str]:
    members = {id(node) for node in model._graph.nodes}
    histories = [
        tensor._keras_history for node in layer._inbound_nodes if id(node) in members for tensor in node.keras_inputs
    ]
    return [f"{source.name}[{node}][{index}]" for source, node, index in histories]
