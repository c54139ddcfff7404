"""Columns and features, made alike by TensorFlow and by distkeras."""

from __future__ import annotations

from typing import Any

import numpy as np

FEATURES = {
    "age": np.array([[20.0], [18.0], [70.5]], np.float32),
    "pair": np.array([[1.0, 5.0], [2.5, 4.0], [9.0, 0.0]], np.float32),
    "count": np.array([[0], [2], [1]], np.int64),
    "city": np.array([["Rome"], ["Oslo"], ["a city whose name is longer than thirty-two letters"]]),
    "words": np.array([["a", "b", "a"], ["c", "", ""], ["x", "b", ""]]),
    "weights": np.array([[0.5, 2.0, 1.0], [3.0, 0.0, 0.0], [1.5, 1.0, 0.0]], np.float32),
}


def columns(tf: Any) -> dict[str, Any]:
    """Dense columns by the names of the cases."""
    fc = tf.feature_column
    ones = tf.keras.initializers.Constant(np.arange(40).reshape(10, 4) / 10)
    age, pair = fc.numeric_column("age"), fc.numeric_column("pair", shape=(2,), normalizer_fn=lambda x: x * 2.0)
    ages = fc.bucketized_column(age, [18, 30, 70])
    city = fc.categorical_column_with_hash_bucket("city", 10)
    count = fc.categorical_column_with_identity("count", 10)
    words = fc.categorical_column_with_vocabulary_list("words", ["a", "b", "c"])
    others = fc.categorical_column_with_vocabulary_list("words", ["a", "b", "c"], num_oov_buckets=7)
    weighted = fc.weighted_categorical_column(others, "weights")
    return {
        "numeric": age,
        "normalized": pair,
        "bucketized": ages,
        "bucketized pair": fc.bucketized_column(pair, [0.0, 5.0]),
        "hashed": fc.indicator_column(city),
        "hashed integers": fc.indicator_column(fc.categorical_column_with_hash_bucket("count", 6, tf.int64)),
        "identity": fc.indicator_column(count),
        "vocabulary": fc.indicator_column(words),
        "vocabulary with others": fc.indicator_column(others),
        "weighted": fc.indicator_column(weighted),
        "crossed": fc.indicator_column(fc.crossed_column([ages, "city"], 20)),
        "crossed words": fc.indicator_column(fc.crossed_column(["city", others, ages], 30, hash_key=7)),
        "embedded": fc.embedding_column(others, 4, initializer=ones),
        "embedded sum": fc.embedding_column(others, 4, combiner="sum", initializer=ones),
        "embedded weighted": fc.embedding_column(weighted, 4, initializer=ones),
        "embedded weighted sqrtn": fc.embedding_column(weighted, 4, combiner="sqrtn", initializer=ones, max_norm=1.5),
        "embedded without others": fc.embedding_column(words, 4, initializer=tf.keras.initializers.Constant(0.5)),
    }


def joined(tf: Any) -> list[Any]:
    """Columns that one layer joins."""
    made = columns(tf)
    return [made[name] for name in ("vocabulary", "numeric", "crossed", "bucketized", "embedded sum", "normalized")]
