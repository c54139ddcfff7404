"""Ragged tensors: made, taken apart, computed with. Importing it gives them their methods and ops their rules."""

from distkeras.ops.ragged import dispatch, methods  # noqa: F401
from distkeras.ops.ragged.arranging import boolean_mask, ragged_stack, stack_dynamic_partitions
from distkeras.ops.ragged.conversion import ragged_to_tensor
from distkeras.ops.ragged.making import (
    constant,
    constant_value,
    map_flat_values,
    range_,
    row_splits_to_segment_ids,
    segment_ids_to_row_splits,
)

__all__ = [
    "boolean_mask",
    "constant",
    "constant_value",
    "map_flat_values",
    "ragged_stack",
    "ragged_to_tensor",
    "range_",
    "row_splits_to_segment_ids",
    "segment_ids_to_row_splits",
    "stack_dynamic_partitions",
]
