"""`tf.compat`: the other names under which the same objects are known, and texts as `str` and `bytes`."""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = ["v1", "v2"]

__all__ = ["as_bytes", "as_str", "as_str_any", "as_text", *_MODULES]


def as_bytes(bytes_or_text: bytes | bytearray | str, encoding: str = "utf-8") -> bytes:
    """Bytes as they are, a `str` encoded."""
    if not isinstance(bytes_or_text, (bytes, bytearray, str)):
        raise TypeError(f"Expected bytes or a str, received {bytes_or_text!r}.")
    return bytes_or_text.encode(encoding) if isinstance(bytes_or_text, str) else bytes(bytes_or_text)


def as_text(bytes_or_text: bytes | bytearray | str, encoding: str = "utf-8") -> str:
    """A `str` as it is, bytes decoded.

    >>> import distkeras as tf
    >>> tf.compat.as_text(tf.constant("três").numpy())
    'três'
    """
    return as_bytes(bytes_or_text, encoding).decode(encoding)


as_str = as_text


def as_str_any(value: Any, encoding: str = "utf-8") -> str:
    """`as_str` of texts, `str` of anything else."""
    return as_str(value, encoding) if isinstance(value, (bytes, bytearray, str)) else str(value)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"tf.compat has no attribute {name!r}; there are {', '.join(__all__)}.")
    return importlib.import_module(f"distkeras.compat.{name}")
