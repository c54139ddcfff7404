"""`tf.io.parse_example` and its kin: serialized examples as tensors, by a description of their features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from distkeras._errors import DataLossError, InvalidArgumentError
from distkeras._wire import fields
from distkeras.core.spec import DType, as_dtype
from distkeras.core.tensor import Tensor, as_array
from distkeras.data.example import features_of, float_values, int_values

_KINDS = {1: "string", 2: "float32", 3: "int64"}


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
    """A feature with any number of values.

    The result is a dense tensor of shape (values,); of several examples (examples, most values), filled up with 0 or
    empty text.

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


def parse_single_example(
    serialized: Any, features: Mapping[str, Any], example_names: Any = None, name: str | None = None
) -> dict[str, Tensor]:
    """The features of one serialized `tf.train.Example`.

    Args:
        serialized: Scalar string tensor, or bytes.
        features: Dict name -> FixedLenFeature, VarLenFeature or FixedLenSequenceFeature.
        example_names: A name for the example, for messages.

    Returns:
        Dict name -> tensor.

    Raises:
        InvalidArgumentError: A feature is missing, of another type or size.
        DataLossError: `serialized` is no example.

    >>> import distkeras as tf
    >>> feature = tf.train.Feature(float_list=tf.train.FloatList(value=[1.0, 2.0]))
    >>> example = tf.train.Example(features=tf.train.Features(feature={"x": feature}))
    >>> parsed = tf.io.parse_single_example(
    ...     example.SerializeToString(), {"x": tf.io.FixedLenFeature([2], tf.float32)}
    ... )
    >>> parsed["x"].numpy().tolist()
    [1.0, 2.0]
    """
    _check_features(features)
    array = as_array(serialized)
    if array.ndim:
        raise InvalidArgumentError(
            f"parse_single_example takes one serialized example, received shape {array.shape}: use parse_example."
        )
    found = _parse(array[()], features, example_names)
    return {key: Tensor(value) for key, value in found.items()}


def parse_example(
    serialized: Any, features: Mapping[str, Any], example_names: Any = None, name: str | None = None
) -> dict[str, Tensor]:
    """The features of a vector of serialized `tf.train.Example`, stacked; see `parse_single_example`."""
    _check_features(features)
    array = as_array(serialized)
    if array.ndim != 1:
        raise InvalidArgumentError(
            f"parse_example takes a vector of serialized examples, received shape {array.shape}."
        )
    names = [None] * len(array) if example_names is None else as_array(example_names).tolist()
    parsed = [_parse(item, features, known) for item, known in zip(array, names, strict=True)]
    return {key: Tensor(_stacked([each[key] for each in parsed], kind)) for key, kind in features.items()}


def _check_features(features: Mapping[str, Any]) -> None:
    if not isinstance(features, Mapping) or not features:
        raise ValueError(f"`features` must be a dict of at least one feature by name, received {features!r}.")
    for key, kind in features.items():
        if not isinstance(kind, (FixedLenFeature, VarLenFeature, FixedLenSequenceFeature)):
            raise ValueError(
                f"Unsupported description of the feature {key!r}: {kind!r}. Expected FixedLenFeature, VarLenFeature or "
                "FixedLenSequenceFeature."
            )
        if as_dtype(kind.dtype).name not in _KINDS.values():
            raise TypeError(
                f"The feature {key!r} cannot be of type {as_dtype(kind.dtype).name}: examples hold tf.int64, "
                "tf.float32 and tf.string. Cast the result."
            )
        if isinstance(kind, FixedLenSequenceFeature) and not kind.allow_missing:
            raise ValueError(f"The feature {key!r}: FixedLenSequenceFeature needs allow_missing=True.")


def _parse(serialized: Any, features: Mapping[str, Any], name: Any) -> dict[str, np.ndarray]:
    try:
        content = serialized.encode() if isinstance(serialized, str) else bytes(serialized)
        there: dict[str, bytes] = {}
        for number, part in fields(content):
            if number == 1:
                there.update(features_of(part))
        values = {key: _values(there[key]) if key in there else None for key in features}
    except (ValueError, TypeError, AttributeError) as error:
        raise DataLossError(f"Could not parse example input{_called(name)}: {error}.") from None
    return {key: _shaped(key, values[key], kind, name) for key, kind in features.items()}


def _called(name: Any) -> str:
    return "" if name is None else f" {name!r}"


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


def _shaped(key: str, values: np.ndarray | None, kind: Any, name: Any) -> np.ndarray:
    dtype = as_dtype(kind.dtype)
    if values is not None and values.dtype != dtype.numpy:
        raise InvalidArgumentError(
            f"Name: {name or '<unknown>'}, Key: {key}. Data types don't match. Expected type: {dtype.name}, the "
            f"example has {as_dtype(values.dtype).name}."
        )
    if isinstance(kind, VarLenFeature):
        return np.empty(0, dtype.numpy) if values is None else values
    shape = _sizes(kind.shape)
    if isinstance(kind, FixedLenSequenceFeature):
        shape = (-1, *shape)
        values = np.empty(0, dtype.numpy) if values is None else values
    elif values is None:
        return _default(key, kind, shape, dtype, name)
    part = math.prod(size for size in shape if size >= 0)
    if len(values) % part if -1 in shape else len(values) != part:
        raise InvalidArgumentError(
            f"Name: {name or '<unknown>'}, Key: {key}. Number of {dtype.name} values != expected. Values size: "
            f"{len(values)} but output shape: {list(shape)}."
        )
    return values.reshape(shape)


def _sizes(shape: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in (shape if hasattr(shape, "__iter__") else [shape]))


def _default(key: str, kind: FixedLenFeature, shape: tuple[int, ...], dtype: DType, name: Any) -> np.ndarray:
    if kind.default_value is None:
        raise InvalidArgumentError(
            f"Name: {name or '<unknown>'}, Feature: {key} (data type: {dtype.name}) is required but could not be "
            "found: give it a default_value, or take it out of `features`."
        )
    default = as_array(kind.default_value, dtype)
    if dtype.name == "string":
        default = np.frompyfunc(lambda item: item.encode() if isinstance(item, str) else item, 1, 1)(default)
    return np.array(
        np.broadcast_to(default, shape) if np.ndim(default) == 0 else np.reshape(default, shape), dtype.numpy
    )


def _stacked(parts: list[np.ndarray], kind: Any) -> np.ndarray:
    """The values of several examples; those of changing number filled up."""
    dtype = as_dtype(kind.dtype).numpy
    inner = () if isinstance(kind, VarLenFeature) else _sizes(kind.shape)
    if isinstance(kind, FixedLenFeature):
        return np.stack(parts) if parts else np.empty((0, *inner), dtype)
    filling = getattr(kind, "default_value", None)
    filling = (b"" if dtype.kind == "O" else 0) if filling is None else filling
    out = np.full((len(parts), max(map(len, parts), default=0), *inner), filling, dtype)
    for row, part in zip(out, parts, strict=True):
        row[: len(part)] = part
    return out
