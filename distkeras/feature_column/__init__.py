"""`tf.feature_column`: what a layer makes of features that have names: numbers, texts, classes.

A column says what is made of a feature; `tf.keras.layers.DenseFeatures` joins what columns make of a dict of features.
Values are TensorFlow's, those of hash buckets and crosses included.

>>> import distkeras as tf
>>> age = tf.feature_column.numeric_column("age")
>>> color = tf.feature_column.categorical_column_with_vocabulary_list("color", ["red", "green"])
>>> layer = tf.keras.layers.DenseFeatures([age, tf.feature_column.indicator_column(color)])
>>> layer({"age": [3.0, 5.0], "color": ["green", "red"]}).numpy().tolist()
[[3.0, 0.0, 1.0], [5.0, 1.0, 0.0]]
"""

from collections.abc import Iterable
from typing import Any

from distkeras.feature_column.base import FeatureColumn
from distkeras.feature_column.categorical import (
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
    categorical_column_with_vocabulary_file,
    categorical_column_with_vocabulary_list,
    crossed_column,
    weighted_categorical_column,
)
from distkeras.feature_column.numeric import bucketized_column, numeric_column
from distkeras.feature_column.pooling import embedding_column, indicator_column, shared_embeddings
from distkeras.feature_column.sequence import (
    sequence_categorical_column_with_hash_bucket,
    sequence_categorical_column_with_identity,
    sequence_categorical_column_with_vocabulary_file,
    sequence_categorical_column_with_vocabulary_list,
    sequence_numeric_column,
)

__all__ = [
    "bucketized_column",
    "categorical_column_with_hash_bucket",
    "categorical_column_with_identity",
    "categorical_column_with_vocabulary_file",
    "categorical_column_with_vocabulary_list",
    "crossed_column",
    "embedding_column",
    "indicator_column",
    "make_parse_example_spec",
    "numeric_column",
    "sequence_categorical_column_with_hash_bucket",
    "sequence_categorical_column_with_identity",
    "sequence_categorical_column_with_vocabulary_file",
    "sequence_categorical_column_with_vocabulary_list",
    "sequence_numeric_column",
    "shared_embeddings",
    "weighted_categorical_column",
]


def make_parse_example_spec(feature_columns: Iterable[FeatureColumn]) -> dict[str, Any]:
    """For each feature that columns look at how `tf.io.parse_example` reads it.

    Raises:
        ValueError: An entry is no column, or two columns want one feature read in different ways.
    """
    found: dict[str, Any] = {}
    for column in feature_columns:
        if not isinstance(column, FeatureColumn):
            raise ValueError(f"All feature_columns must be FeatureColumn instances. Given: {column!r}")
        for key, spec in column.parse_example_spec.items():
            if key in found and repr(found[key]) != repr(spec):
                raise ValueError(f"feature_columns contain different parse_spec for key {key}: {found[key]}, {spec}.")
            found[key] = spec
    return found
