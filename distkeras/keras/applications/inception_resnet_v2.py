"""`tf.keras.applications.inception_resnet_v2`."""

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
from distkeras.keras.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Lambda,
    MaxPooling2D,
)
from distkeras.keras.models import Model

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]

_MD5 = {True: "e693bd0210a403b3192acc6073ad2e96", False: "d19885ff4a710c122648d3b5c3b684e4"}


def InceptionResNetV2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """Inception with residual connections, second version; images of 299 x 299, without the classifier from 75 x 75.

    Args:
        include_top, weights, input_tensor, input_shape, pooling, classes: As for `VGG16`.

    Source: Szegedy et al. 2016, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning".
    """
    inputs = image_input(include_top, weights, input_tensor, input_shape, classes, pooling, Size(299, 75))
    x = _stem(inputs)
    for number in range(1, 11):
        x = _residual(x, [_chain(x, (32, 1)), _chain(x, (32, 1), (32, 3)), _chain(x, (32, 1), (48, 3), (64, 3))],
                      0.17, f"block35_{number}")  # fmt: skip
    x = _reduced(x, [[(384, 3)], [(256, 1), (256, 3), (384, 3)]], "mixed_6a")
    for number in range(1, 21):
        x = _residual(x, [_chain(x, (192, 1)), _chain(x, (128, 1), (160, (1, 7)), (192, (7, 1)))],
                      0.1, f"block17_{number}")  # fmt: skip
    x = _reduced(x, [[(256, 1), (384, 3)], [(256, 1), (288, 3)], [(256, 1), (288, 3), (320, 3)]], "mixed_7a")
    for number in range(1, 11):
        is_last = number == 10
        x = _residual(x, [_chain(x, (192, 1)), _chain(x, (192, 1), (224, (1, 3)), (256, (3, 1)))],
                      1.0 if is_last else 0.2, f"block8_{number}", activated=not is_last)  # fmt: skip
    x = _convolved(x, 1536, 1, name="conv_7b")
    x = classified(x, include_top, pooling, classes)
    file = usual_file("inception_resnet_v2", "inception_resnet_v2", include_top, _MD5[include_top])
    return finished(inputs, x, "inception_resnet_v2", weights, file)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images with numbers in [0, 255], scaled to [-1, 1]."""
    return imagenet.preprocess_input(x, data_format, mode="tf")


def _convolved(
    x: Any, filters: int, size: Any, strides: int = 1, padding: str = "same", name: str | None = None
) -> Any:
    x = Conv2D(filters, size, strides=strides, padding=padding, use_bias=False, name=name)(x)
    x = BatchNormalization(axis=channel_axis(), scale=False, name=None if name is None else f"{name}_bn")(x)
    return Activation("relu", name=None if name is None else f"{name}_ac")(x)


def _chain(x: Any, *steps: tuple[int, Any]) -> Any:
    for filters, size in steps:
        x = _convolved(x, filters, size)
    return x


def _joined(branches: list, name: str) -> Any:
    return Concatenate(axis=channel_axis(), name=name)(branches)


def _stem(x: Any) -> Any:
    x = _convolved(x, 32, 3, strides=2, padding="valid")
    x = _convolved(x, 32, 3, padding="valid")
    x = MaxPooling2D(3, 2)(_convolved(x, 64, 3))
    x = _convolved(x, 80, 1, padding="valid")
    x = MaxPooling2D(3, 2)(_convolved(x, 192, 3, padding="valid"))
    branches = [_chain(x, (96, 1)), _chain(x, (48, 1), (64, 5)), _chain(x, (64, 1), (96, 3), (96, 3))]
    return _joined([*branches, _chain(AveragePooling2D(3, 1, padding="same")(x), (64, 1))], "mixed_5b")


def _residual(x: Any, branches: list, scale: float, name: str, activated: bool = True) -> Any:
    """x plus what is made of the branches, scaled, for large residuals make training unstable."""
    mixed = _joined(branches, f"{name}_mixed")
    up = Conv2D(x.shape[channel_axis()], 1, padding="same", name=f"{name}_conv")(mixed)
    x = Lambda(scaled_sum, arguments={"scale": scale}, name=name)([x, up])
    return Activation("relu", name=f"{name}_ac")(x) if activated else x


def scaled_sum(inputs: list, scale: float) -> Any:
    """The first input plus `scale` times the second."""
    return inputs[0] + inputs[1] * scale


def _reduced(x: Any, branches: list[list[tuple[int, Any]]], name: str) -> Any:
    """Half the height and width; the last convolution of each branch halves."""
    made = []
    for *steps, (filters, size) in branches:
        made.append(_convolved(_chain(x, *steps), filters, size, strides=2, padding="valid"))
    return _joined([*made, MaxPooling2D(3, 2)(x)], name)
