"""Residual networks of the first and of the second kind.

Source: He et al. 2015, "Deep Residual Learning for Image Recognition"; He et al. 2016, "Identity Mappings in Deep
    Residual Networks".
"""

from __future__ import annotations

from typing import Any

from distkeras.keras.applications.imagenet import Size, channel_axis, classified, finished, image_input, usual_file
from distkeras.keras.layers import Activation, Add, BatchNormalization, Conv2D, MaxPooling2D, ZeroPadding2D
from distkeras.keras.models import Model

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # of the stages of 64, 128, 256 and 512 filters
_EPSILON = 1.001e-5
_MD5 = {
    ("resnet50", True): "2cb95161c43110f7111970584f804107",
    ("resnet50", False): "4d473c1dd8becc155b73f8504c6f6626",
    ("resnet50v2", True): "3ef43a0b657b3be2300d5770ece849e0",
    ("resnet50v2", False): "fac2f116257151a9d068a22e544a4917",
    ("resnet101", True): "f1aeb4b969a6efcfb50fad2f0c20cfc5",
    ("resnet101", False): "88cf7a10940856eca736dc7b7e228a21",
    ("resnet152", True): "100835be76be38e30d865e96f2aaae62",
    ("resnet152", False): "ee4c566cf9a93f14d82f913c2dc6dd0c",
    ("resnet101v2", True): "6343647c601c52e1368623803854d971",
    ("resnet101v2", False): "c0ed64b8031c3730f411d2eb4eea35b5",
    ("resnet152v2", True): "a49b44d1979771252814e80f8ec446f9",
    ("resnet152v2", False): "ed17cf2e0169df9d443503ef94b23b33",
}


def resnet(
    name: str,
    include_top: bool,
    weights: Any,
    input_tensor: Any,
    input_shape: Any,
    pooling: str | None,
    classes: int,
) -> Model:
    """The network of 50, 101 or 152 layers: `name` is 'resnet50', 'resnet50v2' and so on."""
    is_second = name.endswith("v2")
    depth = int(name.removeprefix("resnet").removesuffix("v2"))
    inputs = image_input(include_top, weights, input_tensor, input_shape, classes, pooling, Size(224, 32))
    x = ZeroPadding2D(3, name="conv1_pad")(inputs)
    x = Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    x = x if is_second else _normalized(x, "conv1")
    x = ZeroPadding2D(1, name="pool1_pad")(x)
    x = MaxPooling2D(3, 2, name="pool1_pool")(x)
    for stage, (filters, blocks) in enumerate(zip((64, 128, 256, 512), _BLOCKS[depth], strict=True), 2):
        x = (_second_stage if is_second else _first_stage)(x, filters, blocks, f"conv{stage}")
    x = _normalized(x, "post") if is_second else x
    x = classified(x, include_top, pooling, classes, names=True)
    file = usual_file("resnet", name, include_top, _MD5[name, include_top])
    return finished(inputs, x, name, weights, file)


def _normalized(x: Any, name: str, activated: bool = True) -> Any:
    x = BatchNormalization(axis=channel_axis(), epsilon=_EPSILON, name=f"{name}_bn")(x)
    return Activation("relu", name=f"{name}_relu")(x) if activated else x


def _first_stage(x: Any, filters: int, blocks: int, name: str) -> Any:
    for block in range(1, blocks + 1):
        is_first = block == 1
        strides = 2 if is_first and name != "conv2" else 1
        x = _first_block(x, filters, strides, is_first, f"{name}_block{block}")
    return x


def _first_block(x: Any, filters: int, strides: int, widened: bool, name: str) -> Any:
    shortcut = x
    if widened:
        shortcut = Conv2D(4 * filters, 1, strides=strides, name=f"{name}_0_conv")(x)
        shortcut = _normalized(shortcut, f"{name}_0", activated=False)
    x = _normalized(Conv2D(filters, 1, strides=strides, name=f"{name}_1_conv")(x), f"{name}_1")
    x = _normalized(Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x), f"{name}_2")
    x = _normalized(Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x), f"{name}_3", activated=False)
    x = Add(name=f"{name}_add")([shortcut, x])
    return Activation("relu", name=f"{name}_out")(x)


def _second_stage(x: Any, filters: int, blocks: int, name: str) -> Any:
    for block in range(1, blocks + 1):
        strides = 2 if block == blocks and name != "conv5" else 1
        x = _second_block(x, filters, strides, block == 1, f"{name}_block{block}")
    return x


def _second_block(x: Any, filters: int, strides: int, widened: bool, name: str) -> Any:
    active = _normalized(x, f"{name}_preact")
    if widened:
        shortcut = Conv2D(4 * filters, 1, strides=strides, name=f"{name}_0_conv")(active)
    else:
        shortcut = MaxPooling2D(1, strides=strides)(x) if strides > 1 else x
    x = _normalized(Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(active), f"{name}_1")
    x = ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = _normalized(Conv2D(filters, 3, strides=strides, use_bias=False, name=f"{name}_2_conv")(x), f"{name}_2")
    x = Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    return Add(name=f"{name}_out")([shortcut, x])
