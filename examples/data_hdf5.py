"""Train on rows of an HDF5 file, which are read when they are needed.

    python examples/data_hdf5.py                         one process
    distkeras run -n 2 examples/data_hdf5.py             two ranks, each of which reads its rows

Rows come in random order, though chunks of the file are read as a whole. Data, network and arguments are in digits.py.
"""

from __future__ import annotations

import os
import tempfile

import digits
import h5py
import numpy as np

import distkeras as tf


def main() -> None:
    options = digits.parser_of(__doc__).parse_args()
    tf.random.set_seed(options.seed)
    strategy = tf.distribute.MirroredStrategy()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "digits.h5")  # each rank has one; on a cluster all would read the same
        first_of_test = write_data(path, options.seed)
        rows = tf.keras.utils.HDF5Matrix
        with strategy.scope():
            model = digits.network()
        model.fit(
            rows(path, "images", end=first_of_test, normalizer=scale),
            rows(path, "labels", end=first_of_test),
            batch_size=options.batch_size,
            epochs=options.epochs,
            verbose=2 if strategy.rank == 0 else 0,
        )
        x, y = rows(path, "images", start=first_of_test, normalizer=scale), rows(path, "labels", start=first_of_test)
        digits.print_scores(model, strategy, x, y)


def write_data(path: str, seed: int) -> int:
    """Digits in random order, so that the last are like the others; returns the row at which those to test begin."""
    data = digits.load()
    order = np.random.default_rng(seed).permutation(len(data.images))
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=data.images[order, ..., None].astype(np.uint8), chunks=(64, 8, 8, 1))
        file["labels"] = data.target[order]
    return 4 * len(order) // 5


def scale(images: np.ndarray) -> np.ndarray:
    """Pixels from 0 to 1."""
    return images.astype("float32") / 16.0


if __name__ == "__main__":
    main()
