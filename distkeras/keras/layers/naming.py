"""Names of layers: `dense`, `dense_1`, ..."""

from __future__ import annotations

import re
from collections import Counter

from distkeras.core.scopes import name_scope, root_scope, scoped

__all__ = ["get_uid", "name_scope", "reset_uids", "root_scope", "scoped", "snake_case", "unique_name"]

_WORD_START = re.compile(r"(?<=.)(?=[A-Z][a-z0-9])|(?<=[a-z])(?=[A-Z])")
_counts: Counter[str] = Counter()


def snake_case(name: str) -> str:
    """A class name as layers spell it.

    >>> snake_case("MaxPooling2D"), snake_case("PReLU"), snake_case("_Block")
    ('max_pooling2d', 'p_re_lu', 'private__block')
    """
    words = _WORD_START.sub("_", name).lower()
    return f"private{words}" if words.startswith("_") else words


def unique_name(prefix: str, zero_based: bool = True) -> str:
    """`prefix` the first time, `prefix_1`, `prefix_2` ... afterwards; counted from 1 unless `zero_based`."""
    _counts[prefix] += 1
    number = _counts[prefix] - zero_based
    return f"{prefix}_{number}" if number else prefix


def get_uid(prefix: str = "") -> int:
    """1, 2, 3, ... for each prefix."""
    _counts[prefix] += 1
    return _counts[prefix]


def reset_uids() -> None:
    """Number names from the beginning again."""
    _counts.clear()
