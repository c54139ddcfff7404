"""`tf.keras.estimator`: a name that says what takes its place."""

from __future__ import annotations

from typing import Any

__all__ = ["model_to_estimator"]


def model_to_estimator(*args: Any, **kwargs: Any) -> Any:
    """Belongs to `tf.estimator`, which there is not.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(
        "There is no tf.estimator: train the Keras model itself with model.fit(dataset), on several ranks under a "
        "tf.distribute strategy; BackupAndRestore goes on after an interruption, as an Estimator with a model_dir does."
    )
