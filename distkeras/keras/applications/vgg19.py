"""`tf.keras.applications.vgg19`."""

from __future__ import annotations

from typing import Any

from distkeras.keras.applications import imagenet
from distkeras.keras.applications.imagenet import decode_predictions
from distkeras.keras.applications.vgg import vgg
from distkeras.keras.models import Model

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]


def VGG19(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """VGG with 19 layers that have weights; images of 224 x 224.

    Args:
        include_top: Whether with the classifier.
        weights: 'imagenet', None for random ones, or a file.
        input_tensor: A symbolic tensor to begin with.
        input_shape: (height, width, channels), at least 32 x 32, without the classifier.
        pooling: Without the classifier: None, 'avg' or 'max' over each channel.
        classes: Of the classifier, unless weights='imagenet'.

    Source: Simonyan and Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition".
    """
    return vgg("vgg19", (2, 2, 4, 4, 4), include_top, weights, input_tensor, input_shape, pooling, classes)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images with numbers in [0, 255] as blue, green and red, less ImageNet's mean."""
    return imagenet.preprocess_input(x, data_format, mode="caffe")
