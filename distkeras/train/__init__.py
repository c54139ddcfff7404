"""`tf.train`: checkpoints, and examples as they are kept in TFRecord files."""

from __future__ import annotations

import importlib
from typing import Any

from distkeras.data.example import BytesList, Example, Feature, Features, FloatList, Int64List
from distkeras.keras.saving.checkpoint import Checkpoint, CheckpointManager
from distkeras.keras.saving.checkpoint_state import (
    CheckpointState,
    get_checkpoint_state,
    latest_checkpoint,
    list_variables,
    load_checkpoint,
    load_variable,
)
from distkeras.train.moving_average import ExponentialMovingAverage

__all__ = [
    "BytesList",
    "Checkpoint",
    "CheckpointManager",
    "CheckpointState",
    "Example",
    "ExponentialMovingAverage",
    "Feature",
    "Features",
    "FloatList",
    "Int64List",
    "experimental",
    "get_checkpoint_state",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
]


def __getattr__(name: str) -> Any:
    if name == "experimental":
        return importlib.import_module("distkeras.train.experimental")
    raise AttributeError(f"tf.train has no attribute {name!r}; there are {', '.join(sorted(__all__))}.")
