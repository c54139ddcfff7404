"""Records what tf_keras gives for the cases: `python tests/differential/record.py`, where tf_keras can be imported."""

import os
import sys
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np  # noqa: E402
import tf_keras  # noqa: E402

from tests.differential.cases import CASES  # noqa: E402

recorded = {}
for name, case in CASES.items():
    # TensorFlow 2.0's optimizers live under `legacy` now.
    for key, value in case(tf_keras, tf_keras.optimizers.legacy).items():
        recorded[f"{name}/{key}"] = np.asarray(value, "float32")
np.savez_compressed(Path(__file__).parent / "data" / "trainings.npz", **recorded)
print(len(CASES), "trainings")
