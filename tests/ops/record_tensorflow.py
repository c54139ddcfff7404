"""Writes data/tensorflow.npz: what the cases of `tensorflow_cases.py` give in TensorFlow.

Run with TensorFlow installed: python -m tests.ops.record_tensorflow
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.ops.tensorflow_cases import CASES, stored


def main() -> None:
    recorded = {f"{name} {i}": stored(result) for name, case in CASES.items() for i, result in enumerate(case(tf))}
    np.savez_compressed(Path(__file__).parent / "data" / "tensorflow.npz", **recorded)


if __name__ == "__main__":
    main()
