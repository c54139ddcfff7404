"""Layers: the parts models are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distkeras.keras.layers import experimental
from distkeras.keras.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax, ThresholdedReLU
from distkeras.keras.layers.attention import AdditiveAttention, Attention
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.bidirectional import Bidirectional
from distkeras.keras.layers.borders import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from distkeras.keras.layers.conv_lstm import ConvLSTM2D
from distkeras.keras.layers.convolution import Conv1D, Conv2D, Conv3D, Convolution1D, Convolution2D, Convolution3D
from distkeras.keras.layers.dense import Dense
from distkeras.keras.layers.dense_features import DenseFeatures
from distkeras.keras.layers.gru import GRU, GRUCell
from distkeras.keras.layers.input_layer import Input, InputLayer
from distkeras.keras.layers.input_spec import InputSpec
from distkeras.keras.layers.lambda_layer import Lambda
from distkeras.keras.layers.layer_normalization import LayerNormalization
from distkeras.keras.layers.locally_connected import LocallyConnected1D, LocallyConnected2D
from distkeras.keras.layers.lstm import LSTM, LSTMCell
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
from distkeras.keras.layers.multi_head_attention import MultiHeadAttention
from distkeras.keras.layers.normalization import BatchNormalization
from distkeras.keras.layers.op_layer import TensorFlowOpLayer
from distkeras.keras.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from distkeras.keras.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from distkeras.keras.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from distkeras.keras.layers.rnn import RNN
from distkeras.keras.layers.rnn_cells import AbstractRNNCell, StackedRNNCells
from distkeras.keras.layers.separable_convolution import (
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
    SeparableConvolution1D,
    SeparableConvolution2D,
)
from distkeras.keras.layers.sequence import Embedding, Masking
from distkeras.keras.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from distkeras.keras.layers.transposed_convolution import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
    Convolution1DTranspose,
    Convolution2DTranspose,
    Convolution3DTranspose,
    Deconvolution2D,
    Deconvolution3D,
)
from distkeras.keras.layers.wrapper import TimeDistributed, Wrapper
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object

__all__ = [
    "AbstractRNNCell", "Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout", "Attention",
    "Average", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "AvgPool1D", "AvgPool2D", "AvgPool3D",
    "BatchNormalization", "Bidirectional", "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose",
    "Conv3D", "Conv3DTranspose", "ConvLSTM2D", "Convolution1D", "Convolution1DTranspose", "Convolution2D",
    "Convolution2DTranspose", "Convolution3D", "Convolution3DTranspose", "Cropping1D", "Cropping2D", "Cropping3D",
    "Deconvolution2D", "Deconvolution3D", "Dense", "DenseFeatures", "DepthwiseConv2D", "Dot", "Dropout", "ELU",
    "Embedding", "Flatten", "GRU", "GRUCell", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D",
    "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalMaxPool3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
    "GlobalMaxPooling3D", "Input", "InputLayer", "InputSpec", "LAYERS", "LSTM", "LSTMCell", "Lambda", "Layer",
    "LayerNormalization", "LeakyReLU", "LocallyConnected1D", "LocallyConnected2D", "Masking", "MaxPool1D", "MaxPool2D",
    "MaxPool3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum", "Minimum", "MultiHeadAttention", "Multiply",
    "PReLU", "Permute", "RNN", "ReLU", "RepeatVector", "Reshape", "SeparableConv1D", "SeparableConv2D",
    "SeparableConvolution1D", "SeparableConvolution2D", "SimpleRNN", "SimpleRNNCell", "Softmax", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D", "StackedRNNCells", "Subtract", "TensorFlowOpLayer", "ThresholdedReLU",
    "TimeDistributed", "UpSampling1D", "UpSampling2D", "UpSampling3D", "Wrapper", "ZeroPadding1D", "ZeroPadding2D",
    "ZeroPadding3D", "add", "average", "concatenate", "deserialize", "dot", "experimental", "maximum", "minimum",
    "multiply", "serialize", "subtract",
]  # fmt: skip
__dir__ = __all__.copy


def serialize(layer: Layer) -> dict[str, Any]:
    """A layer's class name and config."""
    return serialize_keras_object(layer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """The layer, or model, that a config stands for, with new weights.

    Raises:
        ValueError: The class is unknown.
    """
    return deserialize_keras_object(config, LAYERS, custom_objects, "layer")


def __getattr__(name: str) -> Any:
    if name in ("CuDNNGRU", "CuDNNLSTM"):
        other = name.removeprefix("CuDNN")
        raise AttributeError(
            f"tf.keras.layers has no {name}: TF 2.0 has it under tf.compat.v1 only, for GPUs. Use tf.keras.layers."
            f"{other}, which goes over whole sequences at once on its own."
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
