"""What the architectures are compared by: names and shapes of weights, and what fixed weights make of an image."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

# Name, and the smallest images they take: names and shapes of weights, and features, are compared.
ARCHITECTURES = {
    "VGG16": 32,
    "VGG19": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "InceptionV3": 75,
    "InceptionResNetV2": 75,
    "Xception": 71,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "DenseNet121": 32,
    "NASNetMobile": 32,
}
# The same of larger ones without their classifier; of names and shapes there is a digest.
LARGER = {
    "DenseNet169": 32,
    "DenseNet201": 32,
    "ResNet101": 32,
    "ResNet101V2": 32,
    "ResNet152": 32,
    "ResNet152V2": 32,
}


def weights_of(model: Any) -> list:
    """[layer's name, shapes] of the layers that have weights, in order; numbers that make names unique are left out."""
    return [
        [layer.name.rstrip("0123456789").rstrip("_") if is_numbered(layer.name) else layer.name,
         [list(weight.shape) for weight in layer.weights]]
        for layer in model.layers if layer.weights
    ]  # fmt: skip


def is_numbered(name: str) -> bool:
    return name.startswith(("conv2d", "batch_normalization"))


def digest_of(model: Any) -> str:
    """What stands for `weights_of(model)`."""
    return hashlib.sha256(json.dumps(weights_of(model)).encode()).hexdigest()[:16]


_TABLE = np.random.RandomState(0).standard_normal(10007).astype(np.float32)


def fixed_weights(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Weights with which numbers neither vanish nor explode, cut out of one table, which takes no time."""
    return [
        np.abs(np.resize(_TABLE[index:], shape)) % 1 + 0.5 if len(shape) == 1
        else np.resize(_TABLE, shape) * np.sqrt(np.float32(2 / np.prod(shape[:-1])))
        for index, shape in enumerate(shapes)
    ]  # fmt: skip


def features(model: Any, side: int) -> np.ndarray:
    """Some of what a model without classifier makes of an image."""
    model.set_weights(fixed_weights([weight.shape for weight in model.weights]))
    image = np.random.RandomState(1).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)
    return model.predict(image)[0, :40]
