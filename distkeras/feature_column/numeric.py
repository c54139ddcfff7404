"""Columns of numbers, and of the intervals that they lie in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.spec import DType, as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.data.parsing import FixedLenFeature
from distkeras.feature_column.base import COLUMNS, CategoricalColumn, DenseColumn, Features, Ids, checked_key


@COLUMNS.register()
@dataclasses.dataclass(frozen=True)
class NumericColumn(DenseColumn):
    """See `numeric_column`."""

    key: str
    shape: tuple[int, ...]
    default_value: tuple | None
    dtype: DType
    normalizer_fn: Callable | None

    @property
    def name(self) -> str:
        return self.key

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        default = None if self.default_value is None else np.reshape(self.default_value, self.shape)
        return {self.key: FixedLenFeature(self.shape, self.dtype, default)}

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def values(self, features: Features) -> Tensor:
        """[batch, size], normalised."""
        raw = features.raw(self.key)
        if raw.dtype == "string":
            raise ValueError(
                f"The corresponding Tensor of numerical column must be a number. key: {self.key}, received strings."
            )
        values = ops.cast(raw, "float32")
        values = values if self.normalizer_fn is None else ops.cast(self.normalizer_fn(values), "float32")
        if values.spec.size != values.shape[0] * self.size:
            raise ValueError(f"Feature {self.key} has shape {values.shape}, its column {(None, *self.shape)}.")
        return ops.reshape(values, (values.shape[0], self.size))

    def dense(self, features: Features) -> Tensor:
        return self.values(features)


def numeric_column(
    key: str,
    shape: Sequence[int] | int = (1,),
    default_value: Any = None,
    dtype: Any = "float32",
    normalizer_fn: Callable | None = None,
) -> NumericColumn:
    """Numbers as they are.

    Args:
        key: The feature's name.
        shape: The shape of a sample's feature.
        default_value: What Examples without the feature have: a number, or numbers of that shape.
        dtype: A type of numbers.
        normalizer_fn: Applied to the feature: tensor -> tensor of the same shape.

    Raises:
        ValueError: The shape is not positive, or the type is not one of numbers.
        TypeError: The default is no number, or the normalizer no function.

    >>> import distkeras as tf
    >>> column = tf.feature_column.numeric_column("age", normalizer_fn=lambda x: x / 10.0)
    >>> tf.keras.layers.DenseFeatures([column])({"age": [20.0, 35.0]}).numpy().tolist()
    [[2.0], [3.5]]
    """
    sizes = tuple(int(size) for size in ((shape,) if isinstance(shape, int) else shape))
    if any(size <= 0 for size in sizes):
        raise ValueError(f"numeric_column: shape dimensions must be greater than 0, received {shape}.")
    kind = as_dtype(dtype)
    if not (kind.is_floating or kind.is_integer):
        raise ValueError(f"numeric_column: dtype must be convertible to float, received {kind.name}.")
    if normalizer_fn is not None and not callable(normalizer_fn):
        raise TypeError(f"numeric_column: normalizer_fn must be a callable, received {normalizer_fn!r}.")
    default = None
    if default_value is not None:
        values = np.asarray(default_value)
        if values.dtype.kind not in "iuf" or (values.ndim and values.shape != sizes):
            raise TypeError(
                f"numeric_column: default_value must be a number, or numbers of shape {sizes}; "
                f"received {default_value!r}."
            )
        default = tuple(np.broadcast_to(values, sizes).reshape(-1).tolist())
    return NumericColumn(checked_key(key), sizes, default, kind, normalizer_fn)


@COLUMNS.register()
@dataclasses.dataclass(frozen=True)
class BucketizedColumn(DenseColumn, CategoricalColumn):
    """See `bucketized_column`."""

    source_column: NumericColumn
    boundaries: tuple[float, ...]

    @property
    def name(self) -> str:
        return f"{self.source_column.name}_bucketized"

    @property
    def parents(self) -> tuple:
        return (self.source_column,)

    @property
    def _intervals(self) -> int:
        return len(self.boundaries) + 1

    @property
    def size(self) -> int:
        return self._intervals * self.source_column.size

    @property
    def num_buckets(self) -> int:
        return self.size

    def _interval(self, features: Features) -> Tensor:
        values = self.source_column.values(features)
        edges = to_tensor(np.array(self.boundaries, np.float32))
        return ops.reduce_sum(ops.cast(ops.expand_dims(values, -1) >= edges, "int64"), -1)

    def dense(self, features: Features) -> Tensor:
        chosen = ops.one_hot(self._interval(features), self._intervals)
        return ops.reshape(chosen, (chosen.shape[0], self.size))

    def ids(self, features: Features) -> Ids:
        """Numbers of the feature after the first have intervals of their own."""
        offsets = to_tensor(np.arange(self.source_column.size, dtype=np.int64) * self._intervals)
        return Ids(self._interval(features) + offsets)


def bucketized_column(source_column: NumericColumn, boundaries: Sequence[float]) -> BucketizedColumn:
    """The interval that a number lies in, one-hot; each boundary belongs to the interval above it.

    Args:
        source_column: A numeric column of one dimension.
        boundaries: The bounds between intervals, increasing.

    Raises:
        ValueError: The source is no such column, or the bounds do not increase.

    >>> import distkeras as tf
    >>> age = tf.feature_column.numeric_column("age")
    >>> column = tf.feature_column.bucketized_column(age, [18, 65])
    >>> tf.keras.layers.DenseFeatures([column])({"age": [10, 18, 70]}).numpy().tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if not isinstance(source_column, NumericColumn):
        raise ValueError(f"source_column must be a column generated with numeric_column(). Given: {source_column!r}")
    if len(source_column.shape) > 1:
        raise ValueError(f"source_column must be one-dimensional column. Given: {source_column!r}")
    edges = tuple(boundaries) if isinstance(boundaries, (list, tuple, np.ndarray)) else ()
    if not edges or any(low >= high for low, high in zip(edges, edges[1:], strict=False)):
        raise ValueError(f"boundaries must be a sorted list. Given: {boundaries!r}")
    return BucketizedColumn(source_column, tuple(float(edge) for edge in edges))
