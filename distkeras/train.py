"""`tf.train`: checkpoints, and examples as they are kept in TFRecord files."""

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

__all__ = [
    "BytesList",
    "Checkpoint",
    "CheckpointManager",
    "CheckpointState",
    "Example",
    "Feature",
    "Features",
    "FloatList",
    "Int64List",
    "get_checkpoint_state",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
]
