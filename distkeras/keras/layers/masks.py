"""Masks: which steps of a sequence count. A tensor carries its mask with it, as `_keras_mask`, from layer to layer."""

from __future__ import annotations

from typing import Any

from distkeras import _nest
from distkeras.keras.layers.call_signature import CallSignature


def masks_of(structure: Any) -> Any:
    """The mask of each tensor in a structure, None where there is none."""
    return _nest.map_structure(lambda tensor: getattr(tensor, "_keras_mask", None), structure)


def resolve_mask(
    signature: CallSignature, inputs: Any, args: tuple, kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any], Any]:
    """The arguments of a call with `mask` filled in from the inputs unless it was given, and the mask that holds."""
    if signature.was_given("mask", args, kwargs):
        return args, kwargs, signature.given("mask", args, kwargs)
    masks = masks_of(inputs)
    if all(mask is None for mask in _nest.flatten(masks)):
        return args, kwargs, None
    if signature.expects("mask"):
        kwargs = {**kwargs, "mask": masks}
    return args, kwargs, masks


def set_masks(layer: Any, inputs: Any, outputs: Any, mask: Any) -> None:
    """Put the masks that a layer computes on its outputs, unless they all carry one already."""
    leaves = _nest.flatten(outputs)
    if all(getattr(leaf, "_keras_mask", None) is not None for leaf in leaves):
        return
    computed = layer.compute_mask(inputs, mask)
    flat = [None] * len(leaves) if computed is None else _nest.flatten(computed)
    for leaf, item in zip(leaves, flat, strict=False):  # outputs beyond the masks have none
        leaf._keras_mask = item
