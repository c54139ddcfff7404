"""Columns of numbers made of classes: how often each occurs, or rows of a table for them, put together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.feature_column.base import COLUMNS, CategoricalColumn, DenseColumn, Features, Ids, Table
from distkeras.feature_column.categorical import WeightedColumn
from distkeras.keras import initializers

_COMBINERS = ("mean", "sqrtn", "sum")


def _steps(ids: Tensor) -> Tensor:
    """How many steps [batch, steps, entries] of classes have: up to the last that has one."""
    present = ops.cast(ops.reduce_any(ids >= 0, -1), "int64")
    numbers = to_tensor(np.arange(1, ids.shape[1] + 1, dtype=np.int64))
    return ops.reduce_max(present * numbers, -1)


class _OfClasses(DenseColumn):
    """A dense column of a categorical one."""

    @property
    def parents(self) -> tuple:
        return (self.categorical_column,)

    def dense(self, features: Features) -> Tensor:
        if self.categorical_column.is_sequence:
            raise ValueError(f"{self.name} is a sequence column: SequenceFeatures takes it, DenseFeatures does not.")
        return self._pooled(self.categorical_column.ids(features), features)

    def sequence(self, features: Features) -> tuple[Tensor, Tensor]:
        if not self.categorical_column.is_sequence:
            return super().sequence(features)
        found = self.categorical_column.ids(features)
        return self._pooled(found, features), _steps(found.ids)

    def _pooled(self, found: Ids, features: Features) -> Tensor:
        """[batch, ..., size] of classes [batch, ..., entries]."""
        raise NotImplementedError


@COLUMNS.register()
@dataclasses.dataclass(frozen=True)
class IndicatorColumn(_OfClasses):
    """See `indicator_column`."""

    categorical_column: CategoricalColumn

    @property
    def name(self) -> str:
        return f"{self.categorical_column.name}_indicator"

    @property
    def size(self) -> int:
        return self.categorical_column.num_buckets

    def _pooled(self, found: Ids, features: Features) -> Tensor:
        chosen = ops.one_hot(found.ids, self.size)
        if found.weights is not None:
            chosen = chosen * ops.expand_dims(found.weights, -1)
        return ops.reduce_sum(chosen, -2)


def indicator_column(categorical_column: CategoricalColumn) -> IndicatorColumn:
    """How often each class occurs, or the sum of its weights: one-hot where there is one class.

    Raises:
        ValueError: It is no categorical column.
    """
    return IndicatorColumn(_categorical(categorical_column))


def _categorical(column: Any) -> CategoricalColumn:
    if not isinstance(column, CategoricalColumn):
        raise ValueError(f"Unsupported input type. Input must be a CategoricalColumn. Given: {column!r}")
    return column


@COLUMNS.register()
@dataclasses.dataclass(frozen=True)
class EmbeddingColumn(_OfClasses):
    """See `embedding_column`."""

    categorical_column: CategoricalColumn
    dimension: int
    combiner: str
    initializer: Any
    max_norm: float | None
    trainable: bool
    shared_name: str | None = None
    shared: Any = dataclasses.field(default=None, compare=False)

    @property
    def name(self) -> str:
        kind = "_embedding" if self.shared_name is None else "_shared_embedding"
        return f"{self.categorical_column.name}{kind}"

    @property
    def size(self) -> int:
        return self.dimension

    @property
    def table(self) -> Table:
        name = f"{self.name}/embedding_weights" if self.shared_name is None else self.shared_name
        buckets = self.categorical_column.num_buckets
        return Table(name, buckets, self.dimension, self.initializer, self.trainable, self.shared)

    def get_config(self) -> dict[str, Any]:
        if self.shared_name is not None:
            raise ValueError(f"{self.name} shares its table with other columns, which its config cannot tell.")
        config = super().get_config()
        return {name: value for name, value in config.items() if not name.startswith("shared")}

    def _pooled(self, found: Ids, features: Features) -> Tensor:
        """The rows of classes that there are, put together; zeros where there are none."""
        counts = found.ids >= 0
        if found.weights is not None and self.combiner != "sum":
            counts = ops.logical_and(counts, found.weights > 0.0)
        weights = ops.cast(counts, "float32")
        weights = weights if found.weights is None else weights * found.weights
        rows = ops.gather(features.tables[self.table], ops.where(counts, found.ids, ops.zeros_like(found.ids)))
        if self.max_norm is not None:
            rows = ops.clip_by_norm(rows, self.max_norm, axes=-1)
        total = ops.reduce_sum(rows * ops.expand_dims(weights, -1), -2)
        if self.combiner == "sum":
            return total
        norm = weights if self.combiner == "mean" else ops.square(weights)
        norm = ops.reduce_sum(norm, -1, True)
        return ops.divide_no_nan(total, norm if self.combiner == "mean" else ops.sqrt(norm))


def embedding_column(
    categorical_column: CategoricalColumn,
    dimension: int,
    combiner: str = "mean",
    initializer: Any = None,
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
) -> EmbeddingColumn:
    """A row of a table for each class; where there are several, put together.

    Args:
        categorical_column: The classes.
        dimension: The length of a row.
        combiner: 'mean', 'sqrtn' (the sum by the root of the number) or 'sum'.
        initializer: What the table begins with, by default normal numbers with deviation 1 / sqrt(dimension).
        ckpt_to_load_from, tensor_name_in_ckpt: Not available: see the error they raise.
        max_norm: Longer rows are shortened to this.
        trainable: Whether training changes the table.

    Raises:
        ValueError: An argument is none of these.

    >>> import distkeras as tf
    >>> column = tf.feature_column.categorical_column_with_hash_bucket("city", 100)
    >>> layer = tf.keras.layers.DenseFeatures([tf.feature_column.embedding_column(column, dimension=4)])
    >>> layer({"city": ["Rome", "Oslo"]}).shape
    TensorShape([2, 4])
    """
    start = _initializer(dimension, combiner, initializer, ckpt_to_load_from, tensor_name_in_ckpt)
    column = _categorical(categorical_column)
    return EmbeddingColumn(column, int(dimension), combiner, start, max_norm, bool(trainable))


def _initializer(dimension: int, combiner: str, initializer: Any, checkpoint: str | None, name: str | None) -> Any:
    if dimension is None or dimension < 1:
        raise ValueError(f"Invalid dimension {dimension}.")
    if combiner not in _COMBINERS:
        raise ValueError(f"combiner must be one of {_COMBINERS}, received {combiner!r}.")
    if checkpoint is not None or name is not None:
        raise ValueError(
            "ckpt_to_load_from is not available: give the table's values as initializer="
            "tf.constant_initializer(tf.train.load_variable(checkpoint, name))."
        )
    if initializer is not None and not callable(initializers.get(initializer)):
        raise ValueError(f"initializer must be callable if specified, received {initializer!r}.")
    if initializer is not None:
        return initializers.get(initializer)
    return initializers.TruncatedNormal(0.0, 1 / math.sqrt(dimension))


def shared_embeddings(
    categorical_columns: Sequence[CategoricalColumn],
    dimension: int,
    combiner: str = "mean",
    initializer: Any = None,
    shared_embedding_collection_name: str | None = None,
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
) -> list[EmbeddingColumn]:
    """Embedding columns that look up rows of one table, which belongs to the layer they are given to.

    Args:
        categorical_columns: Columns with equal numbers of classes.
        shared_embedding_collection_name: The table's name.
        dimension, combiner, initializer, ckpt_to_load_from, tensor_name_in_ckpt, max_norm, trainable: As for
            `embedding_column`.

    Raises:
        ValueError: The columns differ in number or kind of classes, or an argument is wrong.
    """
    columns = sorted(map(_categorical, categorical_columns), key=lambda column: column.name)
    plain = [column.categorical_column if isinstance(column, WeightedColumn) else column for column in columns]
    if len({(type(column), column.num_buckets) for column in plain}) != 1:
        raise ValueError(
            "To use shared_embedding_column, all categorical_columns must have the same type and number of buckets. "
            f"Given: {[(column.name, type(column).__name__, column.num_buckets) for column in plain]}"
        )
    start = _initializer(dimension, combiner, initializer, ckpt_to_load_from, tensor_name_in_ckpt)
    name = shared_embedding_collection_name or "_".join(column.name for column in columns) + "_shared_embedding"
    token = object()
    return [
        EmbeddingColumn(column, int(dimension), combiner, start, max_norm, bool(trainable), name, token)
        for column in map(_categorical, categorical_columns)
    ]
