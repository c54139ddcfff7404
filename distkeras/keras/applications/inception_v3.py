"""`tf.keras.applications.inception_v3`."""

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
from distkeras.keras.layers import Activation, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, MaxPooling2D
from distkeras.keras.models import Model

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

_MD5 = {True: "9a0d58056eeedaa3f26cb7ebd46da564", False: "bcbd6486424b2319ff4ef7d526e38f63"}


def InceptionV3(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """Inception, third version; images of 299 x 299, at least 75 x 75 without the classifier.

    Args:
        include_top, weights, input_tensor, input_shape, pooling, classes: As for `VGG16`.

    Source: Szegedy et al. 2015, "Rethinking the Inception Architecture for Computer Vision".
    """
    inputs = image_input(include_top, weights, input_tensor, input_shape, classes, pooling, Size(299, 75))
    x = _convolved(inputs, 32, (3, 3), "valid", 2)
    x = _convolved(x, 32, (3, 3), "valid")
    x = _convolved(x, 64, (3, 3))
    x = MaxPooling2D(3, 2)(x)
    x = _convolved(x, 80, (1, 1), "valid")
    x = _convolved(x, 192, (3, 3), "valid")
    x = MaxPooling2D(3, 2)(x)
    for number, filters in enumerate((32, 64, 64)):
        x = _square(x, filters, f"mixed{number}")
    x = _reduced(x)
    for number, filters in enumerate((128, 160, 160, 192), 4):
        x = _crossed(x, filters, f"mixed{number}")
    x = _reduced_again(x)
    for number in (9, 10):
        x = _widened(x, number)
    x = classified(x, include_top, pooling, classes)
    file = usual_file("inception_v3", "inception_v3", include_top, _MD5[include_top])
    return finished(inputs, x, "inception_v3", weights, file)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images with numbers in [0, 255], scaled to [-1, 1]."""
    return imagenet.preprocess_input(x, data_format, mode="tf")


def _convolved(x: Any, filters: int, size: tuple[int, int], padding: str = "same", strides: int = 1) -> Any:
    x = Conv2D(filters, size, strides=strides, padding=padding, use_bias=False)(x)
    x = BatchNormalization(axis=channel_axis(), scale=False)(x)
    return Activation("relu")(x)


def _chain(x: Any, *steps: tuple[int, tuple[int, int]]) -> Any:
    for filters, size in steps:
        x = _convolved(x, filters, size)
    return x


def _averaged(x: Any, filters: int) -> Any:
    return _convolved(AveragePooling2D(3, 1, padding="same")(x), filters, (1, 1))


def _square(x: Any, pool_filters: int, name: str) -> Any:
    single = _convolved(x, 64, (1, 1))
    five = _chain(x, (48, (1, 1)), (64, (5, 5)))
    double = _chain(x, (64, (1, 1)), (96, (3, 3)), (96, (3, 3)))
    return Concatenate(axis=channel_axis(), name=name)([single, five, double, _averaged(x, pool_filters)])


def _reduced(x: Any) -> Any:
    three = _convolved(x, 384, (3, 3), "valid", 2)
    double = _convolved(_chain(x, (64, (1, 1)), (96, (3, 3))), 96, (3, 3), "valid", 2)
    return Concatenate(axis=channel_axis(), name="mixed3")([three, double, MaxPooling2D(3, 2)(x)])


def _crossed(x: Any, n: int, name: str) -> Any:
    single = _convolved(x, 192, (1, 1))
    seven = _chain(x, (n, (1, 1)), (n, (1, 7)), (192, (7, 1)))
    double = _chain(x, (n, (1, 1)), (n, (7, 1)), (n, (1, 7)), (n, (7, 1)), (192, (1, 7)))
    return Concatenate(axis=channel_axis(), name=name)([single, seven, double, _averaged(x, 192)])


def _reduced_again(x: Any) -> Any:
    three = _convolved(_convolved(x, 192, (1, 1)), 320, (3, 3), "valid", 2)
    seven = _chain(x, (192, (1, 1)), (192, (1, 7)), (192, (7, 1)))
    seven = _convolved(seven, 192, (3, 3), "valid", 2)
    return Concatenate(axis=channel_axis(), name="mixed8")([three, seven, MaxPooling2D(3, 2)(x)])


def _widened(x: Any, number: int) -> Any:
    axis = channel_axis()
    single = _convolved(x, 320, (1, 1))
    three = _convolved(x, 384, (1, 1))
    parts = [_convolved(three, 384, (1, 3)), _convolved(three, 384, (3, 1))]
    three = Concatenate(axis=axis, name=f"mixed9_{number - 9}")(parts)
    double = _chain(x, (448, (1, 1)), (384, (3, 3)))
    parts = [_convolved(double, 384, (1, 3)), _convolved(double, 384, (3, 1))]
    double = Concatenate(axis=axis)(parts)
    return Concatenate(axis=axis, name=f"mixed{number}")([single, three, double, _averaged(x, 192)])
