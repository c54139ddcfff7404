"""`tf.keras`: models, layers and training. Families are loaded when they are first used."""

from __future__ import annotations

import importlib
from typing import Any

_PACKAGES = """
    activations applications backend callbacks constraints datasets estimator experimental initializers layers losses
    metrics mixed_precision models optimizers preprocessing regularizers utils wrappers
""".split()
_NAMES = {"Model": "models", "Sequential": "models", "Input": "layers"}

__all__ = ["__version__", *_PACKAGES, *_NAMES]
__version__ = "2.2.4-tf"  # Keras' as of TensorFlow 2.0, whose names and files these are


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(f"distkeras.keras.{_NAMES[name]}"), name)
    elif name in _PACKAGES:
        value = importlib.import_module(f"distkeras.keras.{name}")
    else:
        raise AttributeError(f"tf.keras has no attribute {name!r}; there are {', '.join(sorted(__all__))}.")
    globals()[name] = value
    return value


__dir__ = __all__.copy
