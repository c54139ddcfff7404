"""What columns are, and the features that they look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from distkeras import ops
from distkeras._registry import Registry
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.spec import DType, as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras import initializers
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object

COLUMNS = Registry("feature column")


class FeatureColumn:
    """Describes what is made of one feature, or of several; a frozen dataclass.

    Subclasses have a `name`, by which layers put them in order, and `parents`: the columns they are made of.
    """

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def parents(self) -> tuple[FeatureColumn, ...]:
        return ()

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """For each feature how it is read from an Example."""
        return {key: spec for parent in self.parents for key, spec in parent.parse_example_spec.items()}

    def get_config(self) -> dict[str, Any]:
        """The fields, as JSON takes them."""
        fields = dataclasses.fields(self)
        return {field.name: _serialized(getattr(self, field.name)) for field in fields}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """A column from what `get_config` gave."""
        return cls(**{name: _deserialized(value, custom_objects) for name, value in config.items()})


def _serialized(value: Any) -> Any:
    if isinstance(value, FeatureColumn):
        return serialize(value)
    if isinstance(value, DType):
        return {"dtype": value.name}
    if isinstance(value, tuple):
        return [_serialized(item) for item in value]
    if isinstance(value, initializers.Initializer):
        return {"initializer": initializers.serialize(value)}
    return {"function": serialize_keras_object(value)} if callable(value) else value


def _deserialized(value: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_deserialized(item, custom_objects) for item in value)
    if not isinstance(value, Mapping):
        return value
    if "dtype" in value:
        return as_dtype(value["dtype"])
    if "initializer" in value:
        return initializers.deserialize(value["initializer"], custom_objects)
    if "function" in value:
        return deserialize_keras_object(value["function"], {}, custom_objects, "function")
    return deserialize(value, custom_objects)


def serialize(column: FeatureColumn) -> dict[str, Any]:
    """The class and the config of a column."""
    return {"class_name": type(column).__name__, "config": column.get_config()}


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> FeatureColumn:
    """A column from what `serialize` gave."""
    return COLUMNS[config["class_name"]].from_config(config["config"], custom_objects)


class DenseColumn(FeatureColumn):
    """A column whose values are numbers: [batch, size].

    Subclasses define `size` and `dense(features)`.
    """

    @property
    def size(self) -> int:
        raise NotImplementedError

    @property
    def table(self) -> Table | None:
        """The variable it needs, if it needs one."""
        return None

    def dense(self, features: Features) -> Tensor:
        """[batch, size]."""
        raise NotImplementedError

    def sequence(self, features: Features) -> tuple[Tensor, Tensor]:
        """[batch, steps, size], and how many steps each sample has. Of sequence columns only."""
        raise ValueError(f"{self.name} is no sequence column: DenseFeatures takes it, SequenceFeatures does not.")


class Ids(NamedTuple):
    """Classes [batch, ..., entries], -1 for none, and the weights of entries, or None."""

    ids: Tensor
    weights: Tensor | None = None


class CategoricalColumn(FeatureColumn):
    """A column whose values are classes in [0, num_buckets).

    Subclasses with a `key` define `numbers`, others `ids`.
    """

    is_sequence = False

    @property
    def num_buckets(self) -> int:
        raise NotImplementedError

    def numbers(self, raw: Tensor) -> Tensor:
        """The class of each element of a feature, of any shape; -1 for none."""
        raise NotImplementedError

    def ids(self, features: Features) -> Ids:
        """The classes of each sample."""
        raw = features.raw(self.key)
        return Ids(self.numbers(ops.reshape(raw, (raw.shape[0], -1)) if raw.ndim > 2 else raw))


@dataclasses.dataclass(frozen=True)
class Table:
    """A variable [num_buckets, dimension] that a column, or several, look up rows in."""

    name: str
    num_buckets: int
    dimension: int
    initializer: Any
    trainable: bool
    shared: Any = None  # the same object for columns that share it


class Features:
    """The features of a batch, and what columns have made of them.

    Args:
        given: Tensors, or SparseTensors, by their keys.
        tables: Variables by their Tables.
    """

    def __init__(self, given: Mapping[str, Any], tables: Mapping[Table, Any] | None = None) -> None:
        self.given, self.tables = given, dict(tables or {})

    def raw(self, key: str) -> Tensor:
        """A feature as a tensor of at least two dimensions; of a SparseTensor what is missing is '' or -1.

        Raises:
            ValueError: It is not there, or a scalar.
        """
        if key not in self.given:
            raise ValueError(f"Feature {key} is not in features dictionary: there are {sorted(self.given)}.")
        value = self.given[key]
        if isinstance(value, SparseTensor):
            missing = "" if value.dtype == "string" else -1
            value = ops.sparse_to_dense(value, default_value=missing, validate_indices=False)
        value = to_tensor(value)
        if not value.ndim:
            raise ValueError(f"Feature {key} must have a dimension for the samples, received a scalar.")
        return ops.expand_dims(value, -1) if value.ndim == 1 else value


def checked_key(key: Any) -> str:
    """The key itself; ValueError unless it is a text."""
    if not isinstance(key, str):
        raise ValueError(f"A feature's key must be a string, received {key!r}.")
    return key
