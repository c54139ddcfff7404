"""Ragged sequences in recurrent layers: filled up to the longest one, with a mask, and cut again."""

from __future__ import annotations

from typing import Any

from distkeras import ops
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.tensor import Tensor


def filled(layer: Any, rows: RaggedTensor, mask: Any) -> tuple[Tensor, Tensor]:
    """Sequences of one length, and which of their steps there are.

    A layer that goes backwards gets them with what is filled in first, so that it comes last for it.

    Raises:
        ValueError: There is a mask, or the layer cannot take ragged sequences as it is set up.
    """
    if mask is not None:
        raise ValueError(
            f"Layer {layer.name}: ragged sequences cannot have a mask as well. Leave mask_zero, and Masking layers, "
            "away: a ragged tensor has no steps that are only filled in."
        )
    if layer.time_major or layer.unroll or rows.ragged_rank > 1:
        raise ValueError(
            f"Layer {layer.name}: ragged sequences must have one ragged dimension, that of time, and cannot go with "
            "time_major or unroll; ragged.to_tensor() makes tensors of them."
        )
    rows = rows[:, ::-1] if layer.go_backwards else rows
    dense = rows.to_tensor()
    if not dense.shape[1]:  # all are empty: a step that does not count gives outputs their shape
        dense = ops.pad(dense, [[0, 0], [0, 1], *([0, 0] for _ in dense.shape[2:])])
    there = ops.sequence_mask(rows.row_lengths(), dense.shape[1])
    return (ops.reverse(dense, [1]), ops.reverse(there, [1])) if layer.go_backwards else (dense, there)


def cut(outputs: Tensor, rows: RaggedTensor) -> RaggedTensor:
    """The outputs of the steps that there are, in rows as the inputs were."""
    return RaggedTensor.from_tensor(outputs, rows.row_lengths())
