"""`tf.keras.applications.resnet`."""

from __future__ import annotations

from typing import Any

from distkeras.keras.applications.resnet50 import ResNet50, decode_predictions, preprocess_input
from distkeras.keras.applications.resnet_blocks import resnet
from distkeras.keras.models import Model

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]


def ResNet101(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """The same of 101 layers; see `ResNet50`."""
    return resnet("resnet101", include_top, weights, input_tensor, input_shape, pooling, classes)


def ResNet152(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """The same of 152 layers; see `ResNet50`."""
    return resnet("resnet152", include_top, weights, input_tensor, input_shape, pooling, classes)
