"""`tf.keras.applications.nasnet`."""

from __future__ import annotations

from typing import Any

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
from distkeras.keras.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Cropping2D,
    MaxPooling2D,
    SeparableConv2D,
    ZeroPadding2D,
    add,
)
from distkeras.keras.models import Model

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]

_MD5 = {
    ("mobile", True): "020fb642bf7360b370c678b08e0adf61",
    ("mobile", False): "1ed92395b5b598bdda52abe5c0dbfd63",
    ("large", True): "11577c9a518f0070763c2b964a382f17",
    ("large", False): "d81d89dc07e6e56530c4e77faddd61b5",
}


def NASNetMobile(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """The small network whose cells were found by search; images of 224 x 224.

    Args:
        input_shape, include_top, weights, input_tensor, pooling, classes: As for `VGG16`.

    Source: Zoph et al. 2017, "Learning Transferable Architectures for Scalable Image Recognition".
    """
    return _nasnet("mobile", input_shape, include_top, weights, input_tensor, pooling, classes)


def NASNetLarge(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """The large network; images of 331 x 331. See `NASNetMobile`."""
    return _nasnet("large", input_shape, include_top, weights, input_tensor, pooling, classes)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images with numbers in [0, 255], scaled to [-1, 1]."""
    return imagenet.preprocess_input(x, data_format, mode="tf")


def _nasnet(
    kind: str,
    input_shape: Any,
    include_top: bool,
    weights: Any,
    input_tensor: Any,
    pooling: str | None,
    classes: int,
) -> Model:
    side, filters, stem, blocks = (224, 44, 32, 4) if kind == "mobile" else (331, 168, 96, 6)
    inputs = image_input(include_top, weights, input_tensor, input_shape, classes, pooling, Size(side, 32))
    x = Conv2D(stem, 3, strides=2, use_bias=False, name="stem_conv1", kernel_initializer="he_normal")(inputs)
    x = _normalized(x, "stem_bn1")
    x, before = _reduction_cell(x, None, filters // 4, "stem_1")
    x, before = _reduction_cell(x, before, filters // 2, "stem_2")
    for stage in range(3):
        first = stage * blocks + (1 if stage else 0)
        if stage:
            x, given = _reduction_cell(x, before, filters << stage, f"reduce_{stage * blocks}")
            before = given if kind == "mobile" else before
        for block in range(blocks):
            x, before = _normal_cell(x, before, filters << stage, f"{first + block}")
    x = Activation("relu")(x)
    x = classified(x, include_top, pooling, classes, mean=None)
    ending = "" if include_top else "no-top"
    address = f"{BASE}nasnet/NASNet-{kind}{'-' if ending else ''}{ending}.h5"
    kept = f"nasnet_{kind}{'' if include_top else '_no_top'}.h5"
    return finished(inputs, x, "NASNet", weights, File(address, _MD5[kind, include_top], kept))


def _normalized(x: Any, name: str) -> Any:
    return BatchNormalization(axis=channel_axis(), momentum=0.9997, name=name)(x)


def _padded(x: Any, size: int, name: str) -> Any:
    """With zeros such that a window of an odd size, moved by two, covers everything, as with padding 'same'."""
    height, width = (x.shape[axis] for axis in ((1, 2) if channel_axis() == -1 else (2, 3)))
    before = (size // 2 - (1 if side is None or side % 2 == 0 else 0) for side in (height, width))
    return ZeroPadding2D([(first, size // 2) for first in before], name=name)(x)


def _separable(x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
    """Two separable convolutions, each after an activation."""
    x = Activation("relu")(x)
    for number in (1, 2):
        padding = "same"
        if number == 1 and strides == 2:
            x, padding = _padded(x, size, f"separable_conv_1_pad_{name}"), "valid"
        x = SeparableConv2D(
            filters,
            size,
            strides=strides if number == 1 else 1,
            padding=padding,
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"separable_conv_{number}_{name}",
        )(x)
        x = _normalized(x, f"separable_conv_{number}_bn_{name}")
        x = Activation("relu")(x) if number == 1 else x
    return x


def _adjusted(before: Any, x: Any, filters: int, name: str) -> Any:
    """The output of the cell before the last in the size of the last's, with `filters` channels."""
    if before is None:
        return x
    side = 1 if channel_axis() == -1 else 2
    if before.shape[side] != x.shape[side]:
        active = Activation("relu", name=f"adjust_relu_1_{name}")(before)
        moved = Cropping2D(((1, 0), (1, 0)))(ZeroPadding2D(((0, 1), (0, 1)))(active))
        paths = []
        for number, path in enumerate((active, moved), 1):
            path = AveragePooling2D(1, 2, name=f"adjust_avg_pool_{number}_{name}")(path)
            paths.append(_one(path, filters // 2, f"adjust_conv_{number}_{name}"))
        return _normalized(Concatenate(axis=channel_axis())(paths), f"adjust_bn_{name}")
    if before.shape[channel_axis()] == filters:
        return before
    projected = _one(Activation("relu")(before), filters, f"adjust_conv_projection_{name}")
    return _normalized(projected, f"adjust_bn_{name}")


def _one(x: Any, filters: int, name: str) -> Any:
    return Conv2D(filters, 1, padding="same", use_bias=False, name=name, kernel_initializer="he_normal")(x)


def _normal_cell(x: Any, before: Any, filters: int, name: str) -> tuple[Any, Any]:
    """A cell of which sizes stay as they are, and what went into it."""
    p = _adjusted(before, x, filters, name)
    h = _normalized(_one(Activation("relu")(x), filters, f"normal_conv_1_{name}"), f"normal_bn_1_{name}")
    left = _separable(h, filters, 5, f"normal_left1_{name}")
    first = add([left, _separable(p, filters, 3, f"normal_right1_{name}")], name=f"normal_add_1_{name}")
    left = _separable(p, filters, 5, f"normal_left2_{name}")
    second = add([left, _separable(p, filters, 3, f"normal_right2_{name}")], name=f"normal_add_2_{name}")
    left = AveragePooling2D(3, 1, padding="same", name=f"normal_left3_{name}")(h)
    third = add([left, p], name=f"normal_add_3_{name}")
    sides = [AveragePooling2D(3, 1, padding="same", name=f"normal_{side}4_{name}")(p) for side in ("left", "right")]
    fourth = add(sides, name=f"normal_add_4_{name}")
    fifth = add([_separable(h, filters, 3, f"normal_left5_{name}"), h], name=f"normal_add_5_{name}")
    joined = Concatenate(axis=channel_axis(), name=f"normal_concat_{name}")([p, first, second, third, fourth, fifth])
    return joined, x


def _reduction_cell(x: Any, before: Any, filters: int, name: str) -> tuple[Any, Any]:
    """A cell that halves height and width, and what went into it."""
    p = _adjusted(before, x, filters, name)
    h = _normalized(_one(Activation("relu")(x), filters, f"reduction_conv_1_{name}"), f"reduction_bn_1_{name}")
    padded = _padded(h, 3, f"reduction_pad_1_{name}")
    left = _separable(h, filters, 5, f"reduction_left1_{name}", 2)
    first = add([left, _separable(p, filters, 7, f"reduction_right1_{name}", 2)], name=f"reduction_add_1_{name}")
    left = MaxPooling2D(3, 2, name=f"reduction_left2_{name}")(padded)
    second = add([left, _separable(p, filters, 7, f"reduction_right2_{name}", 2)], name=f"reduction_add_2_{name}")
    left = AveragePooling2D(3, 2, name=f"reduction_left3_{name}")(padded)
    third = add([left, _separable(p, filters, 5, f"reduction_right3_{name}", 2)], name=f"reduction_add3_{name}")
    fourth = add([second, AveragePooling2D(3, 1, padding="same", name=f"reduction_left4_{name}")(first)])
    left = _separable(first, filters, 3, f"reduction_left4_{name}")
    fifth = add([left, MaxPooling2D(3, 2, name=f"reduction_right5_{name}")(padded)], name=f"reduction_add4_{name}")
    joined = Concatenate(axis=channel_axis(), name=f"reduction_concat_{name}")([second, third, fourth, fifth])
    return joined, x
