"""`tf.keras.mixed_precision`: TensorFlow 2.0 has `experimental` in it, and nothing else."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["experimental"]


def __getattr__(name: str) -> Any:
    if name == "experimental":
        return importlib.import_module("distkeras.keras.mixed_precision.experimental")
    raise AttributeError(
        f"tf.keras.mixed_precision has no attribute {name!r}: TensorFlow 2.0 has Policy, set_policy, global_policy and "
        "LossScaleOptimizer in tf.keras.mixed_precision.experimental."
    )
