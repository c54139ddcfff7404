"""Parsing serialized examples, many at once: what `tf.io.parse_example` and its kin do.

examples --join--> bytes --find_features--> where each feature's values are --read_floats, ...--> tensors
                             |
                             '-- broken, or unusual: each by itself, which also finds the words for what is wrong
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras._errors import DataLossError, InvalidArgumentError
from distkeras._wire import fields
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.spec import DType, as_dtype
from distkeras.core.tensor import Tensor, as_array
from distkeras.data.example import features_of, float_values, int_values
from distkeras.kernels import examples as kernels

_KINDS = {"string": kernels.BYTES, "float32": kernels.FLOATS, "int64": kernels.INTS}
_BYTE = np.dtype(np.uint8)
_FROM_THE_FIRST = np.zeros(1, np.int64)


class FixedLenFeature(NamedTuple):
    """A feature with as many values in each example as `shape` has.

    Attributes:
        shape: Sizes of the tensor.
        dtype: tf.int64, tf.float32 or tf.string.
        default_value: What an example without the feature has; without it, the feature must be there.
    """

    shape: Any
    dtype: Any
    default_value: Any = None


class VarLenFeature(NamedTuple):
    """A feature with any number of values: a SparseTensor (values,), of several examples (examples, most values).

    Attributes:
        dtype: tf.int64, tf.float32 or tf.string.
    """

    dtype: Any


class FixedLenSequenceFeature(NamedTuple):
    """A feature with any number of parts of `shape`: a tensor of shape (parts, *shape).

    Of several examples (examples, most parts, *shape), filled up with `default_value`.

    Attributes:
        shape: Sizes of a part.
        dtype: tf.int64, tf.float32 or tf.string.
        allow_missing: Must be True: an example without the feature has no part.
        default_value: What shorter examples of a batch are filled up with; 0 or empty text by default.
    """

    shape: Any
    dtype: Any
    allow_missing: bool = False
    default_value: Any = None


class _Feature:
    """What is known of a feature.

    Attributes:
        name, kind: As the user gave them.
        dtype, code: The type of its values, and the kernels' number of it.
        shape: Of a fixed feature its shape, else that of a part.
        size: How many values these are.
        is_fixed, is_sparse: Which of the three kinds it is.
        default: The value of examples without it, of `shape`; None if there is none.
        may_be_missing: Whether an example may be without it.
    """

    def __init__(self, name: str, kind: Any) -> None:
        self.name, self.kind, self.dtype = name, kind, as_dtype(kind.dtype)
        self.code = _KINDS[self.dtype.name]
        self.is_fixed, self.is_sparse = isinstance(kind, FixedLenFeature), isinstance(kind, VarLenFeature)
        shape = () if self.is_sparse else kind.shape
        self.shape = tuple(int(size) for size in (shape if hasattr(shape, "__iter__") else [shape]))
        self.size = math.prod(self.shape)
        self.default = None
        if self.is_fixed and kind.default_value is not None:
            self.default = np.broadcast_to(_values_like(kind.default_value, self.dtype), self.shape)
        self.may_be_missing = not self.is_fixed or self.default is not None

    def fits(self, kind: int, count: int) -> bool:
        """Whether a list of such a kind, 0 for none, and so many values is what it may be."""
        if kind != self.code:
            return not kind and self.may_be_missing
        if self.is_fixed:
            return count == self.size
        return self.is_sparse or not (count % self.size if self.size else count)

    @property
    def filling(self) -> Any:
        """What shorter examples of a batch are filled up with."""
        given = getattr(self.kind, "default_value", None)
        return (b"" if self.dtype.name == "string" else 0) if given is None else _values_like(given, self.dtype)[()]


def _values_like(value: Any, dtype: DType) -> np.ndarray:
    array = as_array(value, dtype)
    if dtype.name == "string":
        return np.asarray(
            np.frompyfunc(lambda item: item.encode() if isinstance(item, str) else item, 1, 1)(array), object
        )
    return array


class Parser:
    """Parses examples by a description of their features.

    Args:
        features: Dict name -> FixedLenFeature, VarLenFeature or FixedLenSequenceFeature.

    Attributes:
        given: The description.
        features: What is known of each.
        is_fixed: Whether all shapes are known before.

    Raises:
        ValueError: There is no feature, or one is described otherwise.
        TypeError: A type is none that examples hold.
    """

    def __init__(self, features: Mapping[str, Any]) -> None:
        _check_features(features)
        self.given = dict(features)
        self.features = [_Feature(name, kind) for name, kind in features.items()]
        self.is_fixed = all(feature.is_fixed for feature in self.features)
        names = [feature.name.encode() for feature in self.features]
        self._names = _as_array(b"".join(names)).copy()
        self._bounds = np.cumsum([0, *map(len, names)], dtype=np.int64)

    def parse(self, serialized: Sequence[Any], names: Sequence[Any] | None = None) -> list[Tensor | SparseTensor]:
        """The features of examples, stacked.

        Args:
            serialized: The examples.
            names: What messages call them.

        Raises:
            DataLossError: One is no example.
            InvalidArgumentError: A feature is missing, or of another type or size.
        """
        records = [_content(record, names, number) for number, record in enumerate(serialized)]
        joined = records[0] if len(records) == 1 else b"".join(records)
        found = self._find(records, joined)
        if found is None:
            return self._parse_one_by_one(records, names)
        data = _as_array(joined)
        return [self._read(feature, joined, data, lists) for feature, lists in zip(self.features, found, strict=True)]

    def _find(self, records: list[bytes], joined: bytes) -> np.ndarray | None:
        """What there is to be known of each feature's lists, (features, examples, 4); None if not all is as usual."""
        count = len(records)
        found = np.empty((len(self.features), count, 4), np.int64)
        offsets = np.zeros(count + 1, np.int64)
        np.cumsum([len(record) for record in records], out=offsets[1:])
        data = _as_array(joined)
        if kernels.find_features[_BYTE](data, offsets, self._names, self._bounds, found) < count:
            return None
        return found if all(map(_is_as_described, self.features, found)) else None

    def _read(self, feature: _Feature, joined: bytes, data: np.ndarray, lists: np.ndarray) -> Tensor | SparseTensor:
        counts = lists[:, kernels.COUNT]
        if feature.is_sparse:
            starts = np.cumsum(counts) - counts
            values = _read_values(feature, joined, data, lists, starts, np.empty(counts.sum(), feature.dtype.numpy))
            rows = np.repeat(np.arange(len(lists)), counts)
            indices = np.column_stack([rows, np.arange(len(rows)) - np.repeat(starts, counts)])
            return SparseTensor.of_checked(indices, values, (len(lists), counts.max(initial=0)))
        if feature.is_fixed:
            shape, most = feature.shape, feature.size
            out = np.empty((len(lists), most), feature.dtype.numpy)
            if feature.default is not None:
                out[lists[:, kernels.KIND] == 0] = feature.default.reshape(-1)
        else:
            shape, most = (counts.max(initial=0) // max(feature.size, 1), *feature.shape), counts.max(initial=0)
            out = np.full((len(lists), most), feature.filling, feature.dtype.numpy)
        places = np.arange(len(lists), dtype=np.int64) * most
        _read_values(feature, joined, data, lists, places, out.reshape(-1))
        return Tensor(out.reshape(len(lists), *shape))

    def parse_one(self, serialized: Any, name: Any = None) -> list[Tensor | SparseTensor]:
        """The features of one example, by themselves; see `parse`."""
        record = _content(serialized, [name], 0)
        data, found = _as_array(record), np.empty((len(self.features), 1, 4), np.int64)
        offsets = np.array([0, len(record)])
        if kernels.find_features[_BYTE](data, offsets, self._names, self._bounds, found):
            each = list(zip(self.features, found, found[:, 0].tolist(), strict=True))
            if all(feature.fits(kind, count) for feature, _, (kind, _, _, count) in each):
                return [
                    _read_one(feature, record, data, lists, kind, count) for feature, lists, (kind, _, _, count) in each
                ]
        found = _parse_alone(record, self.features, name)
        return [
            _sparse(values) if feature.is_sparse else Tensor(values)
            for feature, values in zip(self.features, found, strict=True)
        ]

    def _parse_one_by_one(self, records: list[bytes], names: Sequence[Any] | None) -> list[Tensor | SparseTensor]:
        names = [None] * len(records) if names is None else names
        parsed = [_parse_alone(record, self.features, name) for record, name in zip(records, names, strict=True)]
        columns = zip(*parsed, strict=True)
        return [_joined(feature, column) for feature, column in zip(self.features, columns, strict=True)]


def _as_array(content: bytes) -> np.ndarray:
    return np.frombuffer(content, np.uint8) if content else np.empty(0, np.uint8)


def _content(record: Any, names: Sequence[Any] | None, number: int) -> bytes:
    if type(record) is bytes:
        return record
    if isinstance(record, str):
        return record.encode()
    name = None if names is None else names[number]
    raise DataLossError(f"Could not parse example input{_called(name)}: expected bytes, received {record!r}.")


def _is_as_described(feature: _Feature, lists: np.ndarray) -> bool:
    kinds, counts = lists[:, kernels.KIND], lists[:, kernels.COUNT]
    is_there = kinds == feature.code
    if not is_there.all() and (kinds[~is_there].any() or not feature.may_be_missing):
        return False
    if feature.is_fixed:
        return bool((counts[is_there] == feature.size).all())
    return feature.is_sparse or not (counts % feature.size if feature.size else counts).any()


def _read_one(
    feature: _Feature, record: bytes, data: np.ndarray, lists: np.ndarray, kind: int, count: int
) -> Tensor | SparseTensor:
    if feature.is_fixed and not kind:
        return Tensor(feature.default.copy())
    values = _read_values(feature, record, data, lists, _FROM_THE_FIRST, np.empty(count, feature.dtype.numpy))
    if feature.is_sparse:
        return _sparse(values)
    return Tensor(values.reshape(feature.shape if feature.is_fixed else (-1, *feature.shape)))


def _sparse(values: np.ndarray) -> SparseTensor:
    return SparseTensor.of_checked(np.arange(len(values))[:, None], values, values.shape)


def _read_values(
    feature: _Feature, joined: bytes, data: np.ndarray, lists: np.ndarray, places: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Put the values of lists into `out`, those of each from its place on."""
    if feature.dtype.name == "float32":
        kernels.read_floats[_BYTE](data, lists, places, out.view(np.uint8))
    elif feature.dtype.name == "int64":
        kernels.read_ints[_BYTE](data, lists, places, out)
    else:
        spans = np.full((len(out), 2), -1, np.int64)
        kernels.find_bytes[_BYTE](data, lists, places, spans)
        for place, (start, stop) in enumerate(spans.tolist()):
            if start >= 0:
                out[place] = joined[start:stop]
    return out


# --- one example by itself


def _check_features(features: Mapping[str, Any]) -> None:
    if not isinstance(features, Mapping) or not features:
        raise ValueError(f"`features` must be a dict of at least one feature by name, received {features!r}.")
    for key, kind in features.items():
        if not isinstance(kind, (FixedLenFeature, VarLenFeature, FixedLenSequenceFeature)):
            raise ValueError(
                f"Unsupported description of the feature {key!r}: {kind!r}. Expected FixedLenFeature, VarLenFeature or "
                "FixedLenSequenceFeature."
            )
        if as_dtype(kind.dtype).name not in _KINDS:
            raise TypeError(
                f"The feature {key!r} cannot be of type {as_dtype(kind.dtype).name}: examples hold tf.int64, "
                "tf.float32 and tf.string. Cast the result."
            )
        if isinstance(kind, FixedLenSequenceFeature) and not kind.allow_missing:
            raise ValueError(f"The feature {key!r}: FixedLenSequenceFeature needs allow_missing=True.")


def _parse_alone(serialized: bytes, features: Sequence[_Feature], name: Any) -> list[np.ndarray]:
    try:
        there: dict[str, bytes] = {}
        for number, part in fields(serialized):
            if number == 1:
                there.update(features_of(part))
        values = [_values(there[feature.name]) if feature.name in there else None for feature in features]
    except (ValueError, TypeError, AttributeError) as error:
        raise DataLossError(f"Could not parse example input{_called(name)}: {error}.") from None
    return [_shaped(feature, found, name) for feature, found in zip(features, values, strict=True)]


def _called(name: Any) -> str:
    return "" if name is None else f" {_text(name)!r}"


def _text(name: Any) -> str:
    return "<unknown>" if name is None else name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def _values(feature: bytes) -> np.ndarray | None:
    """The values of a serialized Feature; None if it holds none of the lists."""
    found = None
    for number, content in fields(feature):
        if number == 1:
            items = [item for inner, item in fields(content) if inner == 1]
            found = np.empty(len(items), object)
            found[:] = items
        elif number in (2, 3):
            found = float_values(content) if number == 2 else int_values(content)
    return found


def _shaped(feature: _Feature, values: np.ndarray | None, name: Any) -> np.ndarray:
    dtype = feature.dtype
    if values is not None and values.dtype != dtype.numpy:
        raise InvalidArgumentError(
            f"Name: {_text(name)}, Key: {feature.name}. Data types don't match. Expected type: {dtype.name}, "
            f"the example has {as_dtype(values.dtype).name}."
        )
    if values is None and feature.is_fixed:
        if feature.default is None:
            raise InvalidArgumentError(
                f"Name: {_text(name)}, Feature: {feature.name} (data type: {dtype.name}) is required but could "
                "not be found: give it a default_value, or take it out of `features`."
            )
        return feature.default
    values = np.empty(0, dtype.numpy) if values is None else values
    if feature.is_sparse:
        return values
    shape = feature.shape if feature.is_fixed else (-1, *feature.shape)
    if len(values) != feature.size if feature.is_fixed else len(values) % feature.size:
        raise InvalidArgumentError(
            f"Name: {_text(name)}, Key: {feature.name}. Number of {dtype.name} values != expected. Values "
            f"size: {len(values)} but output shape: {list(shape)}."
        )
    return values.reshape(shape)


def _joined(feature: _Feature, parts: Sequence[np.ndarray]) -> Tensor | SparseTensor:
    """The values of several examples."""
    if feature.is_fixed:
        return Tensor(np.stack(parts))
    counts = list(map(len, parts))
    if feature.is_sparse:
        indices = np.argwhere(np.arange(max(counts)) < np.array(counts)[:, None])
        return SparseTensor.of_checked(indices, np.concatenate(parts), (len(parts), max(counts)))
    out = np.full((len(parts), max(counts), *feature.shape), feature.filling, feature.dtype.numpy)
    for row, part in zip(out, parts, strict=True):
        row[: len(part)] = part
    return Tensor(out)
