"""Writes checkpoints and SavedModels for check_checkpoints_in_keras.py, and what their models predict.

Run with distkeras, from the repository's root:  python -m tests.formats.write_checkpoints FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import distkeras as tf
from tests.formats.checkpoint_models import MODELS, data, objects, optimizers


def main(folder: Path) -> None:
    """Write MODEL-OPTIMIZER.* (checkpoint), MODEL-OPTIMIZER.sm (SavedModel), MODEL-OPTIMIZER.npz, objects-1.*."""
    folder.mkdir(parents=True, exist_ok=True)
    x, y = data()
    for name, make in MODELS.items():
        for optimizer, made in optimizers(tf, tf.keras.optimizers).items():
            model = make(tf)
            model.compile(made(), "mse")
            for _ in range(2):
                model.train_on_batch(x, y)
            for _ in range(2 if optimizer == "adam" else 1):  # the second time it replaces the first
                model.save_weights(folder / f"{name}-{optimizer}")
            if name != "subclassed":
                model.save(folder / f"{name}-{optimizer}.sm")
            predictions = model.predict(x)
            model.train_on_batch(x, y)
            np.savez(folder / f"{name}-{optimizer}.npz", p=predictions, q=model.predict(x))
    saved = objects(tf, 1)
    saved.metric.update_state([1.0, 2.0, 6.0])
    saved.save(folder / "objects")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
