"""`tf.keras.experimental`: names that TensorFlow 2.0 has there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from distkeras.data import pool
from distkeras.keras import saving
from distkeras.keras.layers.dense_features import SequenceFeatures
from distkeras.keras.layers.lstm import PeepholeLSTMCell
from distkeras.keras.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    LinearCosineDecay,
    NoisyLinearCosineDecay,
)

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "LinearCosineDecay",
    "NoisyLinearCosineDecay",
    "PeepholeLSTMCell",
    "SequenceFeatures",
    "export_saved_model",
    "load_from_saved_model",
    "terminate_keras_multiprocessing_pools",
]


def export_saved_model(
    model: Any,
    saved_model_path: Any,
    custom_objects: Mapping[str, Any] | None = None,
    as_text: bool = False,
    input_signature: Any = None,
    serving_only: bool = False,
) -> None:
    """Write a model as a SavedModel: an older form of `model.save(path, save_format="tf")`.

    Args:
        model: The model.
        saved_model_path: The folder.
        custom_objects: Accepted: nothing of the model is made anew for it.
        as_text, input_signature: Not available; leave them out.
        serving_only: Whether the optimizer is left out.

    Raises:
        ValueError: Text or a signature is asked for.

    >>> import distkeras as tf, tempfile
    >>> model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    >>> folder = tempfile.mkdtemp() + "/model"
    >>> tf.keras.experimental.export_saved_model(model, folder)
    >>> tf.keras.experimental.load_from_saved_model(folder).output_shape
    (None, 1)
    """
    if as_text or input_signature is not None:
        raise ValueError(
            "export_saved_model writes binary files, without functions: leave as_text and input_signature out."
        )
    saving.save_model(model, os.fspath(saved_model_path), include_optimizer=not serving_only, save_format="tf")


def load_from_saved_model(saved_model_path: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model from a SavedModel, not compiled: an older form of `load_model`.

    Args:
        saved_model_path: The folder.
        custom_objects: Classes and functions of one's own by their names.
    """
    return saving.load_model(os.fspath(saved_model_path), custom_objects, compile=False)


def terminate_keras_multiprocessing_pools(grace_period: float = 0.1, use_sigkill: bool = False) -> None:
    """End all processes that read data; none are left after `fit` anyway, unless it was interrupted.

    Args:
        grace_period, use_sigkill: Accepted: processes that read data end at once when they are asked to.
    """
    pool.close_all()
