"""Saving and loading of models. Names are loaded when they are first used: layers need `serialize` before all else."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("distkeras.keras.saving.formats"), name)
