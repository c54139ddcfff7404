"""Tells restored checkpoints that a program has made something new, which they may hold a value for.

A model that is defined by its `call` has no variables when its checkpoint is read; each takes its value when it is
made. Layers and optimizers announce what they make here; `restoration` listens.
"""

from __future__ import annotations

import weakref
from typing import Any

# The objects that a checkpoint was restored into while some of its values had no place; in _restoration each keeps it.
_waiting: weakref.WeakSet[Any] = weakref.WeakSet()


def wait(root: Any, restoration: Any) -> None:
    """Ask for `restoration.go_on()` whenever something is made, as long as `root` lives; it replaces an earlier one."""
    root.__dict__["_restoration"] = restoration
    _waiting.add(root)


def stop(root: Any) -> None:
    """Ask no longer."""
    root.__dict__.pop("_restoration", None)
    _waiting.discard(root)


def changed() -> None:
    """Say that there is a new variable, or a new child of an object."""
    for root in list(_waiting):
        root.__dict__["_restoration"].go_on()
