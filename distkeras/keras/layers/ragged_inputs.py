"""Ragged tensors as inputs of layers: which layers take them, and what they are while shapes are found out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.core.ragged_tensor import RaggedTensor, splits_of
from distkeras.core.spec import DType, TensorShape, TensorSpec
from distkeras.core.tensor import Tensor


class RaggedSample:
    """A ragged tensor of which the rows are known, and shape and type of the innermost values.

    Args:
        nested: The row splits of each ragged dimension, the outermost first.
        values: The spec of the innermost values.
    """

    def __init__(self, nested: Sequence[np.ndarray], values: TensorSpec) -> None:
        self.nested, self.values = tuple(nested), values

    @classmethod
    def of(cls, tensor: RaggedTensor) -> RaggedSample:
        """What is known of a ragged tensor."""
        return cls(tensor.nested_splits, tensor.flat_values.spec)

    @classmethod
    def of_shape(cls, shape: Sequence[int | None], dtype: Any, rows: int, size: int) -> RaggedSample:
        """Rows of different lengths for the dimensions None that follow the first one.

        Args:
            shape: The shape; the first size of it is not looked at.
            dtype: The type.
            rows: How many rows there are.
            size: What other sizes are that are None; the longest rows have as many values as 32 goes into it.
        """
        depth, nested, count, longest = ragged_rank_of(shape), [], rows, size // 32
        for _ in range(depth):
            nested.append(splits_of(np.arange(count) % longest + 1))
            count = int(nested[-1][-1])
        inner = [size if known is None else known for known in shape[1 + depth :]]
        return cls(nested, TensorSpec((count, *inner), dtype))

    @property
    def shape(self) -> TensorShape:
        return TensorShape((len(self.nested[0]) - 1, *(None for _ in self.nested), *self.values.shape[1:]))

    @property
    def dtype(self) -> DType:
        return self.values.dtype

    def tensor(self, values: Tensor) -> RaggedTensor:
        """The ragged tensor of these values."""
        return RaggedTensor.from_nested_row_splits(values, self.nested)


def ragged_rank_of(shape: Sequence[int | None]) -> int:
    """How many dimensions of a ragged input are ragged: those of unknown size that follow the first one.

    Raises:
        ValueError: There is none.
    """
    inner = [size is None for size in shape[1:]]
    depth = inner.index(False) if False in inner else len(inner)
    if not depth:
        raise ValueError(f"A ragged input needs a size None after the samples, as in shape=(None,); got {shape}.")
    return depth


def is_ragged(value: Any) -> bool:
    """Whether it is a ragged tensor, or a symbolic tensor that stands for one."""
    return isinstance(value, RaggedTensor) or getattr(value, "ragged", False) is True


def refuse_ragged(layer: Any, inputs: Any) -> None:
    """Raise ValueError for ragged inputs of a layer of distkeras that cannot take them; users' own may."""
    takes = layer._supports_ragged_inputs
    if takes is None:
        takes = not type(layer).__module__.startswith("distkeras.")
    ragged = [] if takes else [leaf for leaf in _nest.flatten(inputs) if is_ragged(leaf)]
    if ragged:
        raise ValueError(
            f"Layer {layer.name} ({type(layer).__name__}) does not support RaggedTensors as input. Inputs received: "
            f"a ragged tensor of shape {ragged[0].shape}. Convert it to a uniform tensor before: ragged.to_tensor(), "
            "as in tf.keras.layers.Lambda(lambda x: x.to_tensor())."
        )
