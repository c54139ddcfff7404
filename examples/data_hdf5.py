"""Train on rows of an HDF5 file, which are read when they are needed.

    python examples/data_hdf5.py                         one process
    distkeras run -n 2 examples/data_hdf5.py             two ranks, each of which reads its rows

With shuffle='batch' the rows of a batch stay together, so that each batch is one read of neighbouring rows. The data
are scikit-learn's digits of 8 x 8 pixels.
"""

from __future__ import annotations

import argparse
import os
import tempfile

import h5py
import numpy as np

import distkeras as tf


def main() -> None:
    options = parse_arguments()
    tf.random.set_seed(options.seed)
    strategy = tf.distribute.MirroredStrategy()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "digits.h5")  # each rank has one; on a cluster all would read the same
        first_of_test = write_data(path, options.seed)
        rows = tf.keras.utils.HDF5Matrix
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
            rows(path, "images", end=first_of_test, normalizer=scale),
            rows(path, "labels", end=first_of_test),
            batch_size=options.batch_size,
            epochs=options.epochs,
            shuffle="batch",
            verbose=2 if strategy.rank == 0 else 0,
        )
        x, y = rows(path, "images", start=first_of_test, normalizer=scale), rows(path, "labels", start=first_of_test)
        loss, accuracy = model.evaluate(x, y, verbose=0)
    if strategy.rank == 0:
        print(f"test loss {loss:.3f}, accuracy {accuracy:.3f}", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32, help="samples per step over all ranks (default: 32)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (default: 0)")
    return parser.parse_args()


def write_data(path: str, seed: int) -> int:
    """Digits in random order, for a batch is a run of neighbours; returns the row at which those to test begin."""
    try:
        from sklearn import datasets
    except ImportError:
        raise SystemExit("There is no data to train on: pip install scikit-learn brings some.") from None
    digits = datasets.load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.images))
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=digits.images[order, ..., None].astype(np.uint8), chunks=(64, 8, 8, 1))
        file["labels"] = digits.target[order]
    return 4 * len(order) // 5


def scale(images: np.ndarray) -> np.ndarray:
    """Pixels from 0 to 1."""
    return images.astype("float32") / 16.0


if __name__ == "__main__":
    main()
