"""The state of an optimizer in an HDF5 group: written as TF 2.0 does, read as any Keras writes it.

TF 2.0     Adam/iter:0, then Adam/<weight>/m:0 of all weights, then Adam/<weight>/v:0 of all weights
tf_keras   iteration:0, then Adam/m/<weight>:0 and Adam/v/<weight>:0, weight by weight
Keras 3    adam/iteration, adam/learning_rate, then adam/.._momentum and adam/.._velocity, weight by weight
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import h5py

from distkeras.keras.saving import h5_entries as entries

# What later versions call TF 2.0's slots. Keras 3 joins the words with the weight's name by underscores.
_TF_KERAS_SLOTS = {
    "Adam": {"m": "m", "v": "v", "vhat": "vhat"},
    "SGD": {"m": "momentum"},
    "RMSprop": {"velocity": "rms", "momentum": "momentum", "average_gradient": "mg"},
}
_KERAS_3_SLOTS = {
    "Adam": {"momentum": "m", "velocity": "v", "velocity_hat": "vhat"},
    "SGD": {"momentum": "momentum"},
    "RMSprop": {"velocity": "rms", "momentum": "momentum", "average_gradient": "mg"},
}


def write_optimizer(group: h5py.Group, optimizer: Any) -> None:
    """Store an optimizer's weights."""
    entries.write_names(group, "weight_names", [weight.name for weight in optimizer.weights])
    for weight in optimizer.weights:
        entries.write_array(group, weight.name, weight.numpy())


def read_optimizer(group: h5py.Group, optimizer: Any, variables: Sequence[Any]) -> None:
    """Set an optimizer's state; if the file's does not fit, say so and leave it fresh.

    Args:
        group: Holds the state.
        optimizer: Will be built for the variables.
        variables: What it trains.

    Raises:
        FileFormatError: The group is broken.
    """
    names = entries.read_names(group, "weight_names")
    optimizer.build(variables)
    sources = sources_of(names, optimizer, variables)
    misfit = "its weights are others"
    if sources is not None:
        shapes = [(entries.array_shape(group, name), tuple(weight.shape)) for weight, name in sources]
        misfit = next(
            (f"a shape is {stored}, expected {expected}" for stored, expected in shapes if stored != expected), ""
        )
    if misfit:
        warnings.warn(
            f"Error in loading the saved optimizer state: {misfit}. As a result, your model is starting with a freshly "
            f"initialized optimizer. In the file: {names}; in the optimizer: "
            f"{[weight.name for weight in optimizer.weights]}.",
            stacklevel=5,
        )
        return
    for weight, name in sources:
        weight.assign(entries.read_array(group, name, tuple(weight.shape)).astype(weight.dtype.numpy))


def sources_of(names: list[str], optimizer: Any, variables: Sequence[Any]) -> list[tuple[Any, str]] | None:
    """(weight of the built optimizer, name in the file) pairs, None if they do not correspond."""
    if names and _last_word(names[0]) == "iter":
        return list(zip(optimizer.weights, names, strict=True)) if len(names) == len(optimizer.weights) else None
    by_slot = later_slots(names, optimizer, variables)
    if by_slot is None:
        return None
    pairs = [(optimizer.iterations, names[0])]
    for slot in optimizer.get_slot_names():
        pairs += [
            (optimizer.get_slot(variable, slot), name) for variable, name in zip(variables, by_slot[slot], strict=True)
        ]
    return pairs


def _last_word(name: str) -> str:
    return name.split("/")[-1].split(":")[0]


def later_slots(names: list[str], optimizer: Any, variables: Sequence[Any]) -> dict[str, list[str]] | None:
    """Names that tf_keras or Keras 3 have written by TF 2.0's slots, in the order of the variables; None for others."""
    if not names or _last_word(names[0]) != "iteration":
        return None
    kind = type(optimizer).__name__
    by_slot: dict[str, list[str]] = {}
    for name in names[1:]:
        if _last_word(name) == "learning_rate":
            continue
        slot = _tf_keras_slot(name, kind) if name.endswith(":0") else _keras_3_slot(name, kind)
        if slot is None:
            return None
        by_slot.setdefault(slot, []).append(name)
    fits = all(len(by_slot.get(slot, ())) == len(variables) for slot in optimizer.get_slot_names())
    return by_slot if fits else None


def _tf_keras_slot(name: str, kind: str) -> str | None:
    parts = name.split("/")
    return _TF_KERAS_SLOTS.get(kind, {}).get(parts[1]) if len(parts) > 2 else None


def _keras_3_slot(name: str, kind: str) -> str | None:
    slots = _KERAS_3_SLOTS.get(kind, {})
    return next((slots[word] for word in sorted(slots, key=len, reverse=True) if name.endswith(f"_{word}")), None)
