"""HDF5 files of models and weights, which TF 2.0, tf_keras and Keras 3 read and write as well.

model.h5     attributes keras_version, backend, model_config, training_config (JSON)
  model_weights/       the layers' weights, see h5_weights
  optimizer_weights/   see h5_optimizer
weights.h5   the content of model_weights at the root
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import h5py

from distkeras._errors import FileFormatError
from distkeras.data.hdf5 import open_to_read
from distkeras.keras import layers
from distkeras.keras.layers.weight_budget import weight_budget
from distkeras.keras.saving import h5_entries as entries
from distkeras.keras.saving import h5_optimizer, h5_weights, training_config
from distkeras.keras.saving.serialize import get_registered_name, json_value
from distkeras.keras.saving.translate import plain_config, portable_config

NEEDS_VARIABLES = True
_MODEL_WEIGHTS = "model_weights"
_OPTIMIZER_WEIGHTS = "optimizer_weights"


def matches(path: str) -> bool:
    """Whether the file is HDF5, whatever it is called."""
    return bool(h5py.is_hdf5(path))


# --- files


def write_model_file(path: str, model: Any, include_optimizer: bool) -> None:
    """Write a file of its own; see `write_model`."""
    with _made(path) as file:
        write_model(file, model, include_optimizer)


def write_weights_file(path: str, model: Any) -> None:
    """Write a file of its own; see `h5_weights.write_layers`."""
    with _made(path) as file:
        h5_weights.write_layers(file, model)


def read_model_file(path: str, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    """The model in a file; see `read_model`."""
    with opened(path) as file:
        return read_model(file, custom_objects, compile)


def read_weights_file(path: str, model: Any, by_name: bool) -> None:
    """Set a model's weights from a file; see `read_weights`."""
    with opened(path) as file:
        read_weights(file, model, by_name)


@contextlib.contextmanager
def _made(path: str) -> Iterator[h5py.File]:
    with h5py.File(path, "x") as file:
        yield file


@contextlib.contextmanager
def opened(path: str) -> Iterator[h5py.File]:
    """The file, for reading.

    Raises:
        FileFormatError: It is damaged.
    """
    try:
        # Many ranks read at once, from file systems some of which know no locks.
        file = open_to_read(path, locking="best-effort")
    except OSError as error:
        size = os.path.getsize(path)
        raise FileFormatError(f"{path} is a damaged HDF5 file of {size} bytes, perhaps cut short: {error}") from error
    with file:
        yield file


# --- models


def write_model(group: h5py.Group, model: Any, include_optimizer: bool = True) -> None:
    """Store a model: its architecture, weights, and, if it is compiled, what it is trained with.

    Args:
        group: The file, or a group in it.
        model: A functional or Sequential model.
        include_optimizer: Whether to store the arguments of `compile` and the optimizer's state.

    Raises:
        NotImplementedError: The model is made by subclassing, so that only its own code can build it.
    """
    config = _model_config(model)
    h5_weights.write_header(group)
    entries.write_text(group, "model_config", json.dumps(portable_config(json.loads(_json(config)))))
    h5_weights.write_layers(group.create_group(_MODEL_WEIGHTS), model)
    if not include_optimizer or model.optimizer is None:
        return
    entries.write_text(group, "training_config", _json(training_config.training_config(model)))
    if model.optimizer.weights:
        h5_optimizer.write_optimizer(group.create_group(_OPTIMIZER_WEIGHTS), model.optimizer)


def _model_config(model: Any) -> dict[str, Any]:
    try:
        config = model.get_config()
    except NotImplementedError:
        raise NotImplementedError(
            "Saving the model to HDF5 format requires the model to be a Functional model or a Sequential model: "
            f"{type(model).__name__} is made by subclassing, and only its own code can build it. Use "
            "`model.save_weights('weights.h5')`, and `load_weights` on a model that its code has built."
        ) from None
    name = get_registered_name(type(model))
    return {"class_name": "Model" if name == "Functional" else name, "config": config}


def _json(value: Any) -> str:
    return json.dumps(value, default=json_value)


def read_model(group: h5py.Group, custom_objects: Mapping[str, Any] | None = None, compile: bool = True) -> Any:
    """The model that is stored in a group.

    Args:
        group: The file, or a group in it.
        custom_objects: Classes and functions by the names that the file gives them.
        compile: Whether to compile it as it was when it was stored.

    Raises:
        FileFormatError: The group is damaged or holds no model.
        ValueError: It names a class or function that is not known.
    """
    config = entries.read_json(group, "model_config")
    if config is None:
        holds = (
            "only weights: build the model and use model.load_weights" if "layer_names" in group.attrs else "no model"
        )
        raise entries.broken(
            group, "model_config", f"is missing: No model found in config file. The file holds {holds}"
        )
    weights = entries.child(group, _MODEL_WEIGHTS)
    h5_weights.check_origin(weights)
    with (
        weight_budget(h5_weights.count_stored(weights), "the file holds"),
        entries.reading_config(group, "model_config"),
    ):
        model = layers.deserialize(plain_config(config), custom_objects)
    h5_weights.read_layers(weights, model)
    if compile:
        _compile(group, model, custom_objects)
    return model


def _compile(group: h5py.Group, model: Any, custom_objects: Mapping[str, Any] | None) -> None:
    config = entries.read_json(group, "training_config")
    if config is None:
        training_config.warn_not_compiled()
        return
    with entries.reading_config(group, "training_config"):
        training_config.compile_from(model, config, custom_objects)
    if _OPTIMIZER_WEIGHTS in group:
        stored = entries.child(group, _OPTIMIZER_WEIGHTS)
        h5_optimizer.read_optimizer(stored, model.optimizer, model.trainable_weights)


def read_weights(group: h5py.Group, model: Any, by_name: bool = False) -> None:
    """Set a model's weights from a group that holds weights, or a whole model.

    Raises:
        FileFormatError: The group is damaged or holds no weights.
        ValueError: The weights do not fit.
    """
    if "layer_names" not in group.attrs and _MODEL_WEIGHTS in group:
        group = entries.child(group, _MODEL_WEIGHTS)
    (h5_weights.read_layers_by_name if by_name else h5_weights.read_layers)(group, model)
