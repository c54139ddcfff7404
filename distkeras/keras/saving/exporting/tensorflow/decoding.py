"""The messages that graphs of TensorFlow consist of, as they are read: the counterpart of `messages`.

Source: tensorflow/core/framework/{attr_value,node_def,op_def,function,graph,tensor}.proto.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from distkeras import _wire as wire
from distkeras.core.spec import DType, TensorShape, as_dtype
from distkeras.keras.saving.exporting.tensorflow.messages import RESOURCE, VARIANT, FunctionName, Type
from distkeras.keras.saving.tf_bundle import TYPES

_REFERENCE = 100  # added to the number of an element type, for variables of TensorFlow 1
# Fields of a TensorProto by the kind of the elements: number of the field, and how one element is packed.
_FLOATS = {"float32": (5, "<f"), "float64": (6, "<d")}
_COMPLEX = {"complex64": (9, "<f"), "complex128": (12, "<d")}
_INTEGERS = {"int64": 10, "bool": 11, "uint32": 16, "uint64": 17, "float16": 13}
_SMALL_INTEGERS = 7
_MOST_REPEATED = 1 << 26  # elements that one may stand for, so that few bytes do not ask for all memory


@dataclass
class NodeDef:
    """A node of a function or graph.

    Attributes:
        name, operation: What it is called, and what it does.
        inputs: Values, then nodes that must have run, which begin with '^'.
        attributes: Decoded.
    """

    name: str = ""
    operation: str = ""
    inputs: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class FunctionDef:
    """A function of a graph's library.

    Attributes:
        name: What nodes call it by.
        arguments: Names of what it takes.
        results: (name, value of the body) of what it gives, in order.
        nodes: The body.
        effects: Nodes that must run whether or not a result needs them.
    """

    name: str = ""
    arguments: list[str] = field(default_factory=list)
    results: list[tuple[str, str]] = field(default_factory=list)
    nodes: dict[str, NodeDef] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)


def decode_graph(data: bytes) -> tuple[dict[str, NodeDef], dict[str, FunctionDef]]:
    """The nodes and the library of a GraphDef, by name.

    Raises:
        ValueError: It is none.
    """
    nodes, functions = {}, {}
    for number, value in wire.fields(data):
        if number == 1:
            node = _node(wire.as_bytes(value))
            nodes[node.name] = node
        elif number == 2:
            for which, content in wire.fields(wire.as_bytes(value)):
                if which == 1:
                    function = _function(wire.as_bytes(content))
                    functions[function.name] = function
    return nodes, functions


def _function(data: bytes) -> FunctionDef:
    found, results, values, effects = FunctionDef(), [], {}, {}
    for number, value in wire.fields(data):
        if number == 1:
            for which, content in wire.fields(wire.as_bytes(value)):
                if which == 1:
                    found.name = wire.as_text(content)
                elif which in (2, 3):
                    names = found.arguments if which == 2 else results
                    names.append(wire.as_text(dict(wire.fields(wire.as_bytes(content))).get(1, b"")))
        elif number == 3:
            node = _node(wire.as_bytes(value))
            found.nodes[node.name] = node
        elif number in (4, 6):
            key, text = entry_of(value)
            (values if number == 4 else effects)[key] = wire.as_text(text)
    found.effects = list(effects.values())
    try:
        found.results = [(name, values[name]) for name in results]
    except KeyError as error:
        raise ValueError(f"the function {found.name!r} does not say what its result {error} is") from None
    return found


def _node(data: bytes) -> NodeDef:
    node = NodeDef()
    for number, value in wire.fields(data):
        if number == 1:
            node.name = wire.as_text(value)
        elif number == 2:
            node.operation = wire.as_text(value)
        elif number == 3:
            node.inputs.append(wire.as_text(value))
        elif number == 5:
            key, content = entry_of(value)
            node.attributes[key] = decoded_attribute(content)
    return node


def entry_of(data: int | bytes) -> tuple[str, bytes]:
    """Key and value of an entry of a map from texts to messages or texts."""
    parts = dict(wire.fields(wire.as_bytes(data)))
    return wire.as_text(parts.get(1, b"")), wire.as_bytes(parts.get(2, b""))


# --- attributes


def decoded_attribute(data: bytes) -> Any:
    """What an AttrValue holds: bytes, int, float, bool, DType or Type, TensorShape, array, FunctionName, or a list."""
    for number, value in wire.fields(data):
        if number == 1:
            return list(_list(wire.as_bytes(value)))
        return _single(number, value)
    return None


def _single(number: int, value: int | bytes) -> Any:
    if number == 2:
        return wire.as_bytes(value)
    if number == 3:
        return wire.signed(wire.as_int(value))
    if number == 4:
        return struct.unpack("<f", (wire.as_int(value) & 0xFFFFFFFF).to_bytes(4, "little"))[0]
    if number == 5:
        return bool(value)
    if number == 6:
        return decoded_type(wire.as_int(value))
    if number == 7:
        return decoded_open_shape(wire.as_bytes(value))
    if number == 8:
        return decoded_tensor(wire.as_bytes(value))
    if number == 10:
        return FunctionName(wire.as_text(dict(wire.fields(wire.as_bytes(value))).get(1, b"")))
    return None


def _list(data: bytes) -> Iterator[Any]:
    packed = {3: _varints, 4: _fixed("<f"), 5: _varints, 6: _varints}
    of_list = {9: 10}  # functions have another number within lists
    for number, value in wire.fields(data):
        if number in packed and isinstance(value, bytes):
            for element in packed[number](value):
                if number == 4:
                    yield element
                else:
                    yield _single(number, element)
        else:
            yield _single(of_list.get(number, number), value)


def decoded_type(number: int) -> DType | Type:
    """The element type of a number."""
    name = TYPES.get(number % _REFERENCE)
    return Type(number) if name is None else as_dtype(name)


def is_handle(dtype: Any) -> bool:
    """Whether it is the type of variables' handles, or of lists of tensors."""
    return isinstance(dtype, Type) and dtype.number in (RESOURCE, VARIANT)


def decoded_open_shape(data: bytes) -> TensorShape:
    """A TensorShapeProto, in which sizes and rank may be open."""
    sizes: list[int | None] = []
    for number, value in wire.fields(data):
        if number == 2:
            size = wire.signed(wire.as_int(dict(wire.fields(wire.as_bytes(value))).get(1, 0)))
            sizes.append(None if size < 0 else size)
        elif number == 3 and value:
            return TensorShape(None)
    return TensorShape(sizes)


# --- tensors


def decoded_tensor(data: bytes) -> np.ndarray | None:
    """A TensorProto's array, texts as objects; None for what is no array, such as a list.

    Raises:
        ValueError: It does not hold as many elements as its shape says.
    """
    parts: dict[int, list[Any]] = {}
    for number, value in wire.fields(data):
        parts.setdefault(number, []).append(value)
    dtype = decoded_type(wire.as_int(parts.get(1, [0])[-1]))
    if isinstance(dtype, Type):
        return None
    shape = decoded_open_shape(wire.as_bytes(parts.get(2, [b""])[-1]))
    if not shape.is_fully_defined():
        raise ValueError(f"a tensor of the shape {shape} cannot have elements")
    count = math.prod(shape)
    content = wire.as_bytes(parts.get(4, [b""])[-1])
    if content:
        if len(content) != count * dtype.size:
            raise ValueError(f"a tensor of the shape {shape} has {len(content)} bytes")
        return np.frombuffer(content, dtype.numpy.newbyteorder("<")).astype(dtype.numpy).reshape(shape)
    elements = _elements(dtype.name, parts)
    if len(elements) > count or count > max(len(elements), _MOST_REPEATED):
        raise ValueError(f"a tensor of the shape {shape} has {len(elements)} elements")
    # The last element stands for all that follow it, and no element for zeros.
    array = np.empty(count, dtype.numpy)
    array[: len(elements)] = elements
    array[len(elements) :] = elements[-1] if elements else b"" if dtype.name == "string" else 0
    return array.reshape(shape)


def _elements(name: str, parts: dict[int, list[Any]]) -> list[Any]:
    if name == "string":
        return [wire.as_bytes(value) for value in parts.get(8, [])]
    if name in _FLOATS:
        number, form = _FLOATS[name]
        return _numbers(parts.get(number, []), form)
    if name in _COMPLEX:
        number, form = _COMPLEX[name]
        flat = _numbers(parts.get(number, []), form)
        return [complex(*pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
    found = [element for value in parts.get(_INTEGERS.get(name, _SMALL_INTEGERS), []) for element in _varints(value)]
    if name == "float16":
        return np.array(found, np.uint16).view(np.float16).tolist()
    return [bool(element) for element in found] if name == "bool" else found


def _numbers(values: list[Any], form: str) -> list[float]:
    size = struct.calcsize(form)
    mask = (1 << 8 * size) - 1
    data = b"".join(value if isinstance(value, bytes) else (value & mask).to_bytes(size, "little") for value in values)
    return list(_fixed(form)(data))


def _fixed(form: str) -> Callable[[bytes], Iterator[float]]:
    """Numbers of a fixed size, packed."""

    def numbers(data: bytes) -> Iterator[float]:
        if len(data) % struct.calcsize(form):
            raise ValueError(f"{len(data)} bytes are no numbers of {struct.calcsize(form)} bytes")
        return (number for (number,) in struct.iter_unpack(form, data))

    return numbers


def _varints(value: int | bytes) -> Iterator[int]:
    """Numbers one by one, or packed."""
    if isinstance(value, int):
        yield wire.signed(value)
        return
    position = 0
    while position < len(value):
        number, position = wire.read_varint(value, position)
        yield wire.signed(number)


numbers_of = _varints
