"""User data brought into the form a model takes: arrays by input and output name, of the right rank, with weights."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.data.adapter import Data
from distkeras.data.arrays import as_rows, check_lengths, expand_vector, is_array, is_list_of_numbers
from distkeras.data.ragged import RaggedArray


@dataclass(frozen=True)
class Slot:
    """One input or output of a model.

    Attributes:
        name: Its name.
        shape: The shape its arrays must have, the axis of samples included; None where a size, or the whole, is free.
        text: Whether its elements are texts.
        ragged: Whether it takes ragged tensors.
    """

    name: str
    shape: tuple[int | None, ...] | None = None
    text: bool = False
    ragged: bool = False


@dataclass(frozen=True)
class Signature:
    """What a model takes.

    Attributes:
        inputs: Its inputs; None for a model that takes any structure.
        targets: The outputs that have a loss and so need targets; None where targets may have any structure.
        outputs: Names of all outputs, those that take no targets included.
        weight_modes: For each target None (a weight per sample) or 'temporal' (per sample and timestep).
        check_targets: Called with the list of targets; raises ValueError for those that do not fit their loss.
    """

    inputs: tuple[Slot, ...] | None = None
    targets: tuple[Slot, ...] | None = None
    outputs: tuple[str, ...] = ()
    weight_modes: tuple[str | None, ...] = ()
    check_targets: Callable[[list], None] | None = None

    def standardize(self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None) -> Data:
        """Arrays as the model takes them: one alone where there is one place, a list in order where there are several.

        Args:
            x: An array, a list of arrays in the order of the inputs, or a dict by input name.
            y: The same for the targets, or None.
            sample_weight: Weights of shape (samples,), or (samples, timesteps) where the mode is 'temporal'; for
                several targets a list or dict of them.
            class_weight: Dict class -> weight; for several targets a dict by output name of such dicts.

        Raises:
            ValueError: Something is missing, unknown, of unequal length, or of a shape that does not fit.
            TypeError: Weights are given in a form that does not say which output they are for.
        """
        x = self._standardize_inputs(x)
        targets = self._standardize_targets(y)
        weights = None
        if sample_weight is not None or class_weight is not None:
            if not targets:
                raise ValueError("`sample_weight` and `class_weight` weight a loss, but there are no targets `y`.")
            weights = self._standardize_weights(targets, sample_weight, class_weight)
        check_lengths(x, targets, weights)
        if targets and self.check_targets is not None:
            self.check_targets(targets)
        return x, _alone(targets), _alone(weights)

    def _standardize_inputs(self, x: Any) -> Any:
        if self.inputs is None:
            return _any_structure(x, "input")
        return _alone(_standardize_slots(x, self.inputs, "input"))

    def _standardize_targets(self, y: Any) -> list | None:
        if y is None:
            if self.targets:
                names = [slot.name for slot in self.targets]
                raise ValueError(f"The model has a loss for the outputs {names}, but no targets were given: pass `y`.")
            return None
        if self.targets is None:
            return [_any_structure(y, "target")]
        if not self.targets:
            raise ValueError("Targets were given, but no output has a loss: pass one to compile, or leave `y` away.")
        return _standardize_slots(y, self.targets, "target", self.outputs)

    def _standardize_weights(self, targets: list, sample_weight: Any, class_weight: Any) -> list | None:
        names = [slot.name for slot in self.targets] if self.targets is not None else [None] * len(targets)
        modes = self.weight_modes or (None,) * len(targets)
        by_sample = _by_output(sample_weight, names, "sample_weight")
        by_class = _by_output(class_weight, names, "class_weight")
        leaves = [_nest.flatten(target)[0] for target in targets]
        return [combine_weights(*parts) for parts in zip(leaves, by_sample, by_class, modes, strict=True)]


def _alone(parts: list | None) -> Any:
    return parts[0] if isinstance(parts, list) and len(parts) == 1 else parts


def _any_structure(data: Any, what: str) -> Any:
    def convert(value: Any, name: str) -> Any:
        if is_list_of_numbers(value) or not _nest.is_nested(value):
            array = expand_vector(as_rows(value, f"Error when checking {what}{name}", what == "input"))
            _check_kind(array, isinstance(array, RaggedArray) and what == "input", f"{what}{name}")
            return array
        if isinstance(value, dict):
            return {key: convert(child, f"{name} {key!r}") for key, child in value.items()}
        return type(value)(convert(child, f"{name} {index}") for index, child in enumerate(value))

    return convert(data, "")


# --- by name


def _standardize_slots(data: Any, slots: Sequence[Slot], what: str, also_known: Sequence[str] = ()) -> list:
    values = _by_slot(data, [slot.name for slot in slots], what, also_known)
    return [_fitted(value, slot, what) for value, slot in zip(values, slots, strict=True)]


def _by_slot(data: Any, names: list[str], what: str, also_known: Sequence[str]) -> list:
    if isinstance(data, Mapping):
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(f"No data provided for {missing}. Need data for each key in: {names}.")
        unknown = [key for key in data if key not in names and key not in also_known]
        if unknown:
            raise ValueError(f"Unknown entries in the dictionary of {what} data: {unknown}. Expected keys: {names}.")
        return [data[name] for name in names]
    several = isinstance(data, (list, tuple)) and not (len(names) == 1 and is_list_of_numbers(data))
    values = list(data) if several else [data]
    if len(values) != len(names):
        shapes = [tuple(value.shape) if is_array(value) else type(value).__name__ for value in values]
        raise ValueError(
            f"Error when checking model {what}: expected {len(names)} array(s), one for each of {names}, but got "
            f"{len(values)}: {shapes}."
        )
    return values


def _fitted(value: Any, slot: Slot, what: str) -> Any:
    if value is None:
        raise ValueError(f"Error when checking {what}: no data was given for {slot.name!r}, received None.")
    array = as_rows(value, f"Error when checking {what} {slot.name!r}", slot.text)
    if slot.shape is None or len(slot.shape) != 1:
        array = expand_vector(array)
    _check_kind(array, slot.ragged, f"{what} {slot.name!r}")
    if slot.shape is None:
        return array
    if len(array.shape) != len(slot.shape):
        raise ValueError(
            f"Error when checking {what}: expected {slot.name} to have {len(slot.shape)} dimensions, of shape "
            f"{slot.shape}, but got array with shape {tuple(array.shape)}.{_advice(value, slot)}"
        )
    fits = (size is None or size == given for size, given in zip(slot.shape[1:], array.shape[1:], strict=True))
    if not all(fits):
        raise ValueError(
            f"Error when checking {what}: expected {slot.name} to have shape {slot.shape[1:]} "
            f"but got array with shape {tuple(array.shape[1:])}, without the axis of samples.{_advice(value, slot)}"
        )
    return array


def _check_kind(array: Any, ragged: bool, what: str) -> None:
    """Refuse ragged data where arrays are taken, and arrays where ragged data is."""
    if isinstance(array, RaggedArray) and not ragged:
        raise ValueError(
            f"Error when checking {what}: a ragged tensor of shape {array.shape} was given where arrays are taken. "
            "Fill its rows up to one length by ragged.to_tensor(), in a dataset by .map(lambda x: x.to_tensor()); or, "
            "for an input, make it one of ragged tensors: tf.keras.Input(shape, ragged=True)."
        )
    if ragged and not isinstance(array, RaggedArray):
        raise ValueError(
            f"Error when checking {what}: expected a ragged tensor, for tf.keras.Input(..., ragged=True), but got an "
            f"array of shape {tuple(array.shape)}: tf.RaggedTensor.from_tensor(array) makes one of it."
        )


def _advice(value: Any, slot: Slot) -> str:
    """What to do where `value` has the shape of a sample."""
    shape = tuple(getattr(value, "shape", ()))
    sample = slot.shape[1:]
    if not shape or len(shape) != len(sample) or any(n not in (None, m) for n, m in zip(sample, shape, strict=True)):
        return ""
    return (
        f" {shape} is the shape of one sample: make a batch of it by x[np.newaxis], or, in a dataset, by "
        ".batch(batch_size)."
    )


# --- weights


def _by_output(weights: Any, names: list, what: str) -> list:
    """One entry per output of weights given for a model."""
    if weights is None:
        return [None] * len(names)
    by_name = what == "sample_weight" or any(isinstance(value, Mapping) for value in _values(weights))
    if isinstance(weights, Mapping) and (by_name or any(key in names for key in weights)):
        unknown = [key for key in weights if key not in names]
        if unknown:
            raise ValueError(f"Unknown entries in the `{what}` dictionary: {unknown}. Expected keys: {names}.")
        return [weights.get(name) for name in names]
    if len(names) == 1:
        alone = isinstance(weights, (list, tuple)) and len(weights) == 1 and not is_list_of_numbers(weights)
        return [weights[0] if alone else weights]
    if isinstance(weights, (list, tuple)) and not is_list_of_numbers(weights):
        if len(weights) != len(names):
            raise ValueError(f"`{what}` has {len(weights)} entries for the {len(names)} outputs {names}: one each.")
        return list(weights)
    raise TypeError(
        f"The model has several outputs, {names}, so `{what}` must be a list with one entry for each or a dict by "
        f"output name. Received: {type(weights).__name__}."
    )


def _values(weights: Any) -> list:
    return list(weights.values()) if isinstance(weights, Mapping) else []


def combine_weights(y: Any, sample_weight: Any, class_weight: Mapping | None, mode: str | None) -> np.ndarray | None:
    """The weights of one output: sample weights, class weights, or the product of both.

    Args:
        y: The targets: classes as shape (samples,) or (samples, 1), or one-hot (samples, classes).
        sample_weight: Shape (samples,), or (samples, timesteps) with the mode 'temporal'; None for ones.
        class_weight: Class -> weight, None for ones.
        mode: None or 'temporal'.

    Returns:
        Weights of the shape of `sample_weight`, or (samples,); None if none of the two is given.

    Raises:
        ValueError: Shapes do not fit the mode or the targets, or classes have no weight.
    """
    by_sample = None if sample_weight is None else _checked_sample_weight(y, sample_weight, mode)
    if class_weight is None:
        return by_sample
    if mode is not None:
        raise ValueError(
            "`class_weight` cannot be combined with sample_weight_mode='temporal': give weights per timestep."
        )
    by_class = class_weights_of(y, class_weight)
    return by_class if by_sample is None else by_class * np.asarray(by_sample)


def _checked_sample_weight(y: Any, sample_weight: Any, mode: str | None) -> Any:
    weight = as_rows(sample_weight, "sample_weight")
    shape, target = tuple(weight.shape), tuple(y.shape)
    if mode is None and len(shape) != 1:
        raise ValueError(
            f"Found a sample_weight array with shape {shape}; expected one weight per sample, of shape ({target[0]},). "
            'To weight timesteps, specify sample_weight_mode="temporal" in compile().'
        )
    if mode == "temporal" and len(target) < 3:
        raise ValueError(
            f"Found targets with shape {target}. Timestep-wise sample weighting (sample_weight_mode='temporal') is "
            "restricted to outputs that are at least 3D, i.e. that have a time dimension."
        )
    if mode == "temporal" and len(shape) != 2:
        raise ValueError(
            f"Found a sample_weight array with shape {shape}. Timestep-wise sample weighting takes weights of shape "
            f"(samples, timesteps): {target[:2]}."
        )
    if shape != target[: len(shape)]:
        raise ValueError(
            f"Found a sample_weight array with shape {shape} for targets with shape {target}. "
            f"Expected shape {target[: len(shape)]}."
        )
    return weight


def class_weights_of(y: Any, class_weight: Mapping) -> np.ndarray:
    """Each sample's weight by its class.

    Args:
        y: Classes of shape (samples,) or (samples, 1), or one-hot of shape (samples, classes).
        class_weight: Class -> weight.

    Returns:
        float32 weights of shape (samples,).

    Raises:
        ValueError: A class that occurs has no weight, or the targets have more than two dimensions.
        TypeError: `class_weight` is not a dict.

    >>> class_weights_of(np.array([0, 2, 0]), {0: 1.0, 1: 2.0, 2: 3.0}).tolist()
    [1.0, 3.0, 1.0]
    """
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"`class_weight` must be a dict of class -> weight, received {class_weight!r}.")
    if len(y.shape) > 2:
        raise ValueError(f"`class_weight` is not supported for targets of 3 or more dimensions, here {tuple(y.shape)}.")
    values = np.asarray(y[:])
    classes = values.argmax(axis=1) if values.ndim == 2 and values.shape[1] > 1 else values.reshape(-1)
    present, where = np.unique(classes, return_inverse=True)
    unweighted = [label.item() for label in present if label not in class_weight]
    if unweighted:
        raise ValueError(
            "`class_weight` must contain all classes in the data. "
            f"The classes {unweighted} exist in the data but not in `class_weight`, which has {sorted(class_weight)}."
        )
    chosen = [class_weight[label.item()] for label in present]
    if not all(isinstance(weight, numbers.Real) for weight in chosen):
        raise TypeError(f"`class_weight` must map each class to a number, received {class_weight!r}.")
    weights = np.array(chosen, np.float32)
    return weights[where.reshape(-1)]
