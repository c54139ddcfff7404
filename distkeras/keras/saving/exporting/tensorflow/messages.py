"""The messages that graphs of TensorFlow consist of: attributes, nodes, functions.

Source: tensorflow/core/framework/{attr_value,node_def,op_def,function,tensor}.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras import _wire as wire
from distkeras.keras.saving.tf_bundle import NUMBERS, encoded_shape

RESOURCE, VARIANT, STRING = 20, 21, 7


class Type(NamedTuple):
    """An element type by TensorFlow's number, for those that arrays cannot have."""

    number: int


class Shape(NamedTuple):
    """A shape as an attribute; None for sizes that are open."""

    sizes: tuple[int | None, ...] | None


class FunctionName(NamedTuple):
    """A function of the library as an attribute."""

    name: str


def number_of(dtype: Any) -> int:
    """TensorFlow's number of an element type."""
    return dtype.number if isinstance(dtype, Type) else NUMBERS[np.dtype(dtype).name]


def shape_message(sizes: Sequence[int | None] | None) -> bytes:
    """A TensorShapeProto; None for a shape of which nothing is known."""
    if sizes is None:
        return wire.field(3, 1)
    return encoded_shape(tuple(-1 if size is None else size for size in sizes))


def tensor_message(array: np.ndarray) -> bytes:
    """A TensorProto, of numbers or texts."""
    if array.dtype.kind in "SUO":
        texts = b"".join(wire.field(8, text) for text in array.reshape(-1).tolist())
        return wire.field(1, STRING) + wire.field(2, encoded_shape(array.shape)) + texts
    head = wire.field(1, NUMBERS[array.dtype.name]) + wire.field(2, encoded_shape(array.shape))
    return head + wire.field(4, array.tobytes())


def attribute(value: Any) -> bytes:
    """An AttrValue.

    Args:
        value: A number, text, array, NumPy dtype, Type, Shape, FunctionName, or a list of ints, types or shapes.
    """
    if isinstance(value, list):
        return wire.field(1, b"".join(map(_in_list, value)))
    if isinstance(value, bool):
        return wire.field(5, int(value))
    if isinstance(value, (int, np.integer)):
        return wire.field(3, int(value))
    if isinstance(value, float):
        return wire.fixed32(4, struct.unpack("<I", struct.pack("<f", value))[0])
    if isinstance(value, str):
        return wire.field(2, value)
    if isinstance(value, Shape):
        return wire.field(7, shape_message(value.sizes))
    if isinstance(value, np.ndarray):
        return wire.field(8, tensor_message(value))
    if isinstance(value, FunctionName):
        return wire.field(10, wire.field(1, value.name))
    return wire.field(6, number_of(value))


def _in_list(value: Any) -> bytes:
    if isinstance(value, (int, np.integer)):
        return wire.field(3, int(value))
    if isinstance(value, Shape):
        return wire.field(7, shape_message(value.sizes))
    return wire.field(6, number_of(value))


def node_message(name: str, operation: str, inputs: Sequence[str], attributes: Mapping[str, Any]) -> bytes:
    """A NodeDef."""
    encoded = wire.field(1, name) + wire.field(2, operation)
    encoded += b"".join(wire.field(3, value) for value in inputs)
    for key, value in attributes.items():
        encoded += wire.field(5, wire.field(1, key) + wire.field(2, attribute(value)))
    return encoded


class Argument(NamedTuple):
    """A function's argument or result: its name, and a NumPy dtype or Type."""

    name: str
    dtype: Any


def function_message(
    name: str,
    arguments: Sequence[Argument],
    results: Mapping[Argument, str],
    nodes: Sequence[bytes],
    stateful: bool,
    effects: Sequence[str] = (),
) -> bytes:
    """A FunctionDef.

    Args:
        name: Of the function.
        arguments: In their order.
        results: Result -> value of the body.
        nodes: The body, NodeDefs.
        stateful: Whether it reads or writes variables.
        effects: The nodes that must run whether or not a result needs them.
    """

    def described(argument: Argument) -> bytes:
        return wire.field(1, argument.name) + wire.field(3, number_of(argument.dtype))

    signature = wire.field(1, name)
    signature += b"".join(wire.field(2, described(argument)) for argument in arguments)
    signature += b"".join(wire.field(3, described(result)) for result in results)
    signature += wire.field(17, int(stateful)) + b"".join(wire.field(20, effect) for effect in effects)
    body = b"".join(wire.field(3, node) for node in nodes)
    returned = b"".join(
        wire.field(4, wire.field(1, result.name) + wire.field(2, value)) for result, value in results.items()
    )
    run = b"".join(wire.field(6, wire.field(1, effect) + wire.field(2, effect)) for effect in effects)
    return wire.field(1, signature) + body + returned + run
