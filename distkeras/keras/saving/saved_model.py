"""SavedModels: folders with a Keras model's config, weights and optimizer, in TensorFlow's files.

    FOLDER/saved_model.pb        the objects and, as TF 2.0 has it, their configs: see saved_model_graph
    FOLDER/keras_metadata.pb     the configs again, where later versions look for them
    FOLDER/variables/variables   a checkpoint: see tf_bundle
    FOLDER/assets/               for other files; empty

If the inputs of a model are known, saved_model.pb also holds its forward pass as a graph of TensorFlow's operations,
which TensorFlow Serving runs: see exporting.tensorflow. Here models are made from their configs; no graph is read.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from distkeras._errors import FileFormatError
from distkeras.core import deferred
from distkeras.core.trackable import is_optimizer
from distkeras.core.variable import Variable
from distkeras.keras import layers
from distkeras.keras.layers.arguments import map_shapes
from distkeras.keras.layers.base import Layer
from distkeras.keras.layers.tracking import is_metric
from distkeras.keras.layers.weight_budget import weight_budget
from distkeras.keras.saving import saved_model_graph, tf_checkpoint, tf_graph, training_config
from distkeras.keras.saving.exporting.tensorflow.serving import KEY, Functions
from distkeras.keras.saving.files import making_of_config, written_atomically
from distkeras.keras.saving.restoration import CheckpointLoadStatus, Restoration
from distkeras.keras.saving.restored_objects import RestoredObject
from distkeras.keras.saving.revived_model import is_revived, revived_model
from distkeras.keras.saving.saved_model_files import (
    FILE,
    KERAS_KIND,
    METADATA,
    matches,
    read_functions,
    read_objects,
    variables_prefix,
)
from distkeras.keras.saving.saved_model_graph import SavedObject
from distkeras.keras.saving.serialize import get_registered_name, json_value
from distkeras.keras.saving.signatures import add_calls, forward_pass, functions_of
from distkeras.keras.saving.tf_bundle import Bundle, write_bundle
from distkeras.keras.saving.translate import plain_config

__all__ = ["matches", "read_model_file", "read_weights_file", "write_model", "write_objects"]

NEEDS_VARIABLES = False

# --- writing


def write_model(folder: str, model: Any, include_optimizer: bool = True, signatures: Any = None) -> None:
    """Write a model's folder; to be called by the one rank that writes. Each file is there as a whole or not at all.

    Args:
        folder: Is made if need be; other files in it are left alone.
        model: Whose config makes it again, or whose inputs are known: then its forward pass, for prediction and for
            training, takes the place of a config.
        include_optimizer: Whether to store what it was compiled with and the optimizer's state.
        signatures: A function, or a dict of them by name, to be served instead of the forward pass.

    Raises:
        ValueError: A signature is none; or the model has neither config nor known inputs, or does what cannot be
            written.
    """
    with _optimizer_left_out(model, not include_optimizer):
        gathered = tf_graph.gather(model)
        metadata = _model_metadata(model)
        functions = functions_of(gathered, signatures, passed_over=(RestoredObject,))  # they are parts of its own
        if "model_config" not in metadata:
            add_calls(functions, model)
        if signatures is None:
            _add_forward_pass(functions, model, "model_config" in metadata)
        write_objects(folder, gathered, metadata, functions)


def _add_forward_pass(functions: Functions, model: Any, has_config: bool) -> None:
    """Serve what a model computes, if its inputs are known; where a config makes it, it can be left out."""
    if not model.built or not (model.inputs or model.input_specs):
        return
    try:
        functions.signatures[KEY] = forward_pass(functions.library, model)
    except ValueError as error:
        if not has_config:
            raise
        warnings.warn(f"The SavedModel can be loaded, but not served by TensorFlow: {error}", stacklevel=2)


def write_objects(
    folder: str, gathered: tf_graph.Gathered, more: Mapping[str, Any] | None = None, functions: Functions | None = None
) -> None:
    """Write the folder of any objects; saved_model.pb, without which there is no SavedModel, comes last.

    Args:
        folder: Is made if need be.
        gathered: The objects.
        more: Metadata of the first.
        functions: What they can do.
    """
    described = [_described(entry) for entry in gathered.objects]
    described[0][1].update(more or {})
    for part in ("assets", "variables"):
        os.makedirs(os.path.join(folder, part), exist_ok=True)
    write_bundle(variables_prefix(folder), gathered.arrays())
    contents = {
        METADATA: saved_model_graph.encode_metadata(described, _paths(gathered)),
        FILE: saved_model_graph.encode(gathered, described, functions),
    }
    for name, content in contents.items():
        with written_atomically(os.path.join(folder, name)) as path, open(path, "xb") as file:
            file.write(content)


@contextlib.contextmanager
def _optimizer_left_out(model: Any, is_left_out: bool) -> Iterator[None]:
    optimizer = model.__dict__.get("optimizer")
    if is_left_out:
        model.__dict__["optimizer"] = None
    try:
        yield
    finally:
        if is_left_out:
            model.__dict__["optimizer"] = optimizer


def _paths(gathered: tf_graph.Gathered) -> list[str]:
    paths = ["root"] + [""] * (len(gathered.nodes) - 1)
    for number, node in enumerate(gathered.nodes):
        for name, child in node.children.items():
            paths[child] = paths[child] or f"{paths[number]}.{name}"
    return paths


def _described(entry: Any) -> tuple[str, dict[str, Any]]:
    """The kind of an object, and its metadata if it is one of Keras'."""
    if isinstance(entry, Variable):
        return "", {}
    if isinstance(entry, (list, tuple, dict)):
        kinds = {list: "list", tuple: "tuple", dict: "dict"}
        return f"trackable_{next(kinds[kind] for kind in kinds if isinstance(entry, kind))}_wrapper", {}
    if is_optimizer(entry):
        return "optimizer", {}
    if not isinstance(entry, Layer):
        return "_generic_user_object", {}
    return KERAS_KIND + _kind(entry), _plain(_layer_metadata(entry))


def _kind(layer: Any) -> str:
    if is_metric(layer):
        return "metric"
    if "_stack" in vars(layer):
        return "sequential"
    if hasattr(layer, "layers"):
        return "network" if getattr(layer, "_is_graph_network", False) else "model"
    return "input_layer" if isinstance(layer, layers.InputLayer) else "layer"


def _layer_metadata(layer: Any) -> dict[str, Any]:
    metadata = {
        "class_name": get_registered_name(type(layer)),
        "name": layer.name,
        "trainable": layer.trainable,
        "expects_training_arg": layer._call_signature.expects("training"),
        "dtype": layer.dtype,
        "batch_input_shape": layer._batch_input_shape,
    }
    with contextlib.suppress(NotImplementedError):  # what has no config can still be a part of a model that has one
        metadata["config"] = layer.get_config()
    with contextlib.suppress(AttributeError, RuntimeError):  # inner layers were not called on symbolic tensors
        metadata["build_input_shape"] = map_shapes(
            lambda shape: {"class_name": "TensorShape", "items": list(shape)}, layer.input_shape
        )
    return metadata


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(metadata, default=json_value))


def _model_metadata(model: Any) -> dict[str, Any]:
    """What is stored of a model beside what is of every layer; `model_config` if its config makes it again."""
    more = {"is_graph_network": getattr(model, "_is_graph_network", False)}
    with contextlib.suppress(NotImplementedError):
        whole = model._updated_config()
        more |= {"keras_version": whole["keras_version"], "backend": whole["backend"]}
        more["model_config"] = {"class_name": whole["class_name"], "config": whole["config"]}
    if model.__dict__.get("optimizer") is not None:
        more["training_config"] = training_config.training_config(model)
    return _plain(more)


# --- reading


def read_model_file(path: str, custom_objects: Mapping[str, Any] | None = None, compile: bool = True) -> Any:
    """The model in a folder.

    Args:
        path: The folder.
        custom_objects: Classes and functions by the names that the configs give them.
        compile: Whether to compile it as it was when it was stored.

    Raises:
        FileFormatError: The folder is damaged or holds no Keras model.
        ValueError: It names a class or function that is not known, or the model has no config.
    """
    objects = read_objects(path)
    root = objects[0]
    if is_revived(root, custom_objects):
        model = revived_model(objects, read_functions(path), path)
    else:
        model = _made_from_config(root, path, custom_objects)
    bundle = Bundle(variables_prefix(path))
    if compile:
        _compile(path, model, root.metadata.get("training_config"), custom_objects)
    restoration = Restoration(model, bundle)
    restoration.go_on()
    if model.built:  # what is left over, such as the state of an optimizer that is not wanted, must not come later
        deferred.stop(model)
        _check_weights(path, model, restoration)
    return model


def read_weights_file(path: str, model: Any, by_name: bool = False) -> CheckpointLoadStatus:
    """Give a model the weights of a SavedModel; see `tf_checkpoint.read_weights_file`."""
    return tf_checkpoint.read_weights_file(variables_prefix(path), model, by_name)


def _made_from_config(root: SavedObject, path: str, custom_objects: Mapping[str, Any] | None) -> Any:
    config = _config_of(root, path)
    count = sum(math.prod(entry.shape) for entry in Bundle(variables_prefix(path)).entries.values())
    with weight_budget(count, "the file holds"), making_of_config(path):
        return layers.deserialize(plain_config(config), custom_objects)


def _config_of(root: SavedObject, path: str) -> dict[str, Any]:
    if not root.kind.startswith(KERAS_KIND):
        raise FileFormatError(
            f"{path} holds no Keras model but an object of the kind {root.kind!r}: read its variables with "
            "tf.saved_model.load(path)."
        )
    name, config = root.metadata.get("class_name"), root.metadata.get("config")
    if not isinstance(name, str) or not config:
        raise ValueError(
            f"{path} holds the model {name!r} without a config, since it is defined by its `call`, which is code, and "
            "without its functions: make it in Python and use model.load_weights(path)."
        )
    return {"class_name": name, "config": config}


def _compile(path: str, model: Any, config: Any, custom_objects: Mapping[str, Any] | None) -> None:
    if not config:
        training_config.warn_not_compiled()
        return
    with making_of_config(path):
        training_config.compile_from(model, config, custom_objects)


def _check_weights(path: str, model: Any, restoration: Restoration) -> None:
    """Raise FileFormatError unless all weights of the model have been read."""
    read = {id(variable) for variables in restoration.restored.values() for variable in variables}
    missing = [weight.name for weight in model.weights if id(weight) not in read]
    if missing:
        raise FileFormatError(f"{path} has no values for {len(missing)} of the model's weights, such as {missing[:3]}.")
