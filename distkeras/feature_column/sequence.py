"""Columns of features that have steps, for `tf.keras.experimental.SequenceFeatures`.

Such a feature is a SparseTensor [batch, steps], or a tensor whose texts '' and integers -1 are no steps.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.spec import DType, as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.data.parsing import VarLenFeature
from distkeras.feature_column import categorical
from distkeras.feature_column.base import COLUMNS, CategoricalColumn, DenseColumn, Features, Ids, checked_key


@COLUMNS.register()
@dataclasses.dataclass(frozen=True)
class SequenceCategoricalColumn(CategoricalColumn):
    """Classes for each step: those of a categorical column."""

    categorical_column: CategoricalColumn
    is_sequence = True

    @property
    def name(self) -> str:
        return self.categorical_column.name

    @property
    def parents(self) -> tuple:
        return (self.categorical_column,)

    @property
    def num_buckets(self) -> int:
        return self.categorical_column.num_buckets

    def ids(self, features: Features) -> Ids:
        raw = features.raw(self.categorical_column.key)
        numbers = self.categorical_column.numbers(raw)
        return Ids(ops.reshape(numbers, (*raw.shape[:2], math.prod(raw.shape[2:]))))


def _of_steps(make: Callable) -> Callable:
    """A function that makes the sequence column of the categorical column that `make` makes."""

    @functools.wraps(make)
    def sequence(*args: Any, **kwargs: Any) -> SequenceCategoricalColumn:
        return SequenceCategoricalColumn(make(*args, **kwargs))

    sequence.__name__ = sequence.__qualname__ = f"sequence_{make.__name__}"
    sequence.__doc__ = f"For features that have steps, the same as `{make.__name__}`."
    return sequence


sequence_categorical_column_with_identity = _of_steps(categorical.categorical_column_with_identity)
sequence_categorical_column_with_hash_bucket = _of_steps(categorical.categorical_column_with_hash_bucket)
sequence_categorical_column_with_vocabulary_list = _of_steps(categorical.categorical_column_with_vocabulary_list)
sequence_categorical_column_with_vocabulary_file = _of_steps(categorical.categorical_column_with_vocabulary_file)


@COLUMNS.register()
@dataclasses.dataclass(frozen=True)
class SequenceNumericColumn(DenseColumn):
    """See `sequence_numeric_column`."""

    key: str
    shape: tuple[int, ...]
    default_value: float
    dtype: DType
    normalizer_fn: Callable | None

    @property
    def name(self) -> str:
        return self.key

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        return {self.key: VarLenFeature(self.dtype)}

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def dense(self, features: Features) -> Tensor:
        raise ValueError(f"{self.name} is a sequence column: SequenceFeatures takes it, DenseFeatures does not.")

    def sequence(self, features: Features) -> tuple[Tensor, Tensor]:
        given = features.given.get(self.key)
        if isinstance(given, SparseTensor):
            lengths = np.zeros(given.shape[0], np.int64)
            steps = given.indices.numpy()[:, :2] // (1, self.size if given.ndim == 2 else 1)
            np.maximum.at(lengths, steps[:, 0], steps[:, 1] + 1)
            values = ops.sparse_to_dense(given, default_value=self.default_value, validate_indices=False)
        else:
            values = features.raw(self.key)
            count = math.prod(values.shape[1:]) // self.size
            lengths = np.full(values.shape[0], count, np.int64)
        values = ops.cast(values, "float32")
        values = values if self.normalizer_fn is None else self.normalizer_fn(values)
        steps = math.prod(values.shape[1:]) // self.size
        return ops.reshape(values, (values.shape[0], steps, self.size)), to_tensor(lengths)


def sequence_numeric_column(
    key: str,
    shape: Sequence[int] = (1,),
    default_value: float = 0.0,
    dtype: Any = "float32",
    normalizer_fn: Callable | None = None,
) -> SequenceNumericColumn:
    """Numbers for each step.

    Args:
        key: The feature's name; a SparseTensor [batch, steps * size], or a tensor all of whose steps count.
        shape: The shape of a step's numbers.
        default_value: What fills up samples with fewer steps.
        dtype: A type of numbers.
        normalizer_fn: Applied to the feature.

    Raises:
        ValueError: The shape is not positive, or the type is not one of numbers.
        TypeError: The normalizer is no function.
    """
    sizes = tuple(int(size) for size in ((shape,) if isinstance(shape, int) else shape))
    kind = as_dtype(dtype)
    if any(size <= 0 for size in sizes) or not (kind.is_floating or kind.is_integer):
        raise ValueError(f"sequence_numeric_column: expected sizes > 0 and numbers, received {shape}, {kind.name}.")
    if normalizer_fn is not None and not callable(normalizer_fn):
        raise TypeError(f"normalizer_fn must be a callable. Given: {normalizer_fn!r}")
    return SequenceNumericColumn(checked_key(key), sizes, default_value, kind, normalizer_fn)
