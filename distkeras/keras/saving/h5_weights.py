"""The weights of layers in an HDF5 group, in the layout of Keras.

layer_names = [dense, bn]                       attributes: the layers in order, also those without weights
dense/  weight_names = [dense/kernel:0, ..]     a group for each layer, its weights in order
        dense/kernel:0                          an array for each weight, at the path that is its name
top_level_model_weights/                        weights that the model itself holds, outside of any layer
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from distkeras.keras.saving import h5_entries as entries

# What Keras 2.0 to 2.3 and TF 2.0 write, and what every reader since accepts.
KERAS_VERSION = "2.2.4-tf"
BACKEND = "tensorflow"
_TOP_LEVEL = "top_level_model_weights"


def weights_of(layer: Any) -> list:
    """A layer's weights in the order of the file: those that are trained, then the others."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def write_header(group: h5py.Group) -> None:
    """Say which Keras can read the group."""
    entries.write_text(group, "backend", BACKEND)
    entries.write_text(group, "keras_version", KERAS_VERSION)


def write_layers(group: h5py.Group, model: Any) -> None:
    """Store the weights of all layers of a model.

    Raises:
        ValueError: Two layers, or two weights of a layer, have the same name.
    """
    write_header(group)
    entries.write_names(group, "layer_names", [layer.name for layer in model.layers])
    for layer in model.layers:
        if layer.name in group:
            raise ValueError(f"Two layers are called {layer.name!r}; a file needs different names.")
        _write_weights(group.create_group(layer.name), weights_of(layer))
    own = _top_level_weights(model)
    if own:
        _write_weights(group.create_group(_TOP_LEVEL), own)


def _top_level_weights(model: Any) -> list:
    return [*model._trainable_weights, *model._non_trainable_weights]


def _write_weights(group: h5py.Group, weights: Sequence[Any]) -> None:
    entries.write_names(group, "weight_names", [weight.name for weight in weights])
    for weight in weights:
        entries.write_array(group, weight.name, weight.numpy())


# --- reading


def read_layers(group: h5py.Group, model: Any) -> None:
    """Set the weights of a model's layers, in order, whatever the layers are called.

    Nothing is set unless everything fits.

    Raises:
        ValueError: The layers, or the shapes of their weights, are others.
        FileFormatError: The group is broken.
    """
    check_origin(group)
    layers = [layer for layer in model.layers if weights_of(layer)]
    stored = _stored_layers(group)
    if len(stored) != len(layers):
        raise ValueError(
            f"You are trying to load a weight file containing {len(stored)} layers into a model with {len(layers)} "
            f"layers. In the file: {list(stored)}; in the model: {[layer.name for layer in layers]}."
        )
    values: list = []
    for index, (layer, (name, weight_names)) in enumerate(zip(layers, stored.items(), strict=True)):
        values += _match(group, index, layer, name, weight_names)
    _assign(values + _match_top_level(group, model))


def read_layers_by_name(group: h5py.Group, model: Any) -> None:
    """Set the weights of those layers whose names are in the file; the others keep theirs.

    Raises:
        ValueError: A layer of the same name has other weights.
        FileFormatError: The group is broken.
    """
    check_origin(group)
    stored = _stored_layers(group)
    values: list = []
    for index, layer in enumerate(layer for layer in model.layers if layer.name in stored):
        values += _match(group, index, layer, layer.name, stored[layer.name])
    _assign(values + _match_top_level(group, model))


def check_origin(group: h5py.Group) -> None:
    """Raise FileFormatError for files of Keras 1 or Theano, whose arrays mean something else."""
    version = entries.read_text(group, "keras_version") or KERAS_VERSION
    backend = entries.read_text(group, "backend") or BACKEND
    if version.split(".")[0] in ("0", "1") or backend == "theano":
        raise entries.broken(
            group,
            "keras_version",
            f"says Keras {version} with {backend}, whose kernels are laid out differently: load it there, with Keras "
            "2.2 and TensorFlow, and save it again",
        )


def _stored_layers(group: h5py.Group) -> dict[str, list[str]]:
    """The names of the weights of each layer that has some."""
    names = {}
    for name in entries.read_names(group, "layer_names"):
        weight_names = entries.read_names(entries.child(group, name), "weight_names")
        if weight_names:
            names[name] = weight_names
    return names


def _match(group: h5py.Group, index: int, layer: Any, name: str, weight_names: list[str]) -> list:
    """(weight, array) for a layer's weights.

    Weights are matched in order, as in Keras, unless the names say exactly which is which: the order depends on what
    was trainable when the file was written.
    """
    weights = weights_of(layer)
    if len(weights) != len(weight_names):
        raise ValueError(
            f'Layer #{index} (named "{layer.name}" in the current model) was found to correspond to layer {name} in '
            f"the save file. However the new layer {layer.name} expects {len(weights)} weights, but the saved weights "
            f"have {len(weight_names)} elements."
        )
    own_names = [weight.name for weight in weights]
    if len(set(own_names)) == len(own_names) and set(own_names) == set(weight_names):
        weight_names = own_names
    stored = entries.child(group, name)
    return [
        (weight, _read_weight(stored, weight_name, weight, f'Layer #{index} (named "{layer.name}")'))
        for weight, weight_name in zip(weights, weight_names, strict=True)
    ]


def _match_top_level(group: h5py.Group, model: Any) -> list:
    if _TOP_LEVEL not in group:
        return []
    stored = entries.child(group, _TOP_LEVEL)
    weight_names, own = entries.read_names(stored, "weight_names"), _top_level_weights(model)
    if not weight_names:
        return []
    if len(weight_names) != len(own):
        raise ValueError(
            f"The file holds {len(weight_names)} weights of the model itself, {weight_names}, but the model has "
            f"{len(own)}, {[weight.name for weight in own]}."
        )
    return [
        (weight, _read_weight(stored, name, weight, "The model itself"))
        for weight, name in zip(own, weight_names, strict=True)
    ]


def _read_weight(group: h5py.Group, name: str, weight: Any, owner: str) -> np.ndarray:
    shape = entries.array_shape(group, name)
    if shape != tuple(weight.shape):
        raise ValueError(
            f"{owner}, weight {weight.name!r} has shape {tuple(weight.shape)}, but the saved weight {name!r} has "
            f"shape {shape}."
        )
    return entries.read_array(group, name, shape)


def _assign(values: Sequence[tuple[Any, np.ndarray]]) -> None:
    for weight, array in values:
        weight.assign(array.astype(weight.dtype.numpy))


# --- limits


def count_stored(group: h5py.Group) -> int:
    """How many numbers the weights in the group have together.

    Raises:
        FileFormatError: The group is broken.
    """
    total = 0
    for name, weight_names in _stored_layers(group).items():
        stored = entries.child(group, name)
        total += sum(math.prod(entries.array_shape(stored, weight_name)) for weight_name in weight_names)
    return total + _count_top_level(group)


def _count_top_level(group: h5py.Group) -> int:
    if _TOP_LEVEL not in group:
        return 0
    stored = entries.child(group, _TOP_LEVEL)
    return sum(math.prod(entries.array_shape(stored, name)) for name in entries.read_names(stored, "weight_names"))
