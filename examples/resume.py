"""Train a classifier that may be interrupted at any time: run it again, and it goes on where it was.

    python examples/resume.py                     one process; stop it by Ctrl-C, kill -9, kill -USR1 ...
    python examples/resume.py                     ... and start it again
    distkeras run -n 2 examples/resume.py         two ranks take up the same training
    distkeras slurm --ntasks-per-node 8 --time 1:00:00 --requeue examples/resume.py

The data are points on two spirals. SIGUSR1, SIGTERM and the end of a Slurm job's time save the training at once, and
end the program with exit code 85; after anything else it goes on from the last backup, at most 20 steps before.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import distkeras as tf


class Slowly(tf.keras.callbacks.Callback):
    """Waits after each step, as if the model were a large one."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        time.sleep(self.seconds)


def main() -> None:
    options = parse_arguments()
    tf.random.set_seed(0)
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        model = tf.keras.Sequential(
            [
                tf.keras.layers.Dense(64, activation="relu", input_shape=(2,)),
                tf.keras.layers.Dropout(0.1),
                tf.keras.layers.Dense(64, activation="relu"),
                tf.keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
        model.compile(tf.keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    x, labels = spirals(600, seed=1)
    history = model.fit(
        x,
        labels,
        batch_size=60,
        epochs=options.epochs,
        validation_split=0.1,
        verbose=2 if strategy.rank == 0 else 0,
        callbacks=[
            tf.keras.callbacks.ReduceLROnPlateau(patience=10, factor=0.5),
            tf.keras.callbacks.BackupAndRestore(options.backup_dir, save_freq=20),
            Slowly(options.pause),
        ],
    )
    loss, accuracy = model.evaluate(*spirals(400, seed=2), verbose=0)
    if strategy.rank == 0:
        print(f"{len(history.epoch)} epochs, last loss {history.history['loss'][-1]!r}")
        print(f"test loss {loss:.4f}, accuracy {accuracy:.4f}", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--backup-dir", type=Path, default=Path("resume_backups"), help="folder of the backups")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds to wait after each step (default: 0)")
    return parser.parse_args()


def spirals(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points on two spirals, and which of the two each is on."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    radius = random.random(count)
    angle = 4.0 * radius + np.pi * labels
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return (x + 0.02 * random.standard_normal((count, 2))).astype("float32"), labels


if __name__ == "__main__":
    main()
