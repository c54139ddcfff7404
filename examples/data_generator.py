"""Train on what a Python generator yields: digits, each shifted at random, for as long as they are asked for.

    python examples/data_generator.py                    one process
    distkeras run -n 2 examples/data_generator.py        two ranks: rank 0 reads, each takes its rows of every batch

The data are scikit-learn's digits of 8 x 8 pixels.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

import distkeras as tf


def main() -> None:
    options = parse_arguments()
    tf.random.set_seed(options.seed)
    strategy = tf.distribute.MirroredStrategy()
    (x, y), test = load_data()
    with strategy.scope():
        model = tf.keras.Sequential(
            [
                tf.keras.layers.Conv2D(16, 3, activation="relu", input_shape=(8, 8, 1)),
                tf.keras.layers.Flatten(),
                tf.keras.layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile(tf.keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        shifted_digits(x, y, options.batch_size, options.seed),
        steps_per_epoch=len(x) // options.batch_size,  # the generator has no end of its own
        epochs=options.epochs,
        verbose=2 if strategy.rank == 0 else 0,
    )
    loss, accuracy = model.evaluate(*test, verbose=0)
    if strategy.rank == 0:
        print(f"test loss {loss:.3f}, accuracy {accuracy:.3f}", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32, help="samples per step over all ranks (default: 32)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and shifts (default: 0)")
    return parser.parse_args()


def shifted_digits(x: np.ndarray, y: np.ndarray, batch_size: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of digits that are moved by up to one pixel, without end."""
    random = np.random.default_rng(seed)
    while True:
        rows = random.integers(0, len(x), batch_size)
        moves = random.integers(-1, 2, (batch_size, 2))
        yield np.stack([np.roll(image, move, (0, 1)) for image, move in zip(x[rows], moves, strict=True)]), y[rows]


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Four fifths of the digits to train on, the others to test."""
    try:
        from sklearn import datasets
    except ImportError:
        raise SystemExit("There is no data to train on: pip install scikit-learn brings some.") from None
    digits = datasets.load_digits()
    x, y = (digits.images[..., None] / 16.0).astype("float32"), digits.target
    is_test = np.arange(len(x)) % 5 == 0
    return (x[~is_test], y[~is_test]), (x[is_test], y[is_test])


if __name__ == "__main__":
    main()
