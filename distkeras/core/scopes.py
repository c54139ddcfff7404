"""Name scopes: what variables made inside are called, as in `my_model/dense/kernel:0`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.stack: list[str] = []


_scopes = _Scopes()


@contextlib.contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Variables made inside are called `name/...`."""
    _scopes.stack.append(name)
    try:
        yield "/".join(_scopes.stack) + "/"
    finally:
        _scopes.stack.pop()


@contextlib.contextmanager
def root_scope() -> Iterator[None]:
    """Variables made inside are named as if no scope were open."""
    previous, _scopes.stack = _scopes.stack, []
    try:
        yield
    finally:
        _scopes.stack = previous


def scoped(name: str) -> str:
    """`name` with the open scopes before it."""
    return "/".join([*_scopes.stack, name])
