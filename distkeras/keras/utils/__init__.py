"""Preparations of data, progress on the terminal, pictures of models, and custom objects by name."""

from distkeras.data.sequence import Sequence
from distkeras.keras.saving.serialize import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from distkeras.keras.utils.data_utils import get_file
from distkeras.keras.utils.enqueuers import GeneratorEnqueuer, OrderedEnqueuer, SequenceEnqueuer
from distkeras.keras.utils.io_utils import HDF5Matrix
from distkeras.keras.utils.layer_utils import convert_all_kernels_in_model, get_source_inputs, multi_gpu_model
from distkeras.keras.utils.np_utils import normalize, to_categorical
from distkeras.keras.utils.progbar import Progbar
from distkeras.keras.utils.vis_utils import model_to_dot, plot_model

__all__ = [
    "CustomObjectScope",
    "GeneratorEnqueuer",
    "HDF5Matrix",
    "OrderedEnqueuer",
    "Progbar",
    "Sequence",
    "SequenceEnqueuer",
    "convert_all_kernels_in_model",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "model_to_dot",
    "multi_gpu_model",
    "normalize",
    "plot_model",
    "register_keras_serializable",
    "serialize_keras_object",
    "to_categorical",
]
__dir__ = __all__.copy
