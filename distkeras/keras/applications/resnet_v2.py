"""`tf.keras.applications.resnet_v2`."""

from __future__ import annotations

from typing import Any

from distkeras.keras.applications import imagenet
from distkeras.keras.applications.imagenet import decode_predictions
from distkeras.keras.applications.resnet_blocks import resnet
from distkeras.keras.models import Model

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]


def ResNet50V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """The residual network of 50 layers, second version; images of 224 x 224.

    Args:
        include_top, weights, input_tensor, input_shape, pooling, classes: As for `VGG16`.

    Source: He et al. 2016, "Identity Mappings in Deep Residual Networks".
    """
    return resnet("resnet50v2", include_top, weights, input_tensor, input_shape, pooling, classes)


def ResNet101V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """The same of 101 layers; see `ResNet50V2`."""
    return resnet("resnet101v2", include_top, weights, input_tensor, input_shape, pooling, classes)


def ResNet152V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """The same of 152 layers; see `ResNet50V2`."""
    return resnet("resnet152v2", include_top, weights, input_tensor, input_shape, pooling, classes)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images with numbers in [0, 255], scaled to [-1, 1]."""
    return imagenet.preprocess_input(x, data_format, mode="tf")
