"""`tf.keras.applications.resnet50`."""

from __future__ import annotations

from typing import Any

from distkeras.keras.applications import imagenet
from distkeras.keras.applications.imagenet import decode_predictions
from distkeras.keras.applications.resnet_blocks import resnet
from distkeras.keras.models import Model

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]


def ResNet50(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """The residual network of 50 layers; images of 224 x 224.

    Args:
        include_top, weights, input_tensor, input_shape, pooling, classes: As for `VGG16`.

    Source: He et al. 2015, "Deep Residual Learning for Image Recognition".
    """
    return resnet("resnet50", include_top, weights, input_tensor, input_shape, pooling, classes)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images with numbers in [0, 255] as blue, green and red, less ImageNet's mean."""
    return imagenet.preprocess_input(x, data_format, mode="caffe")
