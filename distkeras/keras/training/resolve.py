"""What the arguments of `compile` mean for each output of a model."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from distkeras.keras import losses, metrics

_ACCURACY = ("accuracy", "acc")
_CROSSENTROPY = ("crossentropy", "ce")
_BY_CONTEXT = _ACCURACY + _CROSSENTROPY


def check_keys(argument: str, given: Mapping, output_names: Sequence[str]) -> None:
    """Raise ValueError unless all keys of a dict are names of outputs."""
    unknown = [key for key in given if key not in output_names]
    if unknown:
        raise ValueError(
            f"Unknown entries in {argument} dictionary: {unknown}. "
            f"Only expected following keys: {list(output_names)}, the names of the outputs."
        )


def check_length(argument: str, given: Sequence, output_names: Sequence[str]) -> None:
    """Raise ValueError unless a list has one entry for each output."""
    if len(given) != len(output_names):
        raise ValueError(
            f"When passing a list as {argument}, it should have one entry per model output. The model has "
            f"{len(output_names)} outputs, {list(output_names)}, but you passed {argument}={given!r}."
        )


# --- losses


def loss_object(identifier: Any) -> Any:
    """The loss that one output is compiled with: a `losses.Loss`, another callable object, or None.

    Raises:
        ValueError: There is no such loss.
    """
    if identifier is None or isinstance(identifier, losses.Loss):
        return identifier
    loss = losses.get(identifier)
    if inspect.isclass(loss):
        loss = loss()
    if isinstance(loss, losses.Loss):
        return loss
    if not callable(loss):
        raise ValueError(f"`loss` must be a name, a function or a tf.keras.losses.Loss, received {identifier!r}.")
    name = getattr(loss, "__name__", None)
    return loss if name is None else losses.LossFunctionWrapper(loss, name=name)


def losses_by_output(loss: Any, output_names: Sequence[str]) -> list:
    """One loss, or None, for each output.

    Raises:
        ValueError: Unknown losses or outputs, or a list of the wrong length.
    """
    if isinstance(loss, Mapping) and not _is_config(loss):
        check_keys("loss", loss, output_names)
        for name in output_names:
            if name not in loss:
                warnings.warn(
                    f"Output {name} missing from loss dictionary. We assume this was done on purpose: fit and evaluate "
                    f"expect no targets for {name}.",
                    stacklevel=4,
                )
        return [loss_object(loss.get(name)) for name in output_names]
    if isinstance(loss, (list, tuple)):
        check_length("loss", loss, output_names)
        return [loss_object(item) for item in loss]
    return [loss_object(loss) for _ in output_names]


def _is_config(value: Mapping) -> bool:
    return "class_name" in value and "config" in value


def is_loss(loss: Any, function: str, cls: type) -> bool:
    """Whether `loss` is the built-in loss with this function's name or class."""
    return isinstance(loss, cls) or (
        isinstance(loss, losses.LossFunctionWrapper) and loss.fn is getattr(losses, function)
    )


def is_sparse_categorical(loss: Any) -> bool:
    """Whether `loss` is the cross-entropy of integer classes."""
    return is_loss(loss, "sparse_categorical_crossentropy", losses.SparseCategoricalCrossentropy)


def is_categorical(loss: Any) -> bool:
    """Whether `loss` is the cross-entropy of one-hot classes."""
    return is_loss(loss, "categorical_crossentropy", losses.CategoricalCrossentropy)


def is_binary(loss: Any) -> bool:
    """Whether `loss` is the binary cross-entropy."""
    return is_loss(loss, "binary_crossentropy", losses.BinaryCrossentropy)


def is_mean_squared(loss: Any) -> bool:
    """Whether `loss` is the mean squared error."""
    return is_loss(loss, "mean_squared_error", losses.MeanSquaredError)


# --- weights


def weights_by_output(loss_weights: Any, output_names: Sequence[str]) -> list[float]:
    """The factor of each output's loss.

    Raises:
        ValueError: Unknown outputs, a list of the wrong length, or a weight that is no number.
        TypeError: Neither a list nor a dict.
    """
    if loss_weights is None:
        return [1.0] * len(output_names)
    if isinstance(loss_weights, Mapping):
        check_keys("loss_weights", loss_weights, output_names)
        weights = [loss_weights.get(name, 1.0) for name in output_names]
    elif isinstance(loss_weights, (list, tuple)):
        check_length("loss_weights", loss_weights, output_names)
        weights = list(loss_weights)
    else:
        raise TypeError(f"`loss_weights` must be a list or a dict by output name, received {loss_weights!r}.")
    try:
        return [float(weight) for weight in weights]
    except (TypeError, ValueError):
        raise ValueError(f"`loss_weights` must hold numbers, received {loss_weights!r}.") from None


def modes_by_output(sample_weight_mode: Any, output_names: Sequence[str], loss_list: Sequence) -> list[str | None]:
    """None or 'temporal' for each output.

    Raises:
        ValueError: Another mode, an unknown output, an output without an entry, or a list of the wrong length.
    """
    if isinstance(sample_weight_mode, Mapping):
        check_keys("sample_weight_mode", sample_weight_mode, output_names)
        for name, loss in zip(output_names, loss_list, strict=True):
            if name not in sample_weight_mode and loss is not None:
                raise ValueError(f"Output {name} missing from sample_weight_mode dictionary: {sample_weight_mode!r}.")
        modes = [sample_weight_mode.get(name) for name in output_names]
    elif isinstance(sample_weight_mode, (list, tuple)):
        check_length("sample_weight_mode", sample_weight_mode, output_names)
        modes = list(sample_weight_mode)
    else:
        modes = [sample_weight_mode] * len(output_names)
    for mode in modes:
        check_mode(mode)
    return modes


def check_mode(mode: Any) -> None:
    """Raise ValueError unless `mode` is None or 'temporal'."""
    if mode not in (None, "temporal"):
        raise ValueError(f'`sample_weight_mode` must be None or "temporal", received {mode!r}.')


# --- targets


def check_target_tensors(given: Any) -> None:
    """Raise TypeError unless `given` is None, a tensor or array, or a list or dict of these."""
    entries = given.values() if isinstance(given, Mapping) else given if isinstance(given, (list, tuple)) else [given]
    if any(entry is not None and not hasattr(entry, "shape") for entry in entries):
        raise TypeError(
            "Expected `target_tensors` to be a tensor, or a list or dict by output name of tensors, "
            f"but got: {given!r}."
        )


def target_tensors_by_output(given: Any, output_names: Sequence[str]) -> dict[str, Any]:
    """The targets given to `compile`, by output.

    Raises:
        ValueError: An unknown output, or a list of the wrong length.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        check_keys("target_tensors", given, output_names)
        by_name = dict(given)
    else:
        given = given if isinstance(given, (list, tuple)) else [given]
        check_length("target_tensors", given, output_names)
        by_name = dict(zip(output_names, given, strict=True))
    return {name: tensor for name, tensor in by_name.items() if tensor is not None}


# --- metrics


def check_metrics(given: Any) -> None:
    """Raise unless `given` has the form of a `metrics` argument and all its names are known.

    Raises:
        TypeError: Neither a list nor a dict.
        ValueError: An unknown metric.
    """
    if given is None:
        return
    if not isinstance(given, (list, tuple, Mapping)):
        raise TypeError(f"Type of `metrics` argument not understood. Expected a list or dictionary, found: {given!r}.")
    for item in given.values() if isinstance(given, Mapping) else given:
        for identifier in item if isinstance(item, (list, tuple)) else [item]:
            if identifier is None or identifier not in _BY_CONTEXT:
                _metric_of(identifier)


def _metric_of(identifier: Any) -> Any:
    found = metrics.get(identifier)
    if inspect.isclass(found):
        found = found()
    if not callable(found):
        raise ValueError(f"A metric must be a name, a function or a tf.keras.metrics.Metric, received {identifier!r}.")
    return found


def metrics_by_output(
    given: Any, output_names: Sequence[str], output_shapes: Sequence, loss_list: Sequence
) -> list[dict[str, Any]]:
    """For each output a dict name -> Metric, in the order given.

    Raises:
        ValueError: An unknown metric or output, or a list of lists of the wrong length.
        TypeError: Neither a list nor a dict.
    """
    check_metrics(given)
    nested = _nested_metrics(given, output_names)
    return [
        {_name_of(identifier): _metric_object(identifier, shape, loss) for identifier in identifiers}
        for identifiers, shape, loss in zip(nested, output_shapes, loss_list, strict=True)
    ]


def _nested_metrics(given: Any, output_names: Sequence[str]) -> list[list]:
    if not given:
        return [[] for _ in output_names]
    if isinstance(given, Mapping):
        check_keys("metrics", given, output_names)
        return [_as_list(given.get(name, [])) for name in output_names]
    if any(isinstance(item, (list, tuple)) for item in given):
        check_length("metrics", given, output_names)
        return [_as_list(item) for item in given]
    if len(output_names) == 1:
        return [list(given)]
    return [[_clone(identifier) for identifier in given] for _ in output_names]


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _clone(identifier: Any) -> Any:
    """Each output needs state of its own."""
    if isinstance(identifier, metrics.Metric):
        return type(identifier).from_config(identifier.get_config())
    return identifier


def _name_of(identifier: Any) -> str:
    if isinstance(identifier, str):
        return identifier
    found = _metric_of(identifier)
    return getattr(found, "name", None) or getattr(found, "__name__", None) or type(found).__name__


def _metric_object(identifier: Any, output_shape: Any, loss: Any) -> Any:
    if isinstance(identifier, str) and identifier in _BY_CONTEXT:
        found = _metric_by_context(identifier, output_shape, loss)
    else:
        found = _metric_of(identifier)
    if isinstance(found, metrics.Metric):
        return found
    return metrics.MeanMetricWrapper(found, name=_name_of(identifier))


def _metric_by_context(name: str, output_shape: Any, loss: Any) -> Any:
    """'accuracy' and 'crossentropy' mean what fits the output's last axis and its loss."""
    kind = "accuracy" if name in _ACCURACY else "crossentropy"
    if (output_shape and output_shape[-1] == 1) or is_binary(loss):
        return getattr(metrics, f"binary_{kind}")
    if is_sparse_categorical(loss):
        return getattr(metrics, f"sparse_categorical_{kind}")
    return getattr(metrics, f"categorical_{kind}")
