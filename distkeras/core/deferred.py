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
    """Call `restoration.go_on(entry)` whenever an object has something new, as long as `root` lives.

    It replaces an earlier restoration of the same root.
    """
    root.__dict__["_restoration"] = restoration
    _waiting.add(root)


def waiting_for(root: Any) -> Any:
    """The restoration that `root` waits for, None for none."""
    return root.__dict__.get("_restoration")


def stop(root: Any) -> None:
    """Ask no longer."""
    root.__dict__.pop("_restoration", None)
    _waiting.discard(root)


def changed(entry: Any) -> None:
    """Say that an object has a new variable, or holds another object."""
    for root in list(_waiting):
        root.__dict__["_restoration"].go_on(entry)
