"""`tf.ragged`: tensors whose rows have different lengths."""

from distkeras.core.ragged_spec import RaggedTensorSpec
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.ops.ragged import (
    boolean_mask,
    constant,
    constant_value,
    map_flat_values,
    row_splits_to_segment_ids,
    segment_ids_to_row_splits,
    stack_dynamic_partitions,
)
from distkeras.ops.ragged import ragged_stack as stack
from distkeras.ops.ragged import range_ as range

__all__ = [
    "RaggedTensor",
    "RaggedTensorSpec",
    "boolean_mask",
    "constant",
    "constant_value",
    "map_flat_values",
    "range",
    "row_splits_to_segment_ids",
    "segment_ids_to_row_splits",
    "stack",
    "stack_dynamic_partitions",
]


def __getattr__(name: str) -> None:
    raise AttributeError(
        f"tf.ragged has no {name!r}; there are {', '.join(__all__)}. Others work on dense tensors: ragged.to_tensor()."
    )
