"""Writes data/ragged.json: what the cases of `ragged_cases.py` give in TensorFlow.

Run with TensorFlow installed: python -m tests.ops.record_ragged
"""

from __future__ import annotations

import json
from pathlib import Path

import tensorflow as tf

from tests.ops.ragged_cases import CASES, names, stored


def main() -> None:
    known = names(tf)
    recorded = {name: stored(tf, eval(case, known)) for name, case in CASES.items()}
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in recorded.items())
    (Path(__file__).parent / "data" / "ragged.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
