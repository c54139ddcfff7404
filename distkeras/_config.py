"""The defaults Keras code asks for: float type, fuzz factor, image layout."""

from __future__ import annotations

from typing import Any

from distkeras.core.spec import as_dtype

_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"


def floatx() -> str:
    """The element type that layers and weights have unless told otherwise."""
    return _floatx


def set_floatx(value: str) -> None:
    """Set the default element type.

    Raises:
        ValueError: It is not 'float16', 'float32' or 'float64'.
    """
    global _floatx
    if value not in ("float16", "float32", "float64"):
        raise ValueError(f"Unknown floatx type: {value!r}. Expected 'float16', 'float32' or 'float64'.")
    _floatx = str(value)


def epsilon() -> float:
    """The small number that keeps quotients and logarithms finite."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set the fuzz factor."""
    global _epsilon
    _epsilon = float(value)


def image_data_format() -> str:
    """'channels_last' or 'channels_first': how layers read images unless told otherwise."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set the default layout of images.

    Raises:
        ValueError: It is neither 'channels_last' nor 'channels_first'.
    """
    global _image_data_format
    _image_data_format = normalize_data_format(data_format)


def normalize_data_format(data_format: str | None) -> str:
    """The layout in lower case, the default for None.

    Raises:
        ValueError: It is neither 'channels_last' nor 'channels_first'.
    """
    name = _image_data_format if data_format is None else str(data_format).lower()
    if name not in ("channels_last", "channels_first"):
        raise ValueError(f"data_format must be 'channels_last' or 'channels_first', received {data_format!r}.")
    return name


def dtype_name(dtype: Any) -> str:
    """The name of an element type, `floatx()` for None."""
    return _floatx if dtype is None else as_dtype(dtype).name
