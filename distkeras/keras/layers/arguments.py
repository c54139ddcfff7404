"""Checks of what layers are given: sizes of windows, padding, ranks."""

from __future__ import annotations

from typing import Any


def ints(value: Any, count: int, name: str) -> tuple[int, ...]:
    """`count` positive ints from one int or as many.

    Raises:
        ValueError: It is something else.
    """
    values = (value,) * count if isinstance(value, int) else tuple(value) if hasattr(value, "__iter__") else ()
    if len(values) != count or any(int(item) != item or item < 1 for item in values):
        raise ValueError(f"The `{name}` argument must be a positive integer or {count} of them, received {value!r}.")
    return tuple(int(item) for item in values)


def pair(value: Any, name: str) -> tuple[int, int]:
    """Two positive ints from one or two."""
    return ints(value, 2, name)


def padding_kind(value: Any) -> str:
    """'valid' or 'same', in lower case.

    Raises:
        ValueError: It is something else.
    """
    kind = value.lower() if isinstance(value, str) else value
    if kind not in ("valid", "same"):
        raise ValueError(f"The `padding` argument must be 'valid' or 'same', received {value!r}.")
    return kind
