"""tf.saved_model: any objects with variables in a SavedModel's folder, and models that are called through it."""

from __future__ import annotations

import os
from typing import Any

from distkeras._errors import FileFormatError
from distkeras.core.trackable import is_trackable
from distkeras.keras.saving import saved_model, saved_model_files, tf_graph
from distkeras.keras.saving.checkpoint import strategy_of
from distkeras.keras.saving.formats import SaveOptions, check_options
from distkeras.keras.saving.restored_objects import counterparts, restored, restored_signatures
from distkeras.keras.saving.signatures import functions_of
from distkeras.keras.saving.together import write_once

__all__ = ["DEFAULT_SERVING_SIGNATURE_DEF_KEY", "SERVING", "SaveOptions", "contains_saved_model", "load", "save"]

SERVING = "serve"
DEFAULT_SERVING_SIGNATURE_DEF_KEY = "serving_default"


def contains_saved_model(export_dir: Any) -> bool:
    """Whether a folder holds a SavedModel."""
    return saved_model_files.matches(os.fspath(export_dir))


def save(obj: Any, export_dir: Any, signatures: Any = None, options: Any = None) -> None:
    """Write an object's variables and functions, and for a Keras model its config, to a SavedModel's folder.

    The functions are the object's attributes and methods that are `tf.function`s, and those of what it holds: for their
    `input_signature`, or for all arguments that they were called with. They are written as graphs of TensorFlow's
    operations. Under a strategy every rank calls; rank 0 writes.

    Args:
        obj: A model, a tf.Module, a layer, a Checkpoint, ...
        export_dir: The folder, which is made if need be.
        signatures: A tf.function with an input_signature, a concrete function, or a dict of them by the names under
            which TensorFlow Serving calls them. They take tensors, and give a tensor, a list of them, or a dict of them
            by name. By default a model's forward pass, and nothing of other objects.
        options: A SaveOptions.

    Raises:
        ValueError: The object holds nothing to save, a signature is no such function, or does what cannot be written.
        OSError: It cannot be written.

    >>> import distkeras as tf, os, tempfile
    >>> class Scale(tf.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = tf.Variable(3.0)
    ...     @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    ...     def __call__(self, x):
    ...         return self.factor * x
    >>> folder = os.path.join(tempfile.mkdtemp(), "scale")
    >>> scale = Scale()
    >>> tf.saved_model.save(scale, folder, signatures=scale.__call__)
    >>> loaded = tf.saved_model.load(folder)
    >>> loaded([1.0, 2.0]).numpy()
    array([3., 6.], dtype=float32)
    >>> loaded.signatures["serving_default"](x=tf.constant([1.0]))["output_0"].numpy()
    array([3.], dtype=float32)
    """
    if hasattr(obj, "save") and hasattr(obj, "layers"):
        obj.save(export_dir, save_format="tf", signatures=signatures, options=options)
        return
    check_options(options)
    if not is_trackable(obj) or isinstance(obj, (list, tuple, dict)):
        raise ValueError(
            f"Expected a Trackable object for export, got {obj!r}: put variables into a tf.train.Checkpoint(...)."
        )
    folder = os.fspath(export_dir)
    gathered = tf_graph.gather(obj)
    functions = functions_of(gathered, signatures)
    write_once(strategy_of(obj), folder, lambda: saved_model.write_objects(folder, gathered, functions=functions))


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
    objects = saved_model_files.read_objects(folder)
    functions = saved_model_files.read_functions(folder)
    if not saved_model_files.has_config(objects[0]):
        return restored(objects, functions, folder)
    model = saved_model.read_model_file(folder, compile=False)
    model.__dict__["signatures"] = restored_signatures(objects, counterparts(model, objects), functions)
    return model
