"""`tf.data`: datasets. The names are loaded when they are first used, for most of Keras needs no dataset."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "AUTOTUNE": "distkeras.data.experimental",
    "INFINITE_CARDINALITY": "distkeras.data.experimental",
    "UNKNOWN_CARDINALITY": "distkeras.data.experimental",
    "FixedLengthRecordDataset": "distkeras.data.dataset.readers",
    "Dataset": "distkeras.data.dataset.dataset",
    "Options": "distkeras.data.dataset.options",
    "TFRecordDataset": "distkeras.data.dataset.readers",
    "TextLineDataset": "distkeras.data.dataset.readers",
}
__all__ = [*_HOMES, "experimental"]


def __getattr__(name: str) -> Any:
    if name == "experimental":
        return importlib.import_module("distkeras.data.experimental")
    if name not in _HOMES:
        raise AttributeError(f"distkeras.data has no attribute {name!r}. It has: {', '.join(__all__)}.")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


__dir__ = __all__.copy
