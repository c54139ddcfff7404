"""Records what tf_keras gives for the cases: `TF_USE_LEGACY_KERAS=1 python tests/keras/training/record_training.py`."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

os.environ["TF_USE_LEGACY_KERAS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[3]))

import numpy as np  # noqa: E402
import tf_keras  # noqa: E402

from tests.keras.training.cases import CASES  # noqa: E402

# The optimizers of TensorFlow 2.0 live under `legacy` now; a model accepts their names all the same.
KERAS = SimpleNamespace(**{name: getattr(tf_keras, name) for name in dir(tf_keras) if not name.startswith("_")})
KERAS.optimizers = tf_keras.optimizers.legacy

recorded = {
    f"{name}/{key}": np.asarray(value, "float64") for name, case in CASES.items() for key, value in case(KERAS).items()
}
np.savez_compressed(Path(__file__).parent / "data" / "training.npz", **recorded)
