"""Preparations of data, progress on the terminal, and custom objects by name."""

from distkeras.data.sequence import Sequence
from distkeras.keras.saving.serialize import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    register_keras_serializable,
    serialize_keras_object,
)
from distkeras.keras.utils.data_utils import get_file
from distkeras.keras.utils.np_utils import normalize, to_categorical
from distkeras.keras.utils.progbar import Progbar

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "Sequence",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_file",
    "normalize",
    "register_keras_serializable",
    "serialize_keras_object",
    "to_categorical",
]
