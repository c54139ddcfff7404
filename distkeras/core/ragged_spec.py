"""RaggedTensorSpec: what is known of a RaggedTensor before it has values."""

from __future__ import annotations

from typing import Any

from distkeras.core.ragged_tensor import RaggedTensor, splits_type
from distkeras.core.spec import TensorShape, as_dtype


class RaggedTensorSpec:
    """What is known of a RaggedTensor before it has values.

    Args:
        shape: None for ragged dimensions and unknown sizes.
        dtype: The values' type.
        ragged_rank: How many dimensions are ragged; by default all but the first.
        row_splits_dtype: int32 or int64.

    >>> import distkeras as tf
    >>> tf.RaggedTensorSpec([None, None], tf.int32)
    RaggedTensorSpec(TensorShape([None, None]), tf.int32, 1, tf.int64)
    """

    value_type = RaggedTensor

    def __init__(
        self, shape: Any = None, dtype: Any = "float32", ragged_rank: int | None = None, row_splits_dtype: Any = "int64"
    ) -> None:
        self.shape, self.dtype = TensorShape(shape), as_dtype(dtype)
        rank = self.shape.rank
        if ragged_rank is None and rank is None:
            raise ValueError("RaggedTensorSpec: give ragged_rank where the shape has no known number of dimensions.")
        self.ragged_rank = rank - 1 if ragged_rank is None else int(ragged_rank)
        if rank is not None and not 0 <= self.ragged_rank < rank:
            raise ValueError(f"RaggedTensorSpec: ragged_rank must be less than {rank}, received {self.ragged_rank}.")
        self.row_splits_dtype = as_dtype(splits_type(row_splits_dtype))

    @classmethod
    def from_value(cls, value: RaggedTensor) -> RaggedTensorSpec:
        """The spec of a RaggedTensor."""
        return cls(value.shape, value.dtype, value.ragged_rank, value.splits.dtype)

    def is_compatible_with(self, value: Any) -> bool:
        """Whether a RaggedTensor, or a spec, fits."""
        spec = RaggedTensorSpec.from_value(value) if isinstance(value, RaggedTensor) else value
        return (
            isinstance(spec, RaggedTensorSpec)
            and self._kind() == spec._kind()
            and self.shape.is_compatible_with(spec.shape)
        )

    def with_shape(self, shape: Any, ragged_rank: int | None = None) -> RaggedTensorSpec:
        """The same of another shape, and number of ragged dimensions if it is given."""
        rank = self.ragged_rank if ragged_rank is None else ragged_rank
        return RaggedTensorSpec(shape, self.dtype, rank, self.row_splits_dtype)

    def _kind(self) -> tuple:
        return self.dtype, self.ragged_rank, self.row_splits_dtype

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, RaggedTensorSpec) and (self.shape, self._kind()) == (other.shape, other._kind())

    def __hash__(self) -> int:
        return hash((self.shape, self._kind()))

    def __repr__(self) -> str:
        return f"RaggedTensorSpec({self.shape!r}, {self.dtype!r}, {self.ragged_rank}, {self.row_splits_dtype!r})"
