"""`tf.io`: whole files, and bytes as tensors."""

from __future__ import annotations

import glob
import os
from typing import Any

import numpy as np

from distkeras._errors import DataLossError, InvalidArgumentError, NotFoundError
from distkeras._wire import field, fields, signed
from distkeras.core.spec import as_dtype
from distkeras.core.tensor import Tensor, as_array

_NUMBERS = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "string": 7,
    "complex64": 8,
    "int64": 9,
    "bool": 10,
    "uint16": 17,
    "complex128": 18,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}
_NAMES = {number: name for name, number in _NUMBERS.items()}


def _scalar(value: Any, what: str) -> Any:
    array = as_array(value)
    if array.ndim or array.dtype.kind != "O":
        raise InvalidArgumentError(f"{what} must be a single text, received shape {array.shape} of {array.dtype}.")
    return array[()]


def as_text_tensor(content: Any) -> Tensor:
    """A scalar string tensor."""
    return Tensor(np.array(content, object))


def read_file(filename: Any, name: str | None = None) -> Tensor:
    """A file's content as a scalar string tensor.

    Raises:
        NotFoundError: There is no such file.
    """
    path = os.fsdecode(_scalar(filename, "filename"))
    try:
        with open(path, "rb") as file:
            return as_text_tensor(file.read())
    except FileNotFoundError as error:
        raise NotFoundError(f"{path}; No such file or directory.") from error


def write_file(filename: Any, contents: Any, name: str | None = None) -> None:
    """Write a scalar string to a file; folders that are missing are made."""
    path, content = os.fsdecode(_scalar(filename, "filename")), _scalar(contents, "contents")
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def matching_files(pattern: Any, name: str | None = None) -> Tensor:
    """The files that match a glob pattern, or any of several, in order."""
    patterns = [os.fsdecode(item) for item in as_array(pattern).reshape(-1)]
    found = sorted({path for each in patterns for path in glob.glob(each) if os.path.isfile(path)})
    paths = np.empty(len(found), object)
    paths[:] = [os.fsencode(path) for path in found]
    return Tensor(paths)


def serialize_tensor(tensor: Any, name: str | None = None) -> Tensor:
    """A tensor as bytes, in the form of TensorFlow's TensorProto; the inverse of `parse_tensor`.

    Source: https://github.com/tensorflow/tensorflow/blob/v2.0.0/tensorflow/core/framework/tensor.proto

    >>> import distkeras as tf
    >>> tf.io.parse_tensor(tf.io.serialize_tensor(tf.constant([1.0, 2.0])), tf.float32).numpy().tolist()
    [1.0, 2.0]
    """
    return as_text_tensor(tensor_to_bytes(as_array(tensor)))


def tensor_to_bytes(array: np.ndarray) -> bytes:
    """The TensorProto of an array."""
    dims = b"".join(field(2, field(1, size)) for size in array.shape)
    head = field(1, _NUMBERS[as_dtype(array.dtype).name]) + field(2, dims)
    if array.dtype.kind == "O":
        items = [item.encode() if isinstance(item, str) else item for item in array.flat]
        return head + b"".join(field(8, item) for item in items)
    return head + field(4, array.astype(array.dtype.newbyteorder("<")).tobytes())


def parse_tensor(serialized: Any, out_type: Any, name: str | None = None) -> Tensor:
    """The tensor that `serialize_tensor` made bytes of.

    Raises:
        InvalidArgumentError: It is of another type than `out_type`.
        DataLossError: These are not the bytes of a tensor.
    """
    content = _scalar(serialized, "serialized")
    array = tensor_from_bytes(content.encode() if isinstance(content, str) else content)
    if array.dtype != as_dtype(out_type).numpy:
        raise InvalidArgumentError(
            f"Type mismatch between parsed tensor ({as_dtype(array.dtype).name}) and dtype ({as_dtype(out_type).name})."
        )
    return Tensor(array)


def tensor_from_bytes(content: bytes) -> np.ndarray:
    """The array of a TensorProto.

    Raises:
        DataLossError: It is none, or one without all of its content.
    """
    try:
        kind, shape, raw, texts = 0, [], b"", []
        for number, value in fields(content):
            if number == 1:
                kind = value
            elif number == 2:
                shape = [signed(dict(fields(dim)).get(1, 0)) for inner, dim in fields(value) if inner == 2]
            elif number == 4:
                raw = value
            elif number == 8:
                texts.append(value)
        dtype = as_dtype(_NAMES[kind]).numpy
        if dtype.kind != "O":
            return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
        array = np.empty(len(texts), object)
        array[:] = texts
        return array.reshape(shape)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DataLossError(f"Could not parse the bytes of a tensor: {error}.") from None
