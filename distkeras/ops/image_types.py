"""Images of other element types: integers stand for [0, max], floating-point numbers for [0, 1]."""

from __future__ import annotations

from typing import Any

from distkeras.core.spec import as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op
from distkeras.ops.elementwise import cast, clip_by_value


@op
def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """`value` with another element type; what does not fit becomes the type's least or greatest number.

    >>> import distkeras as tf
    >>> tf.saturate_cast([-3.0, 7.5, 900.0], tf.uint8).numpy().tolist()
    [0, 7, 255]
    """
    value, dtype = to_tensor(value), as_dtype(dtype)
    if value.dtype.min < dtype.min or value.dtype.max > dtype.max:
        low, high = max(value.dtype.min, dtype.min), min(value.dtype.max, dtype.max)
        if value.dtype.is_floating and not dtype.is_floating:
            while float(value.dtype.numpy.type(high)) > dtype.max:  # 2**31 - 1 is not a float32: take the one below it
                high -= max(high >> 24, 1)
        value = clip_by_value(value, value.dtype.numpy.type(low), value.dtype.numpy.type(high))
    return cast(value, dtype)


@op
def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: str | None = None) -> Tensor:
    """An image with another element type, its numbers scaled so that it looks the same.

    Args:
        image: Any shape; integers from 0 to their type's greatest, or floating-point numbers in [0, 1].
        dtype: The type to be.
        saturate: Whether numbers that do not fit are clipped; they are not defined otherwise.

    >>> import distkeras as tf
    >>> tf.image.convert_image_dtype(tf.constant([0, 255], tf.uint8), tf.float32).numpy().tolist()
    [0.0, 1.0]
    """
    image, dtype = to_tensor(image), as_dtype(dtype)
    for kind in (image.dtype, dtype):
        if not (kind.is_floating or kind.is_integer):
            raise TypeError(f"convert_image_dtype: expected integers or floating-point numbers, received {kind.name}.")
    if image.dtype is dtype:
        return image
    convert = saturate_cast if saturate else cast
    if image.dtype.is_integer and dtype.is_integer:
        return _between_integers(image, dtype, convert)
    if image.dtype.is_floating and dtype.is_floating:
        return cast(image, dtype)
    if image.dtype.is_integer:
        return cast(image, dtype) * (1.0 / image.dtype.max)
    return convert(image * (dtype.max + 0.5), dtype)


def _between_integers(image: Tensor, dtype: Any, convert: Any) -> Tensor:
    largest, wanted = int(image.dtype.max), int(dtype.max)
    if largest > wanted:
        return convert(image // ((largest + 1) // (wanted + 1)), dtype)
    return convert(image, dtype) * ((wanted + 1) // (largest + 1))
