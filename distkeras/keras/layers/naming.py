"""Names of layers and weights: `dense`, `dense_1`, ... and scopes that give `my_model/dense/kernel:0`."""

from __future__ import annotations

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Iterator

_WORD_START = re.compile(r"(?<=.)(?=[A-Z][a-z0-9])|(?<=[a-z])(?=[A-Z])")
_counts: Counter[str] = Counter()


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.stack: list[str] = []


_scopes = _Scopes()


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


@contextlib.contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Weights made inside are called `name/...`."""
    _scopes.stack.append(name)
    try:
        yield "/".join(_scopes.stack) + "/"
    finally:
        _scopes.stack.pop()


@contextlib.contextmanager
def root_scope() -> Iterator[None]:
    """Weights made inside are named as if no scope were open."""
    previous, _scopes.stack = _scopes.stack, []
    try:
        yield
    finally:
        _scopes.stack = previous


def scoped(name: str) -> str:
    """`name` with the open scopes before it."""
    return "/".join([*_scopes.stack, name])
