"""Writes data/ragged.json: what the models of `ragged_models.py` predict in TensorFlow.

Run with TensorFlow and Keras 2: TF_USE_LEGACY_KERAS=1 python -m tests.keras.layers.record_ragged
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.keras.layers.ragged_models import predictions


def rounded(value: object) -> object:
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(np.format_float_positional(value, 7, fractional=False))


def main() -> None:
    lines = (f"{json.dumps(name)}: {json.dumps(rounded(value))}" for name, value in predictions(tf).items())
    (Path(__file__).parent / "data" / "ragged.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
