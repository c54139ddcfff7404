"""tf.saved_model: any objects with variables in a SavedModel's folder, and models that are called through it."""

from __future__ import annotations

import os
import warnings
from typing import Any

from distkeras._errors import FileFormatError
from distkeras.core.trackable import is_trackable
from distkeras.graph.function import Function
from distkeras.keras.saving import saved_model, tf_graph
from distkeras.keras.saving.checkpoint import strategy_of
from distkeras.keras.saving.restored_objects import counterparts, restored, restored_signatures
from distkeras.keras.saving.together import write_once

SERVING = "serve"
DEFAULT_SERVING_SIGNATURE_DEF_KEY = "serving_default"


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
        A Keras model, made from its config. Of other objects a tree of attributes with the variables, and the functions
        for the arguments that they were saved for. Both have `signatures`, functions of tensors by name; see
        `restored_functions`.

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
    functions = saved_model.read_functions(folder)
    if not saved_model.has_config(objects[0]):
        return restored(objects, functions, folder)
    model = saved_model.read_model_file(folder, compile=False)
    model.__dict__["signatures"] = restored_signatures(objects, counterparts(model, objects), functions)
    return model
