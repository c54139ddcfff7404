"""Columns of classes: from texts and integers by a vocabulary, by hashing or as they are; weighted, and crossed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.spec import DType, as_dtype
from distkeras.core.tensor import Tensor
from distkeras.data.parsing import VarLenFeature
from distkeras.feature_column.base import COLUMNS, CategoricalColumn, FeatureColumn, Features, Ids, checked_key
from distkeras.ops import lookup


class _Keyed(CategoricalColumn):
    """A column of one feature, whose name is its key."""

    @property
    def name(self) -> str:
        return self.key

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        return {self.key: VarLenFeature(self.dtype)}

    def _checked(self, raw: Tensor) -> Tensor:
        if (raw.dtype == "string") != (self.dtype == "string") or not (raw.dtype == "string" or raw.dtype.is_integer):
            raise ValueError(
                f"Column dtype and tensor dtype must be compatible: feature {self.key!r} has dtype {raw.dtype.name}, "
                f"its column {self.dtype.name}."
            )
        return raw


@COLUMNS.register()
@dataclasses.dataclass(frozen=True)
class VocabularyColumn(_Keyed):
    """See `categorical_column_with_vocabulary_list`."""

    key: str
    vocabulary: tuple
    dtype: DType
    default_value: int
    num_oov_buckets: int

    def __post_init__(self) -> None:
        table = lookup.Vocabulary(self.vocabulary, self.default_value, self.num_oov_buckets)
        object.__setattr__(self, "_table", table)

    @property
    def num_buckets(self) -> int:
        return len(self.vocabulary) + self.num_oov_buckets

    def numbers(self, raw: Tensor) -> Tensor:
        return lookup.lookup(self._checked(raw), self._table)


def categorical_column_with_vocabulary_list(
    key: str, vocabulary_list: Sequence[Any], dtype: Any = None, default_value: int = -1, num_oov_buckets: int = 0
) -> VocabularyColumn:
    """Texts or integers, each a class of its own.

    Args:
        key: The feature's name.
        vocabulary_list: The keys, in the order of their classes.
        dtype: tf.string or a type of integers, by default that of the list.
        default_value: The class of other keys; -1 for none.
        num_oov_buckets: How many classes there are for other keys, by hashing, instead of a default.

    Raises:
        ValueError: The list is empty or has a key twice, or the arguments contradict each other.

    >>> import distkeras as tf
    >>> thal = tf.feature_column.categorical_column_with_vocabulary_list("thal", ["fixed", "normal"])
    >>> layer = tf.keras.layers.DenseFeatures([tf.feature_column.indicator_column(thal)])
    >>> layer({"thal": ["normal", "other"]}).numpy().tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    keys = np.asarray(vocabulary_list)
    if not len(vocabulary_list):
        raise ValueError(f"vocabulary_list {vocabulary_list!r} must be non-empty, column_name: {key}")
    kind = as_dtype(keys.dtype if dtype is None else dtype)
    if not (kind == "string" or kind.is_integer) or (keys.dtype.kind in "iu") == (kind == "string"):
        raise ValueError(f"vocabulary_list of column {key} must hold texts or integers, of dtype {kind.name}.")
    plain = tuple(keys.tolist())
    if len(set(plain)) < len(plain):
        repeated = [item for place, item in enumerate(plain) if item in plain[:place]]
        raise ValueError(f"Duplicate keys in vocabulary_list: {repeated}, column_name: {key}")
    _check_others(key, default_value, num_oov_buckets, len(plain))
    return VocabularyColumn(checked_key(key), plain, kind, default_value, num_oov_buckets)


def _check_others(key: str, default_value: int, num_oov_buckets: int, count: int) -> None:
    if num_oov_buckets < 0:
        raise ValueError(f"Invalid num_oov_buckets {num_oov_buckets} in {key}: it must be >= 0.")
    if num_oov_buckets and default_value != -1:
        raise ValueError(f"Can't specify both num_oov_buckets and default_value in {key}.")
    if not -1 <= default_value < count:
        raise ValueError(f"default_value of {key} must be -1 or in [0, {count}), received {default_value}.")


def categorical_column_with_vocabulary_file(
    key: str,
    vocabulary_file: str,
    vocabulary_size: int | None = None,
    dtype: Any = "string",
    default_value: int | None = None,
    num_oov_buckets: int = 0,
) -> VocabularyColumn:
    """The same with the keys from a file, one a line.

    Args:
        key: The feature's name.
        vocabulary_file: The path.
        vocabulary_size: How many lines are read, by default all.
        dtype: tf.string, or a type of integers.
        default_value, num_oov_buckets: As for `categorical_column_with_vocabulary_list`.

    Raises:
        ValueError: The file has fewer lines, or as for `categorical_column_with_vocabulary_list`.
    """
    if not vocabulary_file:
        raise ValueError(f"Missing vocabulary_file in {key}.")
    with open(vocabulary_file, encoding="utf-8") as file:
        lines = file.read().splitlines()
    if vocabulary_size is not None and not 1 <= vocabulary_size <= len(lines):
        raise ValueError(
            f"Invalid vocabulary_size {vocabulary_size} in {key}: {vocabulary_file} has {len(lines)} lines."
        )
    lines = lines[:vocabulary_size]
    keys = [int(line) for line in lines] if as_dtype(dtype).is_integer else lines
    default = -1 if default_value is None else default_value
    return categorical_column_with_vocabulary_list(key, keys, dtype, default, num_oov_buckets)


@COLUMNS.register()
@dataclasses.dataclass(frozen=True)
class HashedColumn(_Keyed):
    """See `categorical_column_with_hash_bucket`."""

    key: str
    hash_bucket_size: int
    dtype: DType

    @property
    def num_buckets(self) -> int:
        return self.hash_bucket_size

    def numbers(self, raw: Tensor) -> Tensor:
        return lookup.lookup(self._checked(raw), lookup.HashBuckets(self.hash_bucket_size))


def categorical_column_with_hash_bucket(key: str, hash_bucket_size: int, dtype: Any = "string") -> HashedColumn:
    """Texts or integers, put into classes by a hash; several keys may share one.

    Args:
        key: The feature's name.
        hash_bucket_size: The number of classes.
        dtype: tf.string, or a type of integers, whose digits are hashed.

    Raises:
        ValueError: The number is less than 1, or the type is another.
    """
    if hash_bucket_size is None or hash_bucket_size < 1:
        raise ValueError(f"hash_bucket_size must be at least 1. hash_bucket_size: {hash_bucket_size}, key: {key}")
    kind = as_dtype(dtype)
    if not (kind == "string" or kind.is_integer):
        raise ValueError(f"dtype of column {key} must be string or integer, received {kind.name}.")
    return HashedColumn(checked_key(key), int(hash_bucket_size), kind)


@COLUMNS.register()
@dataclasses.dataclass(frozen=True)
class IdentityColumn(_Keyed):
    """See `categorical_column_with_identity`."""

    key: str
    number_buckets: int
    default_value: int | None
    dtype = as_dtype("int64")

    @property
    def num_buckets(self) -> int:
        return self.number_buckets

    def numbers(self, raw: Tensor) -> Tensor:
        ids = ops.cast(self._checked(raw), "int64")
        if self.default_value is None:
            message = f"Feature {self.key} must be in [0, {self.number_buckets}), or -1 for none."
            ops.assert_greater_equal(ids, -1, message)
            ops.assert_less(ids, self.number_buckets, message)
            return ids
        inside = ops.logical_and(ids >= -1, ids < self.number_buckets)
        return ops.where(inside, ids, ops.fill(ids.shape, ops.cast(self.default_value, "int64")))


def categorical_column_with_identity(key: str, num_buckets: int, default_value: int | None = None) -> IdentityColumn:
    """Integers that are classes already; -1 for none.

    Args:
        key: The feature's name.
        num_buckets: The number of classes.
        default_value: The class of numbers outside; without it they are errors.

    Raises:
        ValueError: The number is less than 1, or the default is no class.
    """
    if num_buckets < 1:
        raise ValueError(f"num_buckets {num_buckets} < 1, column_name {key}")
    if default_value is not None and not 0 <= default_value < num_buckets:
        raise ValueError(f"default_value {default_value} not in range [0, {num_buckets}), column_name {key}")
    return IdentityColumn(checked_key(key), int(num_buckets), default_value)


@COLUMNS.register()
@dataclasses.dataclass(frozen=True)
class WeightedColumn(CategoricalColumn):
    """See `weighted_categorical_column`."""

    categorical_column: CategoricalColumn
    weight_feature_key: str
    dtype: DType

    @property
    def name(self) -> str:
        return f"{self.categorical_column.name}_weighted_by_{self.weight_feature_key}"

    @property
    def parents(self) -> tuple:
        return (self.categorical_column,)

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        return {**super().parse_example_spec, self.weight_feature_key: VarLenFeature(self.dtype)}

    @property
    def num_buckets(self) -> int:
        return self.categorical_column.num_buckets

    def ids(self, features: Features) -> Ids:
        ids = self.categorical_column.ids(features).ids
        weights = ops.cast(features.raw(self.weight_feature_key), "float32")
        if tuple(weights.shape) != tuple(ids.shape):
            raise ValueError(f"{self.name}: classes of shape {ids.shape} have weights of shape {weights.shape}.")
        return Ids(ids, weights)


def weighted_categorical_column(
    categorical_column: CategoricalColumn, weight_feature_key: str, dtype: Any = "float32"
) -> WeightedColumn:
    """Classes that count as much as another feature says.

    Args:
        categorical_column: The classes.
        weight_feature_key: The name of the feature with their weights.
        dtype: Its type.

    Raises:
        ValueError: The type is not one of numbers.
    """
    kind = as_dtype(dtype)
    if not (kind.is_floating or kind.is_integer):
        raise ValueError(f"dtype {kind.name} is not convertible to float.")
    return WeightedColumn(categorical_column, checked_key(weight_feature_key), kind)


@COLUMNS.register()
@dataclasses.dataclass(frozen=True)
class CrossedColumn(CategoricalColumn):
    """See `crossed_column`."""

    keys: tuple
    hash_bucket_size: int
    hash_key: int | None

    @property
    def name(self) -> str:
        return "_X_".join(sorted(key if isinstance(key, str) else key.name for key in self._leaves))

    @property
    def _leaves(self) -> list:
        """What is crossed, in order, with what crossed columns among it cross."""
        nested = [key._leaves if isinstance(key, CrossedColumn) else [key] for key in self.keys]
        return [leaf for leaves in nested for leaf in leaves]

    @property
    def parents(self) -> tuple:
        return tuple(key for key in self.keys if isinstance(key, FeatureColumn))

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        texts = {key: VarLenFeature(as_dtype("string")) for key in self.keys if isinstance(key, str)}
        return {**super().parse_example_spec, **texts}

    @property
    def num_buckets(self) -> int:
        return self.hash_bucket_size

    def ids(self, features: Features) -> Ids:
        columns = [leaf.ids(features).ids for leaf in self._leaves if isinstance(leaf, FeatureColumn)]
        keys = [features.raw(leaf) for leaf in self._leaves if isinstance(leaf, str)]
        return Ids(lookup.cross(columns, keys, self.hash_bucket_size, self.hash_key))


def crossed_column(keys: Sequence[Any], hash_bucket_size: int, hash_key: int | None = None) -> CrossedColumn:
    """Combinations of the classes of several features, put into classes by a hash.

    Args:
        keys: Names of features of texts or integers, and categorical columns that are not hashed themselves.
        hash_bucket_size: The number of classes.
        hash_key: What hashing begins with.

    Raises:
        ValueError: There are fewer than two keys, one is something else, or the number is less than 1.
    """
    if not hash_bucket_size or hash_bucket_size < 1:
        raise ValueError(f"hash_bucket_size must be > 1. hash_bucket_size: {hash_bucket_size}")
    if not keys or len(keys) < 2:
        raise ValueError(f"keys must be a list with length > 1. Given: {keys}")
    for key in keys:
        if isinstance(key, HashedColumn):
            raise ValueError(
                "categorical_column_with_hash_bucket is not supported for crossing. Hashing before crossing will "
                f"increase probability of collision. Instead, use the feature name as a string. Given: {key}"
            )
        if not isinstance(key, (str, CategoricalColumn)):
            raise ValueError(f"Unsupported key type. All keys must be either string, or categorical column: {key!r}")
    return CrossedColumn(tuple(keys), int(hash_bucket_size), hash_key)
