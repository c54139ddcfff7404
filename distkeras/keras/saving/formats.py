"""`save_model`, `load_model` and the same for weights: which format a file has, and which rank writes it.

What a file holds decides how it is read, never its name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any

import h5py

from distkeras._errors import FileFormatError
from distkeras.keras.saving import archive, archive_writing, h5, saved_model, tf_checkpoint
from distkeras.keras.saving.checkpoint import write_objects
from distkeras.keras.saving.files import may_write, written_atomically
from distkeras.keras.saving.tf_bundle import index_path
from distkeras.keras.saving.together import write_once

# Each has matches(path), read_model_file(path, custom_objects, compile), read_weights_file(path, model, by_name), and
# NEEDS_VARIABLES, whether a model must be built before its weights are read.
FORMATS = {"SavedModel": saved_model, "TensorFlow checkpoint": tf_checkpoint, "HDF5": h5, "Keras 3 archive": archive}

_HDF5_ENDINGS = (".h5", ".hdf5", ".keras")
_HDF5_NAMES = ("h5", "hdf5", "keras")
_TF_NAMES = ("tf", "tensorflow")
_ARCHIVE_NAME = "keras_v3"


def save_model(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    include_optimizer: bool = True,
    save_format: str | None = None,
    signatures: Any = None,
    options: Any = None,
) -> None:
    """Save a model: architecture, weights, what it was compiled with and the optimizer's state.

    Under a strategy every rank must call; rank 0 writes, and all return when the file is there. It is the same file
    whatever the number of ranks, and a process that is killed while writing leaves the previous one intact.

    Args:
        model: A functional or Sequential model.
        filepath: A path ending in .h5, .hdf5 or .keras for HDF5, or an `h5py.File` or `h5py.Group` to write into;
            otherwise a folder, which becomes a SavedModel.
        overwrite: Whether to replace an existing file or folder; if not, asks at the terminal.
        include_optimizer: Whether to store what `compile` was given and the optimizer's state.
        save_format: 'h5' or 'tf', or None to go by the path's ending; 'keras_v3' for an archive of Keras 3, which then
            loads the optimizer's state as well.
        signatures: For a SavedModel a tf.function with an input_signature, a concrete function, or a dict of them by
            the names under which they are served; by default the forward pass, as 'serving_default'.
        options: A tf.saved_model.SaveOptions.

    Raises:
        ValueError: The format is unknown, or has no signatures; a signature is none; or the model is made by
            subclassing and its inputs are not known yet.
        OSError: The file cannot be written, or exists, is not to be replaced, and there is nobody to ask.

    >>> import distkeras as tf, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.h5")
    >>> model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    >>> model.save(path, include_optimizer=False)
    >>> tf.keras.models.load_model(path, compile=False).count_params()
    8
    """
    check_options(options)
    if signatures is not None and (_is_archive(filepath, save_format) or _is_hdf5(filepath, save_format)):
        raise ValueError(
            f"`signatures` are functions of a SavedModel, and {filepath!r} becomes one file: leave them out."
        )
    if _is_archive(filepath, save_format):
        _write(
            model,
            filepath,
            overwrite,
            None,
            lambda path: archive_writing.write_model_file(path, model, include_optimizer),
        )
    elif _is_hdf5(filepath, save_format):
        _write(
            model,
            filepath,
            overwrite,
            lambda group: h5.write_model(group, model, include_optimizer),
            lambda path: h5.write_model_file(path, model, include_optimizer),
        )
    else:
        folder = os.fspath(filepath)
        _write_tensorflow(
            model,
            folder,
            folder,
            overwrite,
            lambda: saved_model.write_model(folder, model, include_optimizer, signatures),
        )


class SaveOptions:
    """`tf.saved_model.SaveOptions`: how a SavedModel is written.

    Args:
        save_debug_info: Must be False: graphs are made of equations, which do not know the lines of Python they are of.

    Raises:
        ValueError: It is True.
    """

    def __init__(self, save_debug_info: bool = False) -> None:
        if save_debug_info:
            raise ValueError(
                "save_debug_info=True is not available: a SavedModel holds no lines of Python; leave it out."
            )
        self.save_debug_info = False


def check_options(options: Any) -> None:
    """Raise ValueError unless these are SaveOptions, or None."""
    if options is not None and not isinstance(options, SaveOptions):
        raise ValueError(f"`options` must be a tf.saved_model.SaveOptions or None, received {options!r}.")


def save_weights(model: Any, filepath: Any, overwrite: bool = True, save_format: str | None = None) -> None:
    """Save the weights of a model's layers; see `save_model` for ranks.

    Args:
        model: Its weights exist.
        filepath: A path ending in .h5, .hdf5 or .keras for HDF5, or an `h5py.File` or `h5py.Group` to write into;
            otherwise how the names of a TensorFlow checkpoint's files begin, which holds the optimizer's state as well.
        overwrite: Whether to replace existing files; if not, asks at the terminal.
        save_format: 'h5' or 'tf', or None to go by the path's ending.

    Raises:
        ValueError: The model has no weights yet, or the format is unknown.
        OSError: As for `save_model`.
    """
    is_hdf5 = _is_hdf5(filepath, save_format)
    if not _has_variables(model):
        raise ValueError(
            f"Weights for model {model.name} have not yet been created. Weights are created when the Model is first "
            "called on inputs or `build()` is called with an `input_shape`."
        )
    if is_hdf5:
        _write(
            model,
            filepath,
            overwrite,
            lambda group: h5.h5_weights.write_layers(group, model),
            lambda path: h5.write_weights_file(path, model),
        )
    else:
        prefix = os.fspath(filepath)
        _write_tensorflow(
            model, prefix, index_path(prefix), overwrite, lambda: write_objects(model, prefix, is_latest=True)
        )


def _is_archive(filepath: Any, save_format: str | None) -> bool:
    """Whether an archive of Keras 3 is asked for.

    Raises:
        ValueError: The path says otherwise; Keras 3 would not read it.
    """
    if save_format is None or str(save_format).lower().strip() != _ARCHIVE_NAME:
        return False
    if isinstance(filepath, h5py.Group) or not os.fspath(filepath).endswith(".keras"):
        raise ValueError(f'save_format="{_ARCHIVE_NAME}" needs a path that ends in .keras, received {filepath!r}.')
    return True


def _is_hdf5(filepath: Any, save_format: str | None) -> bool:
    """Whether HDF5 is asked for, rather than TensorFlow's format."""
    if isinstance(filepath, h5py.Group):
        return True
    path = os.fspath(filepath)
    is_hdf5_path = path.endswith(_HDF5_ENDINGS)
    wanted = save_format if save_format is None else str(save_format).lower().strip()
    if wanted is not None and wanted not in _HDF5_NAMES + _TF_NAMES:
        raise ValueError(f'Unknown format "{save_format}". Was expecting one of {{"tf", "h5"}}.')
    if wanted in _TF_NAMES and is_hdf5_path:
        raise ValueError(
            f'save_format="{save_format}" contradicts the path {path!r}, which looks like an HDF5 file: leave one of '
            "them out."
        )
    return is_hdf5_path if wanted is None else wanted in _HDF5_NAMES


def _write_tensorflow(model: Any, path: str, existing: str, overwrite: bool, write: Callable[[], None]) -> None:
    def write_here() -> None:
        if may_write(existing, overwrite):
            write()

    write_once(model.distribute_strategy, path, write_here)


def _write(model: Any, filepath: Any, overwrite: bool, into_group: Callable, to_path: Callable) -> None:
    """Write on rank 0; all ranks return, or raise, together."""
    strategy = model.distribute_strategy
    write_once(strategy, filepath, lambda: _write_here(filepath, overwrite, into_group, to_path))


def _write_here(filepath: Any, overwrite: bool, into_group: Callable, to_path: Callable) -> None:
    if isinstance(filepath, h5py.Group):
        into_group(filepath)
        return
    path = os.fspath(filepath)
    if may_write(path, overwrite):
        with written_atomically(path) as temporary:
            to_path(temporary)


# --- reading


def load_model(filepath: Any, custom_objects: Mapping[str, Any] | None = None, compile: bool = True) -> Any:
    """Load a model that `Model.save` has written, here or in TensorFlow or Keras.

    No code in the file is run: classes and functions of your own must be given in `custom_objects`.

    Args:
        filepath: The file, or an open `h5py.File` or `h5py.Group`.
        custom_objects: Classes and functions by the names that the file gives them.
        compile: Whether to compile the model as it was when it was saved.

    Returns:
        The model, with its weights, and with the optimizer's state if the file has it.

    Raises:
        OSError: There is no such file, or it is damaged or no model (`tf.errors.FileFormatError`).
        ValueError: It names a class or function that is not known.
    """
    if isinstance(filepath, h5py.Group):
        return h5.read_model(filepath, custom_objects, compile)
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise TypeError(
            f"`custom_objects` must be a dict of classes and functions by name, received {custom_objects!r}."
        )
    path = _path(filepath)
    return _format_of(path).read_model_file(path, custom_objects, compile)


def load_weights(model: Any, filepath: Any, by_name: bool = False) -> Any:
    """Set a model's weights from a file of weights, or of a whole model.

    Args:
        model: Its layers must be those of the model that was saved, in that order, whatever they are called.
        filepath: The file, or an open `h5py.File` or `h5py.Group`; or how the names of a TensorFlow checkpoint's files
            begin, which `tf.train.latest_checkpoint` gives; or a SavedModel's folder.
        by_name: Set only the layers whose names are in the file, whatever their order; HDF5 and archives only.

    Returns:
        For TensorFlow's formats a status, whose `assert_consumed()` raises AssertionError if something is left over.
        There a model may be without weights: they take their values when they are made.

    Raises:
        OSError: There is no such file, or it is damaged or holds no weights.
        ValueError: The weights do not fit, or the model has none yet. Nothing is changed then.
    """
    if isinstance(filepath, h5py.Group):
        _check_built(model)
        return h5.read_weights(filepath, model, by_name)
    path = _path(filepath)
    found = _format_of(path)
    if found.NEEDS_VARIABLES:
        _check_built(model)
    return found.read_weights_file(path, model, by_name)


def _has_variables(model: Any) -> bool:
    """Whether the variables are there: the model was called, or consists of layers that were built by themselves."""
    inside = [layer for layer in model._flatten_layers() if layer is not model]
    return model.built or (bool(inside) and all(layer.built for layer in inside))


def _check_built(model: Any) -> None:
    if not _has_variables(model):
        raise ValueError(
            "Unable to load weights saved in HDF5 format into a subclassed Model which has not created its variables "
            "yet. Call the Model first, then load the weights."
        )


def _path(filepath: Any) -> str:
    if filepath is None:
        raise ValueError(
            "The path to load from is None, which tf.train.latest_checkpoint gives for a folder without checkpoints."
        )
    return os.fspath(filepath)


def _format_of(path: str) -> Any:
    """The format that a file, or what has this path in common, has by its content.

    Raises:
        OSError: It does not exist, or is in no known format.
    """
    for name in ("SavedModel", "TensorFlow checkpoint"):
        if FORMATS[name].matches(path):
            return FORMATS[name]
    if os.path.isdir(path):
        raise FileFormatError(
            f"{path} is a folder without the file saved_model.pb. If it holds checkpoints, load the one that "
            "tf.train.latest_checkpoint(folder) names."
        )
    if not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, f"There is no such file, looked for in {os.getcwd()}", path)
    for found in FORMATS.values():
        if found.matches(path):
            return found
    with open(path, "rb") as file:
        begin = file.read(16)
    prefix = os.path.splitext(path)[0]
    if FORMATS["TensorFlow checkpoint"].matches(prefix):
        raise FileFormatError(
            f"{path} is one of the files of a checkpoint: load {prefix!r}, what their names begin with."
        )
    raise FileFormatError(
        f"{path} is neither HDF5 nor a Keras archive: it has {os.path.getsize(path)} bytes and begins with {begin!r}."
    )
