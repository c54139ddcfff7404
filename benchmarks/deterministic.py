"""What `deterministic=True` costs: CPU time of a training step against the usual mode, on this process and on ranks.

    OMP_NUM_THREADS=1 python -m benchmarks.deterministic
    distkeras run -n 2 -m benchmarks.deterministic

Both modes take turns in one process, a round of steps each; printed are medians over the rounds of rank 0.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import distkeras as tf

layers = tf.keras.layers
SHAPES = {"mlp": (784,), "cnn": (28, 28, 1)}


def mlp() -> tf.keras.Model:
    """The MLP of the MNIST tutorial."""
    return tf.keras.Sequential(
        [
            layers.Dense(512, activation="relu", input_shape=SHAPES["mlp"]),
            layers.Dropout(0.2),
            layers.Dense(512, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def cnn() -> tf.keras.Model:
    """The CNN of the MNIST tutorial."""
    return tf.keras.Sequential(
        [
            layers.Conv2D(32, 3, activation="relu", input_shape=SHAPES["cnn"]),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def steps_of(make: Callable, deterministic: bool, x: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    """A function that trains a new model by one step on a batch."""
    with tf.distribute.MirroredStrategy(deterministic=deterministic).scope():
        model = make()
        model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    model.train_on_batch(x, y)
    return lambda: model.train_on_batch(x, y)


def milliseconds(step: Callable[[], object], count: int) -> float:
    """CPU time of a step."""
    begun = time.process_time()
    for _ in range(count):
        step()
    return (time.process_time() - begun) / count * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 256, 1024])
    parser.add_argument("--case", nargs="+", default=["mlp", "cnn"])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for case in options.case:
        for batch in options.batch:
            rng = np.random.default_rng(0)
            x, y = rng.random((batch, *SHAPES[case]), dtype=np.float32), rng.integers(0, 10, batch)
            make = {"mlp": mlp, "cnn": cnn}[case]
            usual, exact = (steps_of(make, deterministic, x, y) for deterministic in (False, True))
            rounds = [
                (milliseconds(usual, options.steps), milliseconds(exact, options.steps)) for _ in range(options.rounds)
            ]
            left, right = (statistics.median(times) for times in zip(*rounds, strict=True))
            ratio = statistics.median(one / other for other, one in rounds)
            if tf.distribute.MirroredStrategy().rank == 0:
                print(
                    f"{case} batch {batch:5d}: {left:8.2f} ms, deterministic {right:8.2f} ms, {ratio:5.2f} times",
                    flush=True,
                )


if __name__ == "__main__":
    main()
