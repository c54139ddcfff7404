"""Optimizers written as configs and found again by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distkeras.keras.optimizers.base import OPTIMIZERS, Optimizer
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object


def serialize(optimizer: Optimizer) -> Any:
    """What stands for an optimizer in a config."""
    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The optimizer that a config stands for; names of classes may be in lower case."""
    name = str(config.get("class_name", "")).lower() if isinstance(config, Mapping) else None
    if name == "lossscaleoptimizer":
        from distkeras.keras.optimizers.loss_scale_optimizer import LossScaleOptimizer  # which looks up its own

        return LossScaleOptimizer.from_config(config["config"], custom_objects)
    if name in OPTIMIZERS:
        if config["class_name"] not in (custom_objects or {}):
            config = {**config, "class_name": config["class_name"].lower()}
    return deserialize_keras_object(config, OPTIMIZERS, custom_objects, "optimizer")


def get(identifier: Any) -> Optimizer:
    """The optimizer meant by a name, a config, or an optimizer itself.

    Raises:
        ValueError: There is no such optimizer.

    >>> import distkeras as tf
    >>> tf.keras.optimizers.get("adam").get_config()["beta_1"]
    0.9
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        identifier = {"class_name": identifier, "config": {}}
    if not isinstance(identifier, Mapping):
        raise ValueError(
            f"Could not interpret optimizer identifier {identifier!r}: expected a name such as 'adam', a config, or a "
            "tf.keras.optimizers.Optimizer."
        )
    return deserialize(identifier)
