"""TensorFlow's checkpoints as a format of models' weights: PREFIX.index and PREFIX.data-00000-of-00001."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distkeras._errors import FileFormatError
from distkeras.keras.saving.checkpoint_state import checkpoint_exists
from distkeras.keras.saving.restoration import CheckpointLoadStatus, restore
from distkeras.keras.saving.together import read_together

# Values wait for variables that are made later.
NEEDS_VARIABLES = False


def matches(path: str) -> bool:
    """Whether there is a checkpoint of this name."""
    return checkpoint_exists(path)


def read_model_file(path: str, custom_objects: Mapping[str, Any] | None = None, compile: bool = True) -> Any:
    """Raise FileFormatError: a checkpoint holds no model."""
    raise FileFormatError(
        f"{path} is a TensorFlow checkpoint, which holds only weights: build the model and use model.load_weights."
    )


def read_weights_file(path: str, model: Any, by_name: bool = False) -> CheckpointLoadStatus:
    """Give a model the values of a checkpoint; see `restoration.restore`.

    Raises:
        NotImplementedError: `by_name`, since a checkpoint does not know the names of layers.
    """
    if by_name:
        raise NotImplementedError(
            "Weights may only be loaded based on topology into Models when loading TensorFlow-formatted weights (got "
            "by_name=True to load_weights): leave it out, or save the weights with a path that ends in '.h5'."
        )
    return read_together(model.distribute_strategy, path, lambda: restore(model, path))
