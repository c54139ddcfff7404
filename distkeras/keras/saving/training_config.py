"""What a model was compiled with, as JSON in a file."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from distkeras.keras import losses, metrics, optimizers
from distkeras.keras.saving.serialize import get_registered_name, get_registered_object
from distkeras.keras.saving.translate import plain_config

# How tf_keras and Keras 3 write a function that was given for a metric or a loss.
_WRAPPERS = ("MeanMetricWrapper", "LossFunctionWrapper")
# Losses whose functions have other names in Keras 3; the classes' names are the same everywhere.
_CLASSES = {
    "kld": "KLDivergence",
    "kullback_leibler_divergence": "KLDivergence",
    "logcosh": "LogCosh",
    "huber_loss": "Huber",
}
_BY_CONTEXT = ("accuracy", "acc", "crossentropy", "ce")


def training_config(model: Any) -> dict[str, Any]:
    """The arguments of `compile` and the optimizer, as plain values.

    Args:
        model: A compiled model.
    """
    given = model.compiled.get_config()
    return {
        "loss": _each(_written_loss, given["loss"]),
        "metrics": _each(_written, given["metrics"]),
        "weighted_metrics": _each(_written, given["weighted_metrics"]),
        "sample_weight_mode": given["sample_weight_mode"],
        "loss_weights": given["loss_weights"],
        "optimizer_config": _written_optimizer(model.optimizer),
    }


def _written(entry: Any) -> Any:
    if entry is None or isinstance(entry, str):
        return entry
    if not hasattr(entry, "get_config") or isinstance(entry, type):
        return get_registered_name(entry)
    name, config = get_registered_name(type(entry)), entry.get_config()
    if name in _WRAPPERS:
        function = entry.fn if isinstance(entry, losses.Loss) else entry._fn
        config = {**config, "fn": get_registered_name(function)}
    return {"class_name": name, "config": config}


def _written_loss(entry: Any) -> Any:
    """A loss in words that Keras 3 knows too: it has no 'auto', which means the same, and reads no short names."""
    if isinstance(entry, str) and entry.lower() in _CLASSES:
        entry = losses.LOSSES[_CLASSES[entry.lower()]]()
    if isinstance(entry, str) and inspect.isfunction(losses.LOSSES.get(entry)):
        return losses.LOSSES[entry].__name__
    written = _written(entry)
    if isinstance(written, dict) and written["config"].get("reduction") == losses.Reduction.AUTO:
        written["config"] = {**written["config"], "reduction": losses.Reduction.SUM_OVER_BATCH_SIZE}
    return written


def _written_optimizer(optimizer: Any) -> Any:
    """An optimizer; without its module Keras 3 does not find a schedule."""
    written = _written(optimizer)
    rate = written["config"].get("learning_rate")
    if isinstance(rate, Mapping) and rate.get("class_name") in vars(optimizers.schedules):
        rate = {"module": "keras.optimizers.schedules", **rate, "registered_name": None}
        written["config"] = {**written["config"], "learning_rate": rate}
    return written


def _each(function: Callable[[Any], Any], structure: Any) -> Any:
    """`function` of the entries of lists and dicts by output; configs count as entries."""
    if isinstance(structure, Mapping) and "class_name" not in structure:
        return {key: _each(function, value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_each(function, value) for value in structure]
    return function(structure)


# --- reading


def compile_from(model: Any, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> None:
    """Compile a model as a file says.

    Args:
        model: Not compiled yet.
        config: What `training_config` gave, or any Keras wrote.
        custom_objects: Classes and functions by name.

    Raises:
        ValueError: It names something unknown.
    """
    custom = dict(custom_objects or {})

    def found(deserialize: Callable) -> Callable[[Any], Any]:
        def find(entry: Any) -> Any:
            if entry is None or entry in _BY_CONTEXT:
                return entry
            if isinstance(entry, str):
                return custom.get(entry, entry)
            if entry["class_name"] in _WRAPPERS:
                return _wrapped(deserialize, entry["config"], custom)
            return deserialize(entry, custom_objects=custom)

        return lambda structure: _each(find, plain_config(structure))

    read_metrics = found(metrics.deserialize)
    model.compile(
        optimizer=_optimizer(plain_config(config["optimizer_config"]), custom),
        loss=found(losses.deserialize)(config.get("loss")),
        metrics=read_metrics(config.get("metrics")),
        loss_weights=config.get("loss_weights"),
        sample_weight_mode=config.get("sample_weight_mode"),
        weighted_metrics=read_metrics(config.get("weighted_metrics")),
    )


def _optimizer(config: dict[str, Any], custom: Mapping[str, Any]) -> Any:
    """The optimizer of a config; tf_keras counts its newer optimizers among custom objects."""
    name = config["class_name"]
    plain = name.removeprefix("Custom>")
    if get_registered_object(name, custom) is None and plain in optimizers.OPTIMIZERS:
        config = {**config, "class_name": plain}
    return optimizers.deserialize(config, custom_objects=custom)


def _wrapped(deserialize: Callable, settings: Mapping[str, Any], custom: Mapping[str, Any]) -> Any:
    """The metric that tf_keras makes of a function, or the function that it makes a loss of."""
    function = deserialize(settings["fn"], custom_objects=custom)
    if deserialize is losses.deserialize:
        return function
    return metrics.MeanMetricWrapper(function, name=settings.get("name"), dtype=settings.get("dtype"))


def warn_not_compiled() -> None:
    """Say that a file does not tell how to train."""
    warnings.warn(
        "No training configuration found in save file: the model was *not* compiled. Compile it manually.", stacklevel=4
    )
