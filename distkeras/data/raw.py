"""`tf.io.decode_raw`: bytes as numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.spec import DType, TensorSpec, as_dtype
from distkeras.core.tensor import SymbolicTensor, Tensor, as_array
from distkeras.data.sizes import OtherSizeError, sized_by


def decode_raw(
    input_bytes: Any,
    out_type: Any,
    little_endian: bool = True,
    fixed_length: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Bytes as numbers: each string becomes a last axis of numbers.

    Args:
        input_bytes: String tensor; all of one length, unless `fixed_length` is given.
        out_type: Type of the numbers.
        little_endian: Their byte order in the strings.
        fixed_length: So many bytes of each string are taken; shorter ones are filled up with zeros.

    Raises:
        InvalidArgumentError: The strings differ in length, or it is no multiple of the type's.

    >>> import distkeras as tf
    >>> tf.io.decode_raw(b"\\x01\\x00\\x02\\x00", tf.int16).numpy().tolist()
    [1, 2]
    """
    dtype = as_dtype(out_type)
    if isinstance(input_bytes, SymbolicTensor):
        if fixed_length is None:
            of_one = decode_raw(sized_by(input_bytes), dtype, little_endian)
            count = of_one.shape[-1]
        else:
            count = _count(fixed_length, dtype)
        cuts = fixed_length is not None
        return _decode(input_bytes, dtype=dtype, little_endian=bool(little_endian), count=count, cuts=cuts)
    array = as_array(input_bytes)
    rows = [item.encode() if isinstance(item, str) else item for item in array.reshape(-1).tolist()]
    sizes = {len(row) for row in rows} if fixed_length is None else {fixed_length}
    if len(sizes) > 1:
        raise InvalidArgumentError(
            f"DecodeRaw requires input strings to all be the same size, received sizes {sorted(sizes)}: give "
            "`fixed_length`, to which they are cut or filled up."
        )
    count = _count(max(sizes, default=0), dtype)
    out = np.empty((*array.shape, count), dtype.numpy)
    _fill(array, out, little_endian, fixed_length is not None)
    return Tensor(out)


def _count(length: int, dtype: DType) -> int:
    if length % dtype.numpy.itemsize:
        raise InvalidArgumentError(
            f"Input to DecodeRaw has length {length} that is not a multiple of {dtype.numpy.itemsize}, the size of "
            f"{dtype.name}."
        )
    return length // dtype.numpy.itemsize


_decode = Primitive("decode_raw")


@_decode.def_shape
def _decode_shape(texts: TensorSpec, dtype: DType, little_endian: bool, count: int, cuts: bool) -> TensorSpec:
    return TensorSpec((*texts.shape, count), dtype)


@_decode.def_kernel
def _decode_kernel(
    inputs: Sequence,
    outputs: Sequence,
    scratch: Callable,
    *,
    dtype: DType,
    little_endian: bool,
    count: int,
    cuts: bool,
) -> Calls:
    return [(_fill, (inputs[0], outputs[0], little_endian, cuts))]


def _fill(texts: np.ndarray, out: np.ndarray, little_endian: bool, cuts: bool) -> None:
    """Decode texts of the length that `out` has room for, or cut and filled up to it."""
    rows = [item.encode() if isinstance(item, str) else item for item in texts.reshape(-1).tolist()]
    length = out.shape[-1] * out.itemsize
    if cuts:
        rows = [row[:length].ljust(length, b"\0") for row in rows]
    elif any(len(row) != length for row in rows):
        raise OtherSizeError
    stored = out.dtype.newbyteorder("<" if little_endian else ">")
    np.copyto(out, np.frombuffer(b"".join(rows), stored).reshape(out.shape) if out.size else out)
