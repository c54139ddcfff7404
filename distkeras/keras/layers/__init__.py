"""Layers: the parts models are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distkeras.keras.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax, ThresholdedReLU
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.borders import Cropping2D, UpSampling2D, ZeroPadding2D
from distkeras.keras.layers.convolution import Conv1D, Conv2D, Convolution1D, Convolution2D
from distkeras.keras.layers.dense import Dense
from distkeras.keras.layers.input_layer import Input, InputLayer
from distkeras.keras.layers.input_spec import InputSpec
from distkeras.keras.layers.lambda_layer import Lambda
from distkeras.keras.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from distkeras.keras.layers.normalization import BatchNormalization
from distkeras.keras.layers.op_layer import TensorFlowOpLayer
from distkeras.keras.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AvgPool1D,
    AvgPool2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPool1D,
    MaxPool2D,
    MaxPooling1D,
    MaxPooling2D,
)
from distkeras.keras.layers.regularization import (
    ActivityRegularization,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
)
from distkeras.keras.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from distkeras.keras.layers.sequence import Embedding, Masking
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object

__all__ = [
    "ELU", "LAYERS", "Activation", "ActivityRegularization", "Add", "Average", "AveragePooling1D",
    "AveragePooling2D", "AvgPool1D", "AvgPool2D", "BatchNormalization", "Concatenate", "Conv1D", "Conv2D",
    "Convolution1D", "Convolution2D", "Cropping2D", "Dense", "Dot", "Dropout", "Embedding", "Flatten",
    "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAvgPool1D",
    "GlobalAvgPool2D", "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "Input",
    "InputLayer", "InputSpec", "Lambda", "Layer", "LeakyReLU", "Masking", "MaxPool1D", "MaxPool2D", "MaxPooling1D",
    "MaxPooling2D", "Maximum", "Minimum", "Multiply", "PReLU", "Permute", "ReLU", "RepeatVector", "Reshape",
    "Softmax", "SpatialDropout1D", "SpatialDropout2D", "Subtract", "TensorFlowOpLayer", "ThresholdedReLU",
    "UpSampling2D", "ZeroPadding2D", "add", "average", "concatenate", "deserialize", "dot", "maximum", "minimum",
    "multiply", "serialize", "subtract",
]  # fmt: skip


def serialize(layer: Layer) -> dict[str, Any]:
    """A layer's class name and config."""
    return serialize_keras_object(layer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """The layer, or model, that a config stands for, with new weights.

    Raises:
        ValueError: The class is unknown.
    """
    return deserialize_keras_object(config, LAYERS, custom_objects, "layer")
