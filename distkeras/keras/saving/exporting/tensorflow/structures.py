"""Structures of Python as TensorFlow stores them: what functions take and give, with TensorSpecs for tensors.

Source: tensorflow/core/protobuf/struct.proto.
"""

from __future__ import annotations

import struct
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

from distkeras import _wire as wire
from distkeras.core.spec import DType, TensorShape, TensorSpec
from distkeras.keras.saving.exporting.tensorflow.decoding import (
    decoded_open_shape,
    decoded_tensor,
    decoded_type,
    entry_of,
)
from distkeras.keras.saving.exporting.tensorflow.messages import number_of, shape_message

_NONE, _FLOAT, _INT, _TEXT, _BOOL = 1, 11, 12, 13, 14
_SHAPE, _DTYPE, _SPEC, _TYPE_SPEC, _BOUNDED_SPEC = 31, 32, 33, 34, 35
_LIST, _TUPLE, _DICT, _NAMED_TUPLE, _TENSOR, _ARRAY = 51, 52, 53, 54, 55, 56


@dataclass(frozen=True)
class OtherSpec:
    """What stands for something that is neither a tensor nor a value, such as a sparse tensor.

    Attributes:
        kind: The class that TensorFlow names.
    """

    kind: str


# --- writing


def encoded_structure(value: Any) -> bytes:
    """A StructuredValue.

    Raises:
        ValueError: It holds what such a message cannot.
    """
    if value is None:
        return wire.field(_NONE, b"")
    if isinstance(value, bool):
        return wire.field(_BOOL, int(value))
    if isinstance(value, int):
        return wire.field(_INT, value << 1 ^ value >> 63)  # zigzag
    if isinstance(value, float):
        return wire.fixed64(_FLOAT, int.from_bytes(struct.pack("<d", value), "little"))
    if isinstance(value, str):
        return wire.field(_TEXT, value)
    if isinstance(value, TensorSpec):
        return wire.field(_SPEC, _encoded_spec(value))
    if isinstance(value, DType):
        return wire.field(_DTYPE, number_of(value.numpy))
    if isinstance(value, TensorShape):
        return wire.field(_SHAPE, _open_shape(value))
    if hasattr(value, "_fields"):
        pairs = zip(value._fields, value, strict=True)
        entries = b"".join(wire.field(2, wire.field(1, k) + wire.field(2, encoded_structure(v))) for k, v in pairs)
        return wire.field(_NAMED_TUPLE, wire.field(1, type(value).__name__) + entries)
    if isinstance(value, (list, tuple)):
        number = _LIST if isinstance(value, list) else _TUPLE
        return wire.field(number, b"".join(wire.field(1, encoded_structure(part)) for part in value))
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        parts = ((key, encoded_structure(value[key])) for key in sorted(value))
        return wire.field(_DICT, b"".join(wire.field(1, wire.field(1, k) + wire.field(2, v)) for k, v in parts))
    raise ValueError(f"a SavedModel cannot hold the argument {value!r}")


def _encoded_spec(spec: TensorSpec) -> bytes:
    name = wire.field(1, spec.name) if spec.name else b""
    return name + wire.field(2, _open_shape(spec.shape)) + wire.field(3, number_of(spec.dtype.numpy))


def _open_shape(shape: TensorShape) -> bytes:
    return shape_message(None if shape.rank is None else shape)


# --- reading


def decoded_structure(data: bytes) -> Any:
    """What a StructuredValue holds.

    Raises:
        ValueError: It is none.
    """
    for number, value in wire.fields(data):
        if number == _NONE:
            return None
        if number in (_BOOL, _INT, _FLOAT, _DTYPE):
            return _decoded_number(number, wire.as_int(value))
        if number == _TEXT:
            return wire.as_text(value)
        return _decoded_message(number, wire.as_bytes(value))
    return None


def _decoded_number(number: int, value: int) -> Any:
    if number == _BOOL:
        return bool(value)
    if number == _INT:
        return value >> 1 ^ -(value & 1)
    return decoded_type(value) if number == _DTYPE else struct.unpack("<d", value.to_bytes(8, "little"))[0]


def _decoded_message(number: int, data: bytes) -> Any:
    if number == _SHAPE:
        return decoded_open_shape(data)
    if number in (_SPEC, _BOUNDED_SPEC):
        return _decoded_spec(data)
    if number == _TYPE_SPEC:
        return OtherSpec(wire.as_text(dict(wire.fields(data)).get(3, b"")))
    if number in (_TENSOR, _ARRAY):
        return decoded_tensor(data)
    if number == _DICT:
        entries = [entry_of(content) for which, content in wire.fields(data) if which == 1]
        return {key: decoded_structure(content) for key, content in entries}
    if number == _NAMED_TUPLE:
        name = wire.as_text(dict(wire.fields(data)).get(1, b"structure"))
        pairs = [entry_of(content) for which, content in wire.fields(data) if which == 2]
        return namedtuple(name, [key for key, _ in pairs])(*(decoded_structure(content) for _, content in pairs))
    parts = [decoded_structure(wire.as_bytes(content)) for which, content in wire.fields(data) if which == 1]
    if number == _LIST:
        return parts
    if number == _TUPLE:
        return tuple(parts)
    raise ValueError(f"a structure has a part of the unknown kind {number}")


def _decoded_spec(data: bytes) -> TensorSpec | OtherSpec:
    parts = dict(wire.fields(data))
    dtype = decoded_type(wire.as_int(parts.get(3, 0)))
    if not isinstance(dtype, DType):
        return OtherSpec("TensorSpec of a resource")
    shape = decoded_open_shape(wire.as_bytes(parts.get(2, b"")))
    return TensorSpec(shape, dtype, wire.as_text(parts.get(1, b"")) or None)
