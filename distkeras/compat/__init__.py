"""`tf.compat`: the other names under which the same objects are known."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["v1", "v2"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"tf.compat has no attribute {name!r}; there are v1 and v2.")
    return importlib.import_module(f"distkeras.compat.{name}")
