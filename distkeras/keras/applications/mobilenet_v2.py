"""`tf.keras.applications.mobilenet_v2`."""

from __future__ import annotations

from typing import Any

from distkeras._config import image_data_format
from distkeras.keras.applications import imagenet
from distkeras.keras.applications.imagenet import (
    BASE,
    File,
    Size,
    channel_axis,
    classified,
    decode_predictions,
    finished,
    image_input,
)
from distkeras.keras.applications.mobilenet import SIDES, side_of
from distkeras.keras.layers import Add, BatchNormalization, Conv2D, DepthwiseConv2D, ReLU, ZeroPadding2D
from distkeras.keras.models import Model

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

# Filters, stride of the first, and how many, of the groups of blocks.
_GROUPS = ((16, 1, 1), (24, 2, 2), (32, 2, 3), (64, 2, 4), (96, 1, 3), (160, 2, 3), (320, 1, 1))
_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


def MobileNetV2(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """MobileNet, second version: inverted residuals; images of 224 x 224.

    Args:
        alpha: How many filters, as a fraction of the paper's; 0.35, 0.5, 0.75, 1, 1.3 or 1.4 with weights='imagenet'.
        input_shape, include_top, weights, input_tensor, pooling, classes: As for `VGG16`; with weights='imagenet' the
            sides are 96, 128, 160, 192 or 224.

    Source: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks".
    """
    side = side_of(input_shape, weights, (96, *SIDES))
    if weights == "imagenet" and alpha not in _ALPHAS:
        raise ValueError(f"weights='imagenet' exist for alpha {', '.join(map(str, _ALPHAS))}, received alpha={alpha}.")
    inputs = image_input(include_top, weights, input_tensor, input_shape, classes, pooling, Size(side, 32))
    x = ZeroPadding2D(_before_stride(inputs), name="Conv1_pad")(inputs)
    x = Conv2D(_whole(32 * alpha), 3, strides=2, use_bias=False, name="Conv1")(x)
    x = ReLU(6.0, name="Conv1_relu")(_normalized(x, "bn_Conv1"))
    number = 0
    for filters, strides, count in _GROUPS:
        for i in range(count):
            x = _block(x, _whole(int(filters * alpha)), strides if i == 0 else 1, number)
            number += 1
    x = Conv2D(_whole(1280 * alpha) if alpha > 1 else 1280, 1, use_bias=False, name="Conv_1")(x)
    x = ReLU(6.0, name="out_relu")(_normalized(x, "Conv_1_bn"))
    x = classified(x, include_top, pooling, classes, mean=None)
    file = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{side}{'' if include_top else '_no_top'}.h5"
    name = f"mobilenetv2_{alpha:0.2f}_{side}"
    return finished(inputs, x, name, weights, File(f"{BASE}mobilenet_v2/{file}"))


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images with numbers in [0, 255], scaled to [-1, 1]."""
    return imagenet.preprocess_input(x, data_format, mode="tf")


def _whole(filters: float) -> int:
    """The multiple of 8 that is nearest, or the next one if that is more than a tenth less."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * filters else nearest


def _normalized(x: Any, name: str) -> Any:
    return BatchNormalization(axis=channel_axis(), epsilon=1e-3, momentum=0.999, name=name)(x)


def _before_stride(x: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """What to pad for a window of 3 and a stride of 2, so that the last pixel is in a window's middle or end."""
    sides = x.shape[1:3] if image_data_format() == "channels_last" else x.shape[2:4]
    return tuple((1 - (1 if side is None else (side + 1) % 2), 1) for side in sides)


def _block(x: Any, filters: int, strides: int, number: int) -> Any:
    shortcut, channels = x, x.shape[channel_axis()]
    prefix = f"block_{number}" if number else "expanded_conv"
    if number:
        x = Conv2D(6 * channels, 1, padding="same", use_bias=False, name=f"{prefix}_expand")(x)
        x = ReLU(6.0, name=f"{prefix}_expand_relu")(_normalized(x, f"{prefix}_expand_BN"))
    if strides == 2:
        x = ZeroPadding2D(_before_stride(x), name=f"{prefix}_pad")(x)
    padding = "same" if strides == 1 else "valid"
    x = DepthwiseConv2D(3, strides=strides, padding=padding, use_bias=False, name=f"{prefix}_depthwise")(x)
    x = ReLU(6.0, name=f"{prefix}_depthwise_relu")(_normalized(x, f"{prefix}_depthwise_BN"))
    x = Conv2D(filters, 1, padding="same", use_bias=False, name=f"{prefix}_project")(x)
    x = _normalized(x, f"{prefix}_project_BN")
    return Add(name=f"{prefix}_add")([shortcut, x]) if channels == filters and strides == 1 else x
