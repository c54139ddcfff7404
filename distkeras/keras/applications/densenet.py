"""`tf.keras.applications.densenet`."""

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
    MaxPooling2D,
    ZeroPadding2D,
)
from distkeras.keras.models import Model

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

_GROWTH = 32
_BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
_MD5 = {
    (121, True): "9d60b8095a5708f2dcce2bca79d332c7",
    (121, False): "30ee3e1110167f948a6b9946edeeb738",
    (169, True): "d699b8f76981ab1b30698df4c175e90b",
    (169, False): "b8c4d4c20dd625c148057b9ff1c1176b",
    (201, True): "1ceb130c1ea1b78c3bf6114dbdfd8807",
    (201, False): "c13680b51ded0fb44dff2d8f86ac8bb1",
}


def DenseNet121(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """DenseNet of 121 layers: each layer sees all before it; images of 224 x 224.

    Args:
        include_top, weights, input_tensor, input_shape, pooling, classes: As for `VGG16`.

    Source: Huang et al. 2016, "Densely Connected Convolutional Networks".
    """
    return _densenet(121, include_top, weights, input_tensor, input_shape, pooling, classes)


def DenseNet169(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """The same of 169 layers; see `DenseNet121`."""
    return _densenet(169, include_top, weights, input_tensor, input_shape, pooling, classes)


def DenseNet201(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """The same of 201 layers; see `DenseNet121`."""
    return _densenet(201, include_top, weights, input_tensor, input_shape, pooling, classes)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images with numbers in [0, 255], scaled to [0, 1] and then by ImageNet's mean and standard deviation."""
    return imagenet.preprocess_input(x, data_format, mode="torch")


def _densenet(
    depth: int, include_top: bool, weights: Any, input_tensor: Any, input_shape: Any, pooling: str | None, classes: int
) -> Model:
    inputs = image_input(include_top, weights, input_tensor, input_shape, classes, pooling, Size(224, 32))
    x = ZeroPadding2D(3)(inputs)
    x = Conv2D(64, 7, strides=2, use_bias=False, name="conv1/conv")(x)
    x = _active(x, "conv1/bn", "conv1/relu")
    x = ZeroPadding2D(1)(x)
    x = MaxPooling2D(3, 2, name="pool1")(x)
    for stage, count in enumerate(_BLOCKS[depth], 2):
        for number in range(1, count + 1):
            x = _grown(x, f"conv{stage}_block{number}")
        x = _halved(x, f"pool{stage}") if stage < 5 else _active(x, "bn", "relu")
    x = classified(x, include_top, pooling, classes, names=True)
    name = f"densenet{depth}"
    file = usual_file("densenet", name, include_top, _MD5[depth, include_top])
    return finished(inputs, x, name, weights, file)


def _active(x: Any, normalization: str, activation: str) -> Any:
    x = BatchNormalization(axis=channel_axis(), epsilon=1.001e-5, name=normalization)(x)
    return Activation("relu", name=activation)(x)


def _grown(x: Any, name: str) -> Any:
    new = _active(x, f"{name}_0_bn", f"{name}_0_relu")
    new = Conv2D(4 * _GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(new)
    new = _active(new, f"{name}_1_bn", f"{name}_1_relu")
    new = Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(new)
    return Concatenate(axis=channel_axis(), name=f"{name}_concat")([x, new])


def _halved(x: Any, name: str) -> Any:
    x = _active(x, f"{name}_bn", f"{name}_relu")
    x = Conv2D(x.shape[channel_axis()] // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return AveragePooling2D(2, 2, name=f"{name}_pool")(x)
