"""tf.saved_model: any objects with variables in a SavedModel's folder, and models that are called through it."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import numpy as np

from distkeras._errors import FileFormatError
from distkeras.core.spec import TensorSpec
from distkeras.core.trackable import AutoTrackable, is_trackable
from distkeras.core.variable import Variable
from distkeras.graph.function import Function
from distkeras.keras.saving import saved_model, tf_graph
from distkeras.keras.saving.checkpoint import strategy_of
from distkeras.keras.saving.restoration import restore
from distkeras.keras.saving.saved_model_graph import SavedObject
from distkeras.keras.saving.tf_bundle import TYPES, Bundle
from distkeras.keras.saving.together import write_once

SERVING = "serve"
DEFAULT_SERVING_SIGNATURE_DEF_KEY = "serving_default"


class RestoredObject(AutoTrackable):
    """What `tf.saved_model.load` makes of an object that is no Keras model with a config: its variables, by name."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"The restored object has no attribute {name!r}: variables, and objects that hold some, were restored, but "
            "no functions. Make the object in Python and restore it with tf.train.Checkpoint."
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raise NotImplementedError: functions are code, of which nothing is read."""
        raise NotImplementedError(
            "The object was restored with its variables, but without its functions, which are graphs of TensorFlow's "
            "operations: make the object in Python and restore it with tf.train.Checkpoint, or load_weights(folder)."
        )


class ServingSignature:
    """A model as a function of named tensors, as TensorFlow serves it.

    Args:
        model: A functional or Sequential model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def structured_input_signature(self) -> tuple[tuple, dict[str, TensorSpec]]:
        """No arguments by position, and the inputs by name."""
        return (), _specs(self._model.input_names, self._model.inputs)

    @property
    def structured_outputs(self) -> dict[str, TensorSpec]:
        """The outputs by name."""
        return _specs(self._model.output_names, self._model.outputs)

    @property
    def inputs(self) -> list[TensorSpec]:
        """What is taken."""
        return list(self.structured_input_signature[1].values())

    @property
    def outputs(self) -> list[TensorSpec]:
        """What is given."""
        return list(self.structured_outputs.values())

    @property
    def name(self) -> str:
        return DEFAULT_SERVING_SIGNATURE_DEF_KEY

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The outputs by name, for a single input, or for inputs by name."""
        names = self._model.input_names
        if len(args) == 1 == len(names) and not kwargs:
            kwargs = {names[0]: args[0]}
        elif args or set(kwargs) != set(names):
            raise TypeError(
                f"The signature takes the inputs {names} by name (a single one also without), received {len(args)} "
                f"without names and {sorted(kwargs)}."
            )
        outputs = self._model([kwargs[name] for name in names] if len(names) > 1 else kwargs[names[0]])
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        return dict(zip(self._model.output_names, outputs, strict=True))


def _specs(names: list[str], tensors: list[Any]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(tensor.shape, tensor.dtype, name) for name, tensor in zip(names, tensors, strict=True)}


def contains_saved_model(export_dir: Any) -> bool:
    """Whether a folder holds a SavedModel."""
    return saved_model.matches(os.fspath(export_dir))


def save(obj: Any, export_dir: Any, signatures: Any = None, options: Any = None) -> None:
    """Write an object's variables, and for a Keras model its config, to a SavedModel's folder.

    Under a strategy every rank calls; rank 0 writes.

    Args:
        obj: A functional or Sequential model; or a layer, a Checkpoint, ... of which the variables are kept.
        export_dir: The folder, which is made if need be.
        signatures, options: Choose functions to be written; the forward pass is, and nothing else, so must be None.

    Raises:
        NotImplementedError: A model made by subclassing: only its weights can be saved.
        ValueError: The object holds nothing to save, or signatures are asked for.
        OSError: It cannot be written.

    >>> import distkeras as tf, os, tempfile
    >>> folder = os.path.join(tempfile.mkdtemp(), "numbers")
    >>> tf.saved_model.save(tf.train.Checkpoint(v=tf.Variable([1.0, 2.0])), folder)
    >>> tf.saved_model.load(folder).v.numpy()
    array([1., 2.], dtype=float32)
    """
    if hasattr(obj, "save") and hasattr(obj, "layers"):
        obj.save(export_dir, save_format="tf", signatures=signatures, options=options)
        return
    if signatures is not None or options is not None:
        raise ValueError(
            "`signatures` and `options` choose functions for a SavedModel. A model's forward pass is written as the "
            "signature 'serving_default' anyway, and nothing else is: leave them out."
        )
    if not is_trackable(obj) or isinstance(obj, (list, tuple, dict)):
        raise ValueError(
            f"Expected a Trackable object for export, got {obj!r}: put variables into a tf.train.Checkpoint(...)."
        )
    folder = os.fspath(export_dir)
    _warn_of_functions(obj)
    write_once(strategy_of(obj), folder, lambda: saved_model.write_objects(folder, tf_graph.gather(obj)))


def _warn_of_functions(obj: Any) -> None:
    names = [
        name for name, value in getattr(obj, "__dict__", {}).items() if callable(value) and not is_trackable(value)
    ]
    names += [name for cls in type(obj).__mro__ for name, value in vars(cls).items() if isinstance(value, Function)]
    if names:
        warnings.warn(f"The functions {names} are not written to the SavedModel: only variables are.", stacklevel=3)


def load(export_dir: Any, tags: Any = None) -> Any:
    """What `save`, `Model.save` or TensorFlow has written to a SavedModel's folder.

    Args:
        export_dir: The folder.
        tags: 'serve' or None; there is nothing else in such folders.

    Returns:
        A Keras model, made from its config, with `signatures["serving_default"]`. Of other objects a tree of attributes
        with the variables; functions are not restored.

    Raises:
        OSError: There is no such folder, or it is damaged.
        ValueError: Other tags, or a class that is not known: use `tf.keras.models.load_model` with `custom_objects`.
    """
    wanted = [tags] if isinstance(tags, str) else tags
    if wanted is not None and set(wanted) != {SERVING}:
        raise ValueError(f"A SavedModel of TensorFlow 2 has the tags ['{SERVING}'], not {tags!r}: leave them out.")
    folder = os.fspath(export_dir)
    if not contains_saved_model(folder):
        raise FileFormatError(f"{folder} is no folder with a file saved_model.pb.")
    objects = saved_model.read_objects(folder)
    if objects[0].kind.startswith(saved_model.KERAS_KIND) and objects[0].metadata.get("config"):
        model = saved_model.read_model_file(folder, compile=False)
        model.__dict__["signatures"] = {DEFAULT_SERVING_SIGNATURE_DEF_KEY: ServingSignature(model)}
        return model
    return _restored(objects, folder)


def _restored(objects: list[SavedObject], folder: str) -> Any:
    prefix = saved_model.variables_prefix(folder)
    _check_sizes(objects, prefix)
    made = [_made(entry, folder) for entry in objects]
    for entry, target in zip(objects, made, strict=True):
        for name, number in entry.node.children.items():
            if made[number] is None:
                continue
            if isinstance(target, list):
                target.append(made[number])
            elif isinstance(target, dict):
                target[name] = made[number]
            elif isinstance(target, RestoredObject):
                setattr(target, name, made[number])
    restore(made[0], prefix)
    made[0].__dict__["signatures"] = {}
    return made[0]


def _check_sizes(objects: list[SavedObject], prefix: str) -> None:
    """Raise FileFormatError if the variables were to have more elements than are stored."""
    claimed = sum(math.prod(entry.variable.shape) for entry in objects if entry.variable is not None)
    stored = sum(math.prod(entry.shape) for entry in Bundle(prefix).entries.values())
    if claimed > stored:
        raise FileFormatError(f"{prefix}: variables of {claimed} elements are claimed, but only {stored} are stored.")


def _made(entry: SavedObject, folder: str) -> Any:
    """The empty object; None for a function."""
    if entry.variable is not None:
        number, shape, trainable, name = entry.variable
        if number not in TYPES or TYPES[number] == "string":
            raise FileFormatError(f"{folder}: the variable {name!r} has an element type that variables cannot have.")
        return Variable(np.zeros(shape, TYPES[number]), trainable=trainable, name=name)
    if entry.kind.endswith("dict_wrapper"):
        return {}
    if entry.kind.endswith(("list_wrapper", "tuple_wrapper")):
        return []
    return RestoredObject() if entry.kind else None
