"""The files of a SavedModel, and what is in them: see saved_model."""

from __future__ import annotations

import os

from distkeras._errors import FileFormatError
from distkeras.keras.saving import saved_model_graph
from distkeras.keras.saving.saved_model_graph import SavedFunctions, SavedObject
from distkeras.keras.saving.tf_bundle import index_path, reading

FILE = "saved_model.pb"
METADATA = "keras_metadata.pb"
KERAS_KIND = "_tf_keras_"  # how the kinds of Keras objects begin


def matches(path: str) -> bool:
    """Whether it is a folder with a SavedModel."""
    return os.path.isfile(os.path.join(path, FILE))


def variables_prefix(folder: str) -> str:
    """The checkpoint in a SavedModel."""
    return os.path.join(folder, "variables", "variables")


def read_objects(folder: str) -> list[SavedObject]:
    """What a SavedModel's objects are, the root first.

    Raises:
        FileFormatError: A file is damaged.
    """
    path, metadata = os.path.join(folder, FILE), os.path.join(folder, METADATA)
    with reading(path), open(path, "rb") as file:
        objects = saved_model_graph.decode(file.read())
    if os.path.exists(metadata):
        with reading(metadata), open(metadata, "rb") as file:
            saved_model_graph.decode_metadata(file.read(), objects)
    if not os.path.exists(index_path(variables_prefix(folder))):
        raise FileFormatError(
            f"{folder}: the folder variables is missing, or has no file variables.index: copy it too."
        )
    return objects


def read_functions(folder: str) -> SavedFunctions:
    """What a SavedModel's functions are.

    Raises:
        FileFormatError: A file is damaged.
    """
    path = os.path.join(folder, FILE)
    with reading(path), open(path, "rb") as file:
        return saved_model_graph.decode_functions(file.read())


def has_config(root: SavedObject) -> bool:
    """Whether it is a Keras model that its config makes."""
    return root.kind.startswith(KERAS_KIND) and bool(root.metadata.get("config"))
