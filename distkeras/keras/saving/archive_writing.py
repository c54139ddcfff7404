"""Writing the `.keras` archives of Keras 3; see `archive` for what they hold."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from distkeras.keras import optimizers
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.optimizers.loss_scale_optimizer import LossScaleOptimizer
from distkeras.keras.saving import archive, training_config
from distkeras.keras.saving.serialize import get_registered_name, json_value
from distkeras.keras.saving.translate import portable_config

_KERAS_VERSION = "3.0.0"  # the first that reads such archives
# Settings of optimizers that Keras 3 has under no name: neutral values are left out, others refused.
_NEUTRAL_SETTINGS = {"decay": 0.0, "schedule_decay": 0.004}
_MODULES = {"Functional": "keras.src.models.functional", "Sequential": "keras"}  # of what is no layer
# What layers write into configs that Keras 3 does not take; it follows from the inputs.
_FROM_INPUTS = frozenset(("batch_input_shape", "query_shape", "key_shape", "value_shape"))
UNKNOWN_LAYERS = frozenset(
    "DenseFeatures LocallyConnected1D LocallyConnected2D PeepholeLSTMCell SequenceFeatures SyncBatchNormalization "
    "ThresholdedReLU".split()
)
_DATE = (1980, 1, 1, 0, 0, 0)  # the same model makes the same bytes whenever it is written


def write_model_file(path: str, model: Any, include_optimizer: bool = True) -> None:
    """Write an archive that Keras 3 loads.

    Args:
        path: A file that is not there yet.
        model: A functional or Sequential model.
        include_optimizer: Whether to store what `compile` was given and the optimizer's state.

    Raises:
        NotImplementedError: The model is made by subclassing.
        ValueError: A layer keeps weights where the archive has no place for them, or the optimizer is set to what Keras
            3 does not know.
    """
    config = _model_config(model)
    is_compiled = include_optimizer and model.optimizer is not None
    if is_compiled:
        config["compile_config"] = _compile_config(model)
    with tempfile.TemporaryDirectory(prefix="distkeras-") as folder:
        weights = os.path.join(folder, archive.WEIGHTS)
        with h5py.File(weights, "x") as file:
            _write_layers(file, config, model)
            if is_compiled and model.optimizer.weights:
                _write_optimizer(file.create_group("optimizer/vars"), model)
        with zipfile.ZipFile(path, "x") as target, open(weights, "rb") as source:
            _add(target, "metadata.json", json.dumps({"keras_version": _KERAS_VERSION}).encode())
            _add(target, archive.CONFIG, json.dumps(config).encode())
            with target.open(zipfile.ZipInfo(archive.WEIGHTS, _DATE), "w", force_zip64=True) as entry:
                while chunk := source.read(1 << 20):
                    entry.write(chunk)


def _add(target: zipfile.ZipFile, name: str, content: bytes) -> None:
    target.writestr(zipfile.ZipInfo(name, _DATE), content)


# --- configs


def _model_config(model: Any) -> dict[str, Any]:
    name = get_registered_name(type(model))
    whole = {"class_name": "Functional" if name == "Model" else name, "config": model.get_config()}
    config = _with_modules(portable_config(json.loads(json.dumps(whole, default=json_value))))
    return _with_tensors({**config, "registered_name": config["class_name"]}, model)


def _with_modules(config: Any) -> Any:
    """The same as Keras 3 says it: every layer with the module of its class, and without what that does not take."""
    if isinstance(config, list):
        return [_with_modules(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    known = {key: _with_modules(value) for key, value in config.items()}
    if {"class_name", "config"} <= known.keys() and known["class_name"] in LAYERS:
        name = "Functional" if known["class_name"] == "Model" else known["class_name"]
        module = _MODULES.get(name, "keras.layers")
        settings = _settings_of(name, known["config"])
        return {"module": module, "registered_name": None, **known, "class_name": name, "config": settings}
    return known


def _settings_of(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A layer's settings as Keras 3 takes them.

    Raises:
        ValueError: It has none that mean the same.
    """
    if name in UNKNOWN_LAYERS:
        raise ValueError(f"{name} has no counterpart in Keras 3, which could not load it: use save_format='h5'.")
    kept = {key: value for key, value in settings.items() if key not in _FROM_INPUTS}
    if name == "InputLayer":
        kept["batch_shape"] = settings["batch_input_shape"]
    if name.startswith("SpatialDropout"):
        del kept["trainable"], kept["noise_shape"]
    if kept.get("causal") is False:
        del kept["causal"]
    if isinstance(settings.get("dtype"), Mapping):  # a policy with a loss scale, which is of no use to a layer
        kept["dtype"] = settings["dtype"]["config"]["name"]
    axis = settings.get("axis")
    if name == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        (kept["axis"],) = axis
    if "causal" in kept or (name == "BatchNormalization" and isinstance(kept["axis"], list)):
        raise ValueError(f"{name} with {settings} has no counterpart in Keras 3: use save_format='h5'.")
    return kept


def _with_tensors(config: dict[str, Any], model: Any) -> dict[str, Any]:
    """A functional model's config in which calls that are given tensors by name say so as Keras 3 does."""
    known = {layer.name: layer for layer in model.layers}

    def tensor(history: list) -> dict[str, Any]:
        layer, node = known[history[0]], history[1]
        shape = layer.get_output_shape_at(min(node, len(layer.inbound_nodes) - 1))
        shape = shape[history[2]] if isinstance(shape, list) else shape
        described = {"shape": list(shape), "dtype": layer.dtype, "keras_history": history[:3]}
        return {"class_name": "__keras_tensor__", "config": described}

    def is_history(value: Any) -> bool:
        return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and value[0] in known

    def call(node: list) -> Any:
        named = node[0][3] if node and len(node[0]) > 3 else {}
        if not any(map(is_history, named.values())):
            return node
        given = [tensor(history) for history in node]
        named = {key: tensor(value) if is_history(value) else value for key, value in named.items()}
        return {"args": given if len(given) == 1 else [given], "kwargs": named}

    entries = []
    for entry in config["config"].get("layers", ()):
        layer = known.get(entry["config"]["name"])
        if layer is not None and "layers" in entry["config"]:
            entry = _with_tensors(entry, layer)
        if "inbound_nodes" in entry:
            entry = {**entry, "inbound_nodes": list(map(call, entry["inbound_nodes"]))}
        entries.append(entry)
    return {**config, "config": {**config["config"], "layers": entries}}


def _compile_config(model: Any) -> dict[str, Any]:
    config = json.loads(json.dumps(training_config.training_config(model), default=json_value))
    optimizer = config.pop("optimizer_config")
    del config["sample_weight_mode"]
    settings = dict(optimizer["config"])
    if isinstance(model.optimizer, LossScaleOptimizer):
        raise ValueError(
            "A LossScaleOptimizer cannot be written to an archive: use save_format='h5', or include_optimizer=False."
        )
    for name, neutral in _NEUTRAL_SETTINGS.items():
        if settings.pop(name, neutral) != neutral:
            raise ValueError(
                f"{optimizer['class_name']}({name}=...) has no counterpart in Keras 3, so that an archive would train "
                "otherwise: use a learning rate schedule, or save_format='h5'."
            )
    rate = settings.get("learning_rate")
    if isinstance(rate, Mapping) and rate["config"].get("name", "") is None:  # Keras 3 takes no name, but not None
        settings["learning_rate"] = {**rate, "config": {k: v for k, v in rate["config"].items() if k != "name"}}
    is_known = optimizer["class_name"] in optimizers.OPTIMIZERS
    return {
        **{
            key: _with_module(value, "keras.metrics" if "metrics" in key else "keras.losses")
            for key, value in config.items()
        },
        "optimizer": {
            "module": "keras.optimizers" if is_known else None,
            "class_name": optimizer["class_name"],
            "config": settings,
            "registered_name": None if is_known else optimizer["class_name"],
        },
    }


def _with_module(entry: Any, module: str) -> Any:
    """Losses or metrics, each object with the module in which Keras 3 looks for its class."""
    if isinstance(entry, list):
        return [_with_module(item, module) for item in entry]
    if not isinstance(entry, Mapping):
        return entry
    if "class_name" in entry:
        return {"module": module, "registered_name": None, **entry}
    return {key: _with_module(value, module) for key, value in entry.items()}


# --- weights


def _write_layers(group: h5py.Group, config: Mapping[str, Any], model: Any) -> None:
    known = {layer.name: layer for layer in model.layers}
    for name, place, entry in archive.places(config):
        if name not in known:  # an input that the archive lists and the model does not
            continue
        made = group.create_group(place)
        if "layers" in entry["config"]:
            _write_layers(made, entry, known[name])
        else:
            _write_layer(made, known[name])


def _write_layer(group: h5py.Group, layer: Layer) -> None:
    """A layer's own arrays, and the layers inside of it in their groups."""
    inner = _inner_layers(layer)
    inside = {id(weight) for child in inner.values() for weight in child.weights}
    stray = [child.name for child in layer._sublayers() if any(id(weight) not in inside for weight in child.weights)]
    if stray:
        raise ValueError(
            f"The layer {layer.name!r} keeps the layers {stray} where archives of Keras 3 have no place for them: use "
            "save_format='h5'."
        )
    weights = [*layer.trainable_weights, *layer.non_trainable_weights]
    _write_arrays(group.create_group("vars"), [weight.numpy() for weight in weights if id(weight) not in inside])
    for name, child in inner.items():
        _write_layer(group.create_group(name), child)


def _inner_layers(layer: Layer) -> dict[str, Layer]:
    found = {name: getattr(layer, name, None) for name in archive.INNER}
    inner = {name: child for name, child in found.items() if isinstance(child, Layer)}
    if "forward_layer" in inner:
        inner.pop("layer", None)  # the same as that
    return inner


def _write_arrays(group: h5py.Group, arrays: list[np.ndarray]) -> None:
    for number, array in enumerate(arrays):
        group.create_dataset(str(number), data=array)


def _write_optimizer(group: h5py.Group, model: Any) -> None:
    """Iterations, learning rate (a schedule has no value), and for each variable its slots."""
    optimizer = model.optimizer
    group.attrs["name"] = optimizer.name.lower()
    slots = optimizer.get_slot_names()
    head = [optimizer.iterations.numpy()]
    if not archive.has_schedule(optimizer):
        head.append(np.float32(optimizer.value_of("learning_rate")))
    held = [variable for variable in model.trainable_weights if optimizer.group_of(variable) is not None]
    kept = [optimizer.get_slot(variable, slot).numpy() for variable in held for slot in slots]
    _write_arrays(group, [*head, *kept])
