"""`tf.keras.applications.xception`."""

from __future__ import annotations

from typing import Any

from distkeras.keras.applications import imagenet
from distkeras.keras.applications.imagenet import (
    Size,
    channel_axis,
    classified,
    decode_predictions,
    finished,
    image_input,
    usual_file,
)
from distkeras.keras.layers import Activation, Add, BatchNormalization, Conv2D, MaxPooling2D, SeparableConv2D
from distkeras.keras.models import Model

__all__ = ["Xception", "decode_predictions", "preprocess_input"]

_MD5 = {True: "0a58e3b7378bc2990ea3b43d5981f1f6", False: "b0042744bf5b25fce3cb969f33bebb97"}


def Xception(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """Xception: separable convolutions; images of 299 x 299, at least 71 x 71 without the classifier.

    Args:
        include_top, weights, input_tensor, input_shape, pooling, classes: As for `VGG16`.

    Source: Chollet 2016, "Xception: Deep Learning with Depthwise Separable Convolutions".
    """
    inputs = image_input(include_top, weights, input_tensor, input_shape, classes, pooling, Size(299, 71))
    x = Conv2D(32, 3, strides=2, use_bias=False, name="block1_conv1")(inputs)
    x = Activation("relu", name="block1_conv1_act")(_normalized(x, "block1_conv1_bn"))
    x = Conv2D(64, 3, use_bias=False, name="block1_conv2")(x)
    x = Activation("relu", name="block1_conv2_act")(_normalized(x, "block1_conv2_bn"))
    for block, filters in ((2, 128), (3, 256), (4, 728)):
        x = _reduced(x, block, (filters, filters), first_active=block > 2)
    for block in range(5, 13):
        shortcut = x
        for number in (1, 2, 3):
            x = _separable(x, 728, f"block{block}_sepconv{number}")
        x = Add()([x, shortcut])
    x = _reduced(x, 13, (728, 1024))
    for number, filters in ((1, 1536), (2, 2048)):
        name = f"block14_sepconv{number}"
        x = _separable(x, filters, name, active=False)
        x = Activation("relu", name=f"{name}_act")(x)
    x = classified(x, include_top, pooling, classes)
    file = usual_file("xception", "xception", include_top, _MD5[include_top])
    return finished(inputs, x, "xception", weights, file)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images with numbers in [0, 255], scaled to [-1, 1]."""
    return imagenet.preprocess_input(x, data_format, mode="tf")


def _normalized(x: Any, name: str | None = None) -> Any:
    return BatchNormalization(axis=channel_axis(), name=name)(x)


def _separable(x: Any, filters: int, name: str, active: bool = True) -> Any:
    x = Activation("relu", name=f"{name}_act")(x) if active else x
    x = SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return _normalized(x, f"{name}_bn")


def _reduced(x: Any, block: int, filters: tuple[int, int], first_active: bool = True) -> Any:
    """Two separable convolutions and half the size."""
    shortcut = _normalized(Conv2D(filters[1], 1, strides=2, padding="same", use_bias=False)(x))
    x = _separable(x, filters[0], f"block{block}_sepconv1", first_active)
    x = _separable(x, filters[1], f"block{block}_sepconv2")
    x = MaxPooling2D(3, 2, padding="same", name=f"block{block}_pool")(x)
    return Add()([x, shortcut])
