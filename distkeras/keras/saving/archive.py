"""Reading the `.keras` archives of Keras 3; `archive_writing` writes them.

    config.json         the model, and what it was compiled with
    model.weights.h5    layers/dense/vars/0, layers/dense/vars/1, layers/dense_1/vars/0, ...
                        optimizer/vars/0 (iterations), 1 (learning rate), then the slots
    metadata.json       the version of Keras

A group is called after the layer's class, numbered within its model; what lies inside of a layer has its own group.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import h5py

from distkeras._errors import FileFormatError
from distkeras.keras import layers, optimizers
from distkeras.keras.layers.weight_budget import weight_budget
from distkeras.keras.saving import h5, training_config
from distkeras.keras.saving import h5_entries as entries
from distkeras.keras.saving.translate import plain_config

NEEDS_VARIABLES = True
WEIGHTS = "model.weights.h5"
CONFIG = "config.json"
_MOST_CONFIG_BYTES = 1 << 28
# Keras stores without compressing; an archive that was packed again may be smaller, but not by any factor.
_MOST_COMPRESSION = 20
# Where layers keep the layers inside of them.
_PROJECTIONS = [f"{mark}{name}_dense" for mark in ("_", "") for name in ("query", "key", "value", "output")]
INNER = ("cell", "layer", "forward_layer", "backward_layer", "embedding", *_PROJECTIONS)
# The slots of an optimizer in the order in which the archive numbers them, where there is only one such order.
_SLOTS = {"Adam": ("m", "v"), "SGD": ("momentum",), "RMSprop": ("rms",)}


def matches(path: str) -> bool:
    """Whether the file is a zip archive, whatever it is called."""
    return zipfile.is_zipfile(path)


def read_model_file(path: str, custom_objects: Mapping[str, Any] | None = None, compile: bool = True) -> Any:
    """The model in an archive.

    Args:
        path: The archive.
        custom_objects: Classes and functions by the names that the file gives them.
        compile: Whether to compile it as it was when it was stored.

    Raises:
        FileFormatError: The archive is damaged or holds no model.
        ValueError: It names a class or function that is not known.
    """
    with _opened(path) as archive, _weights(archive, path) as weights:
        config = _json(archive, path)
        with weight_budget(_count(weights), "the file holds"), entries.reading_config(weights, CONFIG):
            model = layers.deserialize(plain_config(config), custom_objects)
        _assign(_match(weights, config, model))
        if compile:
            _compile(weights, config.get("compile_config"), model, custom_objects)
    return model


def read_weights_file(path: str, model: Any, by_name: bool = False) -> None:
    """Set a model's weights from an archive; layers are found by name.

    Raises:
        FileFormatError: The archive is damaged.
        ValueError: The weights do not fit; nothing is changed then.
    """
    with _opened(path) as archive, _weights(archive, path) as weights:
        _assign(_match(weights, _json(archive, path), model, only_known=by_name))


# --- the archive


@contextlib.contextmanager
def _opened(path: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in (CONFIG, WEIGHTS):
                if name not in archive.namelist():
                    raise FileFormatError(f"{path}: entry {name} is missing: the archive holds no Keras model.")
            yield archive
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise FileFormatError(f"{path} is a damaged archive: {error}") from error


def _json(archive: zipfile.ZipFile, path: str) -> dict[str, Any]:
    with archive.open(CONFIG) as file:
        text = file.read(_MOST_CONFIG_BYTES + 1)
    try:
        if len(text) > _MOST_CONFIG_BYTES:
            raise ValueError(f"it has over {_MOST_CONFIG_BYTES} bytes")
        config = json.loads(text)
        if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
            raise ValueError("it describes no model")
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: entry {CONFIG} cannot be read: {error}.") from error
    return config


@contextlib.contextmanager
def _weights(archive: zipfile.ZipFile, path: str) -> Iterator[h5py.File]:
    """The file of weights, taken out of the archive: HDF5 needs to seek in it."""
    limit = _MOST_COMPRESSION * os.path.getsize(path)
    with tempfile.TemporaryDirectory(prefix="distkeras-") as folder:
        extracted = os.path.join(folder, WEIGHTS)
        with archive.open(WEIGHTS) as source, open(extracted, "wb") as target:
            while chunk := source.read(1 << 20):
                if target.tell() + len(chunk) > limit:
                    raise FileFormatError(
                        f"{path}: entry {WEIGHTS} is over {_MOST_COMPRESSION} times as large as the file."
                    )
                target.write(chunk)
        if not h5.matches(extracted):
            raise FileFormatError(f"{path}: entry {WEIGHTS} is not HDF5.")
        with h5.opened(extracted) as file:
            yield file


# --- weights


def _count(group: h5py.Group) -> int:
    """How many numbers a group and those inside of it hold."""
    total = 0
    for name in group:
        if isinstance(group.get(name, getclass=True), type) and group.get(name, getclass=True) is h5py.Group:
            total += _count(entries.child(group, name))
        else:
            total += math.prod(entries.array_shape(group, name))
    return total


def _match(group: h5py.Group, config: Mapping[str, Any], model: Any, only_known: bool = False) -> list:
    """(variable, group, name of the array) for all weights of a model's layers."""
    known = {layer.name: layer for layer in model.layers}
    pairs: list = []
    for name, place, entry in places(config):
        if not only_known and name not in known and _arrays(group, place):
            raise ValueError(f"The archive has a layer {name!r}, which the model has not: {list(known)}.")
        if name not in known:
            continue
        layer = known.pop(name)
        if "layers" in entry["config"]:
            pairs += _match(entries.child(group, place), entry, layer)
        else:
            pairs += _match_layer(group, place, layer)
    missing = [layer.name for layer in known.values() if layer.weights]
    if missing and not only_known:
        raise ValueError(f"The model has layers that the archive has not: {missing}.")
    return pairs


def places(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each layer's name, its group, and its entry in the config."""
    used: dict[str, int] = {}
    for entry in config["config"].get("layers", ()):
        word = _snake_case(entry["class_name"])
        count = used[word] = used.get(word, -1) + 1
        yield entry["config"]["name"], f"layers/{word}_{count}" if count else f"layers/{word}", entry


def _snake_case(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _match_layer(group: h5py.Group, place: str, layer: Any) -> list:
    weights = [*layer.trainable_weights, *layer.non_trainable_weights]
    arrays = _arrays(group, place)
    if len(weights) != len(arrays):
        raise ValueError(
            f"The layer {layer.name!r} has {len(weights)} weights, but the archive has {len(arrays)} at {place}."
        )
    for weight, (parent, name) in zip(weights, arrays, strict=True):
        shape = entries.array_shape(parent, name)
        if shape != tuple(weight.shape):
            raise ValueError(
                f"The weight {weight.name!r} has shape {tuple(weight.shape)}, but the saved weight has {shape}."
            )
    return [(weight, *array) for weight, array in zip(weights, arrays, strict=True)]


def _arrays(group: h5py.Group, place: str) -> list[tuple[h5py.Group, str]]:
    """A layer's own arrays, then those of the layers inside of it."""
    if place not in group:
        return []
    found = entries.child(group, place)
    arrays = []
    if "vars" in found:
        own = entries.child(found, "vars")
        arrays = [(own, str(index)) for index in range(len(own))]
    return arrays + [array for inner in INNER if inner in found for array in _arrays(found, inner)]


def _assign(pairs: Sequence[tuple[Any, h5py.Group, str]]) -> None:
    read = [(weight, entries.read_array(group, name, tuple(weight.shape))) for weight, group, name in pairs]
    for weight, array in read:
        weight.assign(array.astype(weight.dtype.numpy))


# --- training


def _compile(weights: h5py.File, config: Any, model: Any, custom_objects: Mapping[str, Any] | None) -> None:
    if not config:
        training_config.warn_not_compiled()
        return
    optimizer = config.get("optimizer") or _optimizer_by_name(weights)
    if isinstance(optimizer, str):
        optimizer = {"class_name": optimizer, "config": {}}
    with entries.reading_config(weights, "compile_config"):
        training_config.compile_from(model, {**config, "optimizer_config": optimizer}, custom_objects)
    if "optimizer" in weights:
        _read_optimizer(entries.child(weights, "optimizer/vars"), model.optimizer, model.trainable_weights)


def _optimizer_by_name(weights: h5py.File) -> dict[str, Any]:
    """A config for the optimizer, where the archive only tells its name."""
    name, settings = "rmsprop", {}
    if "optimizer" in weights:
        stored = entries.child(weights, "optimizer/vars")
        name = re.sub(r"_\d+$", "", entries.read_text(stored, "name") or name)
        if "1" in stored and entries.array_shape(stored, "1") == ():
            settings = {"learning_rate": float(entries.read_array(stored, "1", ()))}
    if name not in optimizers.OPTIMIZERS:
        name = "rmsprop"
    warnings.warn(
        f"The archive does not hold the settings of its optimizer: compiled with {name!r} and "
        f"{settings or 'its defaults'}. "
        "Compile the model to set others.",
        stacklevel=6,
    )
    return {"class_name": name, "config": settings}


def has_schedule(optimizer: Any) -> bool:
    """Whether an optimizer's learning rate is a function of the step: then archives hold no value of it."""
    return isinstance(optimizer.learning_rate, optimizers.schedules.LearningRateSchedule)


def _read_optimizer(group: h5py.Group, optimizer: Any, variables: Sequence[Any]) -> None:
    optimizer.build(variables)
    slots = tuple(optimizer.get_slot_names())
    expected = [optimizer.get_slot(variable, slot) for variable in variables for slot in slots]
    first = 1 if has_schedule(optimizer) else 2
    names = [str(index + first) for index in range(len(expected))]
    fits = (
        slots == _SLOTS.get(type(optimizer).__name__, ())[: len(slots)]
        and len(group) == len(expected) + first
        and all(entries.array_shape(group, n) == tuple(w.shape) for n, w in zip(names, expected, strict=True))
    )
    if not fits:
        warnings.warn(
            "Error in loading the saved optimizer state: its weights are others. As a result, your model is starting "
            "with a freshly initialized optimizer.",
            stacklevel=6,
        )
        return
    pairs = [(optimizer.iterations, group, "0")]
    _assign(pairs + [(weight, group, name) for weight, name in zip(expected, names, strict=True)])
