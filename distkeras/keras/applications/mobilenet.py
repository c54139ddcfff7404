"""`tf.keras.applications.mobilenet`."""

from __future__ import annotations

from typing import Any

from distkeras._config import image_data_format
from distkeras.keras.applications import imagenet
from distkeras.keras.applications.imagenet import (
    BASE,
    File,
    Size,
    channel_axis,
    decode_predictions,
    finished,
    image_input,
    pooled,
)
from distkeras.keras.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    ReLU,
    Reshape,
    ZeroPadding2D,
)
from distkeras.keras.models import Model

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

# Filters and strides of the blocks.
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
_ALPHAS = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}
SIDES = (128, 160, 192, 224)


def MobileNet(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """MobileNet: depthwise convolutions; images of 224 x 224.

    Args:
        alpha: How many filters, as a fraction of the paper's; 0.25, 0.5, 0.75 or 1 with weights='imagenet'.
        depth_multiplier: Depthwise filters per channel; 1 with weights='imagenet'.
        dropout: Before the classifier.
        input_shape, include_top, weights, input_tensor, pooling, classes: As for `VGG16`; with weights='imagenet' the
            sides are 128, 160, 192 or 224.

    Source: Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications".
    """
    side = side_of(input_shape, weights)
    if weights == "imagenet" and (depth_multiplier != 1 or alpha not in _ALPHAS):
        raise ValueError(
            "weights='imagenet' exist for depth_multiplier=1 and alpha 0.25, 0.5, 0.75 or 1, received "
            f"depth_multiplier={depth_multiplier} and alpha={alpha}."
        )
    inputs = image_input(include_top, weights, input_tensor, input_shape, classes, pooling, Size(side, 32))
    x = ZeroPadding2D(((0, 1), (0, 1)), name="conv1_pad")(inputs)
    x = Conv2D(int(32 * alpha), 3, strides=2, use_bias=False, name="conv1")(x)
    x = _active(x, "conv1")
    for number, (filters, strides) in enumerate(_BLOCKS, 1):
        x = _block(x, int(filters * alpha), depth_multiplier, strides, number)
    x = _classifier(x, int(1024 * alpha), dropout, classes) if include_top else pooled(x, pooling)
    ending = "" if include_top else "_no_top"
    name = f"mobilenet_{alpha:0.2f}_{side}"
    return finished(
        inputs, x, name, weights, File(f"{BASE}mobilenet/mobilenet_{_ALPHAS.get(alpha)}_{side}_tf{ending}.h5")
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images with numbers in [0, 255], scaled to [-1, 1]."""
    return imagenet.preprocess_input(x, data_format, mode="tf")


def side_of(input_shape: Any, weights: Any, sides: tuple[int, ...] = SIDES) -> int:
    """The side of the images; 224 where it is none that there are weights for.

    Raises:
        ValueError: Such weights are wanted for other sides that are known.
    """
    if input_shape is None:
        return 224
    height, width = input_shape[:2] if image_data_format() == "channels_last" else input_shape[1:]
    if height == width and height in sides:
        return height
    if weights == "imagenet" and height is not None and width is not None:
        raise ValueError(
            f"weights='imagenet' exist for square images with a side of {', '.join(map(str, sides))}, received "
            f"input_shape={tuple(input_shape)}: resize the images."
        )
    return 224


def _active(x: Any, name: str) -> Any:
    return ReLU(6.0, name=f"{name}_relu")(BatchNormalization(axis=channel_axis(), name=f"{name}_bn")(x))


def _block(x: Any, filters: int, depth_multiplier: int, strides: int, number: int) -> Any:
    if strides == 2:
        x = ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    x = DepthwiseConv2D(
        3,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        depth_multiplier=depth_multiplier,
        use_bias=False,
        name=f"conv_dw_{number}",
    )(x)
    x = _active(x, f"conv_dw_{number}")
    return _active(Conv2D(filters, 1, use_bias=False, name=f"conv_pw_{number}")(x), f"conv_pw_{number}")


def _classifier(x: Any, filters: int, dropout: float, classes: int) -> Any:
    x = GlobalAveragePooling2D()(x)
    x = Reshape((1, 1, filters) if image_data_format() == "channels_last" else (filters, 1, 1), name="reshape_1")(x)
    x = Dropout(dropout, name="dropout")(x)
    x = Conv2D(classes, 1, padding="same", name="conv_preds")(x)
    x = Reshape((classes,), name="reshape_2")(x)
    return Activation("softmax", name="predictions")(x)
