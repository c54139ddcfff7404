"""What a backup holds of a model, its data and its callbacks, apart from weights and slots: see `run_state`."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from distkeras import _nest
from distkeras.core.spec import as_dtype
from distkeras.core.variable import Variable
from distkeras.data.handler import DataHandler
from distkeras.keras.callbacks import CallbackList
from distkeras.keras.saving.tf_graph import GRAPH_KEY


class _Entry(NamedTuple):
    shape: tuple[int, ...]
    type_name: str


class StoredArrays:
    """The arrays of a backup, in the place of a TensorFlow checkpoint's."""

    def __init__(self, prefix: str, arrays: dict[str, np.ndarray]) -> None:
        self.prefix = prefix
        self._arrays = arrays
        self.entries = {name: _Entry(array.shape, as_dtype(array.dtype).name) for name, array in arrays.items()}

    def read(self, name: str) -> np.ndarray:
        """An array; the object graph as bytes."""
        if name != GRAPH_KEY:
            return self._arrays[name]
        graph = np.empty((), object)
        graph[()] = self._arrays[name].tobytes()
        return graph


def kept_states(model: Any) -> list[Any]:
    """The variables in which stateful layers keep what the next batch begins with."""
    layers = (layer for layer in model._flatten_layers() if getattr(layer, "stateful", False))
    found = (_nest.flatten(getattr(layer, "_states", None)) for layer in layers)
    return list({id(state): state for states in found for state in states if isinstance(state, Variable)}.values())


def metric_states(communicator: Any, runner: Any) -> list[list[np.ndarray]]:
    """Each rank's values of the metrics' variables; asked for again if they were shared out anew meanwhile."""
    generation = None
    while generation != communicator.generation:
        generation = communicator.generation
        states = communicator.allgather_object([v.numpy() for v in metric_variables(runner)])
    return states


def metric_variables(runner: Any) -> list[Any]:
    return [variable for metric in runner.metrics for variable in metric.weights]


def fingerprint(model: Any) -> dict[str, Any]:
    """What must be the same for a state to fit; no weights for a model that has none yet."""
    return {
        "weights": [(tuple(weight.shape), weight.dtype.name) for weight in (model.weights if model.built else ())],
        "optimizer": type(model.optimizer).__name__,
    }


def description(training: DataHandler) -> dict[str, Any]:
    adapter = training.adapter
    return {"batch_size": adapter.batch_size, "samples": adapter.num_samples, "steps": training.steps}


def by_name(callbacks: CallbackList) -> list[tuple[str, Any]]:
    """The callbacks that have a state, by class and by place among those of that class."""
    counts: Counter[str] = Counter()
    found = []
    for callback in callbacks:
        name = type(callback).__name__
        counts[name] += 1
        if hasattr(callback, "get_state"):
            found.append((f"{name} {counts[name]}", callback))
    return found
