"""What the architectures are compared by: names and shapes of weights, and what fixed weights make of an image."""

from __future__ import annotations

from typing import Any

import numpy as np

# Name, and the smallest images they take.
ARCHITECTURES = {
    "VGG16": 32,
    "VGG19": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "InceptionV3": 75,
    "Xception": 71,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "DenseNet121": 32,
}

# Those whose names and shapes of weights are compared alone.
NAMED = ("NASNetMobile", "InceptionResNetV2")
# Numbers of parameters, as Keras' documentation lists them, of larger ones.
PARAMETERS = {
    "DenseNet169": 14307880,
    "DenseNet201": 20242984,
    "NASNetLarge": 88949818,
    "ResNet101": 44707176,
    "ResNet101V2": 44675560,
    "ResNet152": 60419944,
    "ResNet152V2": 60380648,
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


def fixed_weights(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Weights with which numbers neither vanish nor explode."""
    random = np.random.RandomState(0)
    return [
        random.uniform(0.5, 1.5, shape) if len(shape) == 1
        else random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
        for shape in shapes
    ]  # fmt: skip


def features(model: Any, side: int) -> np.ndarray:
    """Some of what a model without classifier makes of an image."""
    model.set_weights([weight.astype(np.float32) for weight in fixed_weights([w.shape for w in model.get_weights()])])
    image = np.random.RandomState(1).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)
    return model.predict(image)[0, :40]
