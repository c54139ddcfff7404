"""VGG: stacks of 3 x 3 convolutions.

Source: Simonyan and Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras.keras.applications.imagenet import Size, finished, image_input, pooled, usual_file
from distkeras.keras.layers import Conv2D, Dense, Flatten, MaxPooling2D
from distkeras.keras.models import Model

_MD5 = {
    ("vgg16", True): "64373286793e3c8b2b4e3219cbf3544b",
    ("vgg16", False): "6d6bbae143d832006294945121d1f1fc",
    ("vgg19", True): "cbe5617147190e668d6c5d5026f83318",
    ("vgg19", False): "253f8cb515780f3b799900260a226db6",
}


def vgg(
    name: str,
    depths: Sequence[int],
    include_top: bool,
    weights: Any,
    input_tensor: Any,
    input_shape: Any,
    pooling: str | None,
    classes: int,
) -> Model:
    """The network with so many convolutions in each of its blocks."""
    inputs = x = image_input(include_top, weights, input_tensor, input_shape, classes, pooling, Size(224, 32))
    for block, (depth, filters) in enumerate(zip(depths, (64, 128, 256, 512, 512), strict=True), 1):
        for layer in range(1, depth + 1):
            x = Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv{layer}")(x)
        x = MaxPooling2D(2, 2, name=f"block{block}_pool")(x)
    if include_top:
        x = Flatten(name="flatten")(x)
        x = Dense(4096, activation="relu", name="fc1")(x)
        x = Dense(4096, activation="relu", name="fc2")(x)
        x = Dense(classes, activation="softmax", name="predictions")(x)
    else:
        x = pooled(x, pooling)
    file = usual_file(name, name, include_top, _MD5[name, include_top])
    return finished(inputs, x, name, weights, file)
