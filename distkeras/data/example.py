"""`tf.train.Example`: named lists of numbers or bytes, and their form as a protocol buffer.

    Example{features = 1}  Features{feature = 1: map of name = 1 to Feature = 2}
    Feature{bytes_list = 1 | float_list = 2 | int64_list = 3}, each list {value = 1, numbers packed}

Source: the messages' definition, https://www.tensorflow.org/api_docs/python/tf/train/Example.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from distkeras._errors import DataLossError
from distkeras._wire import field, fields, read_varint, varint

_KINDS = ("bytes_list", "float_list", "int64_list")
_INT64 = np.iinfo(np.int64)
_FEW_BYTES = 16  # that Python unpacks sooner than NumPy


class _Message:
    """Base of messages: serialized, parsed, compared by what they hold."""

    def SerializeToString(self, deterministic: bool = True) -> bytes:
        """The message as bytes; equal messages give equal bytes."""
        raise NotImplementedError

    def ParseFromString(self, serialized: bytes) -> int:
        """Take over what `serialized` holds; returns its length.

        Raises:
            DataLossError: These are not the bytes of such a message.
        """
        try:
            self._read(bytes(serialized))
        except (ValueError, struct.error) as error:
            raise DataLossError(f"Could not parse {type(self).__name__}: {error}.") from None
        return len(serialized)

    def _read(self, serialized: bytes) -> None:
        raise NotImplementedError

    @classmethod
    def FromString(cls, serialized: bytes) -> Any:
        """The message that `serialized` holds."""
        message = cls()
        message.ParseFromString(serialized)
        return message

    def __eq__(self, other: Any) -> bool:
        return type(other) is type(self) and self.SerializeToString() == other.SerializeToString()

    __hash__ = None


class _List(_Message):
    """A list of values of one kind.

    Args:
        value: The values.
    """

    def __init__(self, value: Iterable = ()) -> None:
        if isinstance(value, (str, bytes)):
            raise TypeError(f"{type(self).__name__} takes a list of values, received {value!r}: write [value].")
        self.value = [self._checked(item) for item in value]

    @staticmethod
    def _checked(item: Any) -> Any:
        return item

    def __repr__(self) -> str:
        return "".join(f"value: {_shown(item)}\n" for item in self.value)


class BytesList(_List):
    __doc__ = _List.__doc__

    @staticmethod
    def _checked(item: Any) -> bytes:
        item = item.numpy() if hasattr(item, "numpy") else item
        if not isinstance(item, (bytes, str)):
            raise TypeError(f"BytesList holds bytes, received {item!r} of type {type(item).__name__}.")
        return item.encode() if isinstance(item, str) else item

    def SerializeToString(self, deterministic: bool = True) -> bytes:
        return b"".join(field(1, self._checked(item)) for item in self.value)

    def _read(self, serialized: bytes) -> None:
        self.value = [content for number, content in fields(serialized) if number == 1]


class FloatList(_List):
    __doc__ = _List.__doc__

    @staticmethod
    def _checked(item: Any) -> float:
        return float(np.float32(item))

    def SerializeToString(self, deterministic: bool = True) -> bytes:
        return field(1, np.asarray(self.value, "<f4").tobytes()) if len(self.value) else b""

    def _read(self, serialized: bytes) -> None:
        self.value = float_values(serialized).tolist()


class Int64List(_List):
    __doc__ = _List.__doc__

    @staticmethod
    def _checked(item: Any) -> int:
        number = int(item)
        if number != item or not _INT64.min <= number <= _INT64.max:
            raise ValueError(f"Int64List holds integers of 64 bits, received {item!r}.")
        return number

    def SerializeToString(self, deterministic: bool = True) -> bytes:
        return field(1, b"".join(varint(int(item)) for item in self.value)) if len(self.value) else b""

    def _read(self, serialized: bytes) -> None:
        self.value = int_values(serialized).tolist()


def float_values(serialized: bytes) -> np.ndarray:
    """The values of a FloatList, float32."""
    found = [
        np.frombuffer(content, "<f4") if isinstance(content, bytes) else np.array([content], "<u4").view("<f4")
        for number, content in fields(serialized)
        if number == 1
    ]
    return _joined(found, np.float32)


def int_values(serialized: bytes) -> np.ndarray:
    """The values of an Int64List, int64."""
    found = [
        _unpacked(content) if isinstance(content, bytes) else np.array([content], np.uint64).view(np.int64)
        for number, content in fields(serialized)
        if number == 1
    ]
    return _joined(found, np.int64)


def _joined(found: list[np.ndarray], dtype: type) -> np.ndarray:
    """Lists one after the other, in memory of their own; most often there is one."""
    return (found[0] if len(found) == 1 else np.concatenate([*found, np.empty(0, dtype)])).astype(dtype)


def _unpacked(content: bytes) -> np.ndarray:
    """Varints one after the other: seven bits a byte, the lowest first, the last byte of each below 128."""
    if len(content) < _FEW_BYTES:
        numbers, position = [], 0
        while position < len(content):
            number, position = read_varint(content, position)
            numbers.append(number)
        return np.array(numbers, np.uint64).view(np.int64)
    data = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(data < 128)
    if not len(ends) or ends[-1] != len(data) - 1:
        raise ValueError("the data end within a number")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 10:
        raise ValueError("a number has more than 64 bits")
    shifts = (np.arange(len(data)) - np.repeat(starts, lengths)).astype(np.uint64) * np.uint64(7)
    return np.bitwise_or.reduceat((data & 127).astype(np.uint64) << shifts, starts).view(np.int64)


class Feature(_Message):
    """A list of values, of one of three kinds.

    Args:
        bytes_list, float_list, int64_list: The list; one of the three.
    """

    def __init__(
        self,
        bytes_list: BytesList | None = None,
        float_list: FloatList | None = None,
        int64_list: Int64List | None = None,
    ) -> None:
        given = dict(zip(_KINDS, (bytes_list, float_list, int64_list), strict=True))
        chosen = [name for name, value in given.items() if value is not None]
        if len(chosen) > 1:
            raise ValueError(f"A Feature holds one list, received {' and '.join(chosen)}.")
        self._chosen = chosen[0] if chosen else None
        self.bytes_list = bytes_list or BytesList()
        self.float_list = float_list or FloatList()
        self.int64_list = int64_list or Int64List()

    def WhichOneof(self, group: str = "kind") -> str | None:
        """The name of the list that is set, None if there is none."""
        filled = [name for name in _KINDS if getattr(self, name).value]
        return filled[0] if filled else self._chosen

    def HasField(self, name: str) -> bool:
        """Whether the list of that name is the one that is set."""
        return self.WhichOneof() == name

    def SerializeToString(self, deterministic: bool = True) -> bytes:
        kind = self.WhichOneof()
        return b"" if kind is None else field(_KINDS.index(kind) + 1, getattr(self, kind).SerializeToString())

    def _read(self, serialized: bytes) -> None:
        self.__init__()
        for number, content in fields(serialized):
            if 1 <= number <= 3:
                self._chosen = _KINDS[number - 1]
                getattr(self, self._chosen)._read(content)

    def __repr__(self) -> str:
        kind = self.WhichOneof()
        return "" if kind is None else _block(kind, getattr(self, kind))


class Features(_Message):
    """Features by name.

    Args:
        feature: Dict name -> Feature.
    """

    def __init__(self, feature: dict[str, Feature] | None = None) -> None:
        self.feature: dict[str, Feature] = defaultdict(Feature, feature or {})

    def SerializeToString(self, deterministic: bool = True) -> bytes:
        return b"".join(
            field(1, field(1, name) + field(2, self.feature[name].SerializeToString())) for name in sorted(self.feature)
        )

    def _read(self, serialized: bytes) -> None:
        self.feature = defaultdict(Feature)
        for name, content in features_of(serialized).items():
            self.feature[name]._read(content)

    def __repr__(self) -> str:
        return "".join(_block("feature", _Entry(name, self.feature[name])) for name in sorted(self.feature))


class _Entry(NamedTuple):
    """A name and its feature, to be shown."""

    key: str
    value: Feature

    def __repr__(self) -> str:
        return f"key: {_shown(self.key.encode())}\n{_block('value', self.value)}"


def features_of(serialized: bytes) -> dict[str, bytes]:
    """The serialized Feature of each name, of serialized Features."""
    found = {}
    for number, entry in fields(serialized):
        if number == 1:
            parts = dict(fields(entry))
            found[parts.get(1, b"").decode()] = parts.get(2, b"")
    return found


class Example(_Message):
    """An example: features by name, as they are kept in TFRecord files.

    Args:
        features: The features.

    >>> import distkeras as tf
    >>> label = tf.train.Feature(int64_list=tf.train.Int64List(value=[3]))
    >>> example = tf.train.Example(features=tf.train.Features(feature={"label": label}))
    >>> again = tf.train.Example.FromString(example.SerializeToString())
    >>> again.features.feature["label"].int64_list.value
    [3]
    """

    def __init__(self, features: Features | None = None) -> None:
        self.features = features or Features()

    def SerializeToString(self, deterministic: bool = True) -> bytes:
        return field(1, self.features.SerializeToString())

    def _read(self, serialized: bytes) -> None:
        self.features = Features()
        for number, content in fields(serialized):
            if number == 1:
                self.features._read(content)

    def __repr__(self) -> str:
        return _block("features", self.features)


def _block(name: str, message: Any) -> str:
    return f"{name} {{\n{_indented(repr(message))}}}\n"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


_ESCAPES = {9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 39: "\\'", 92: "\\\\"}


def _shown(item: Any) -> str:
    if isinstance(item, bytes):
        shown = (_ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in item)
        return f'"{"".join(shown)}"'
    return str(np.float32(item)).removesuffix(".0") if isinstance(item, float) else str(item)
