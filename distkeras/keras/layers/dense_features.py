"""Layers over feature columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from distkeras import ops
from distkeras.core.spec import TensorShape
from distkeras.core.tensor import Tensor
from distkeras.feature_column.base import DenseColumn, FeatureColumn, Features, deserialize, serialize
from distkeras.keras.layers.base import LAYERS, Layer


class _OverColumns(Layer):
    """Base of layers whose inputs are dicts of features."""

    def __init__(self, feature_columns: Any, trainable: bool = True, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, trainable=trainable, **kwargs)
        self._feature_columns = _in_order(feature_columns)
        self._tables: list = []

    _untracked = Layer._untracked | {"_feature_columns"}

    @property
    def _distinct_tables(self) -> list:
        tables = [column.table for column in self._feature_columns if column.table is not None]
        return list(dict.fromkeys(tables))

    def build(self, input_shape: Any) -> None:
        for table in self._distinct_tables:
            self._tables.append(
                self.add_weight(
                    table.name,
                    (table.num_buckets, table.dimension),
                    initializer=table.initializer,
                    trainable=self.trainable and table.trainable,
                )
            )
        self.built = True

    def _features(self, features: Any) -> Features:
        if not isinstance(features, Mapping):
            raise ValueError(f"We expected a dictionary here. Instead we got: {features!r}")
        return Features(features, dict(zip(self._distinct_tables, self._tables, strict=True)))

    def get_config(self) -> dict[str, Any]:
        columns = [serialize(column) for column in self._feature_columns]
        return {**super().get_config(), "feature_columns": columns}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        columns = [deserialize(column, custom_objects) for column in config["feature_columns"]]
        return cls(**{**config, "feature_columns": columns})


def _in_order(feature_columns: Any) -> list[DenseColumn]:
    """The columns by their names, in which order their values are joined."""
    if isinstance(feature_columns, FeatureColumn):
        feature_columns = [feature_columns]
    if isinstance(feature_columns, Mapping) or not isinstance(feature_columns, Iterable):
        raise ValueError(f"Expected feature_columns to be a list of columns, found {feature_columns!r}.")
    columns = list(feature_columns)
    if not columns:
        raise ValueError("feature_columns must not be empty.")
    for column in columns:
        if not isinstance(column, DenseColumn):
            raise ValueError(
                "Items of feature_columns must be dense columns. You can wrap a categorical column with an "
                f"embedding_column or indicator_column. Given: {column!r}"
            )
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"Duplicate feature column name found: {repeated}.")
    return sorted(columns, key=lambda column: column.name)


@LAYERS.register()
class DenseFeatures(_OverColumns):
    """What columns make of a dict of features, joined: [batch, the sum of their sizes].

    Args:
        feature_columns: Columns of numbers: see `tf.feature_column`. They are joined in the order of their names.
        trainable: Whether training changes the tables of embeddings.
        name: The layer's name.

    Raises:
        ValueError: An entry is no such column, or two have one name; when called: a feature is missing.

    >>> import distkeras as tf
    >>> layer = tf.keras.layers.DenseFeatures([tf.feature_column.numeric_column("age")])
    >>> layer({"age": [3, 5]}).numpy().tolist()
    [[3.0], [5.0]]
    """

    def call(self, features: Any, cols_to_output_tensors: dict | None = None) -> Tensor:
        """The joined values.

        Args:
            features: Tensors by their names.
            cols_to_output_tensors: Is filled with the values of each column, if given.
        """
        given = self._features(features)
        values = [column.dense(given) for column in self._feature_columns]
        if cols_to_output_tensors is not None:
            cols_to_output_tensors.update(zip(self._feature_columns, values, strict=True))
        return values[0] if len(values) == 1 else ops.concat(values, -1)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        shapes = input_shape.values() if isinstance(input_shape, Mapping) else [input_shape]
        batch = next((shape[0] for shape in shapes), None)
        return TensorShape((batch, sum(column.size for column in self._feature_columns)))


class SequenceFeatures(_OverColumns):
    """What sequence columns make of a dict of features, joined for each step.

    Args:
        feature_columns: Sequence columns: see `tf.feature_column`.
        trainable: Whether training changes the tables of embeddings.
        name: The layer's name.

    Raises:
        ValueError: An entry is no such column, or two have one name; when called: a feature is missing.

    >>> import distkeras as tf
    >>> words = tf.feature_column.sequence_categorical_column_with_identity("words", 10)
    >>> layer = tf.keras.experimental.SequenceFeatures([tf.feature_column.embedding_column(words, 4)])
    >>> values, lengths = layer({"words": [[3, 5, 7], [2, -1, -1]]})
    >>> values.shape, lengths.numpy().tolist()
    (TensorShape([2, 3, 4]), [3, 1])
    """

    def call(self, features: Any) -> tuple[Tensor, Tensor]:
        """[batch, steps, the sum of sizes], and how many steps each sample has."""
        given = self._features(features)
        found = [column.sequence(given) for column in self._feature_columns]
        values = [value for value, _ in found]
        lengths = [count for _, count in found]
        if len({value.shape[1] for value in values}) > 1:
            raise ValueError(f"SequenceFeatures: columns have {[value.shape[1] for value in values]} steps.")
        joined = values[0] if len(values) == 1 else ops.concat(values, -1)
        return joined, lengths[0] if len(lengths) == 1 else ops.reduce_max(ops.stack(lengths), 0)
