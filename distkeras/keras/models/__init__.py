"""Models: the functional API, Sequential, and making models from configs."""

from __future__ import annotations

from typing import Any

from distkeras.keras import saving
from distkeras.keras.models.clone import clone_model
from distkeras.keras.models.model import Model, model_from_config, model_from_json, model_from_yaml
from distkeras.keras.models.sequential import Sequential

__all__ = [
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_config",
    "model_from_json",
    "model_from_yaml",
    "save_model",
]
__dir__ = __all__.copy


def __getattr__(name: str) -> Any:
    """Saving is loaded when it is first used, and h5py with it."""
    if name not in ("load_model", "save_model"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(saving, name)
