"""Train on a Sequence whose batches are made by worker processes: digits, turned and enlarged at random.

    python examples/data_sequence.py                     one process, and two that read
    distkeras run -n 2 examples/data_sequence.py         two ranks, which share the two workers

A worker seeds NumPy's global generator before each batch, so that results depend neither on the number of workers nor
on that of ranks. The data are scikit-learn's digits of 8 x 8 pixels.
"""

from __future__ import annotations

import argparse

import numpy as np

import distkeras as tf


class TurnedDigits(tf.keras.utils.Sequence):
    """Batches of digits that are turned and enlarged at random.

    It stands at the top level of the script, where workers find it, and holds nothing that cannot be pickled.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int) -> None:
        self._x, self._y, self._batch_size = x, y, batch_size
        self._order = np.arange(len(x))

    def __len__(self) -> int:
        return -(-len(self._x) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        random_rotation = tf.keras.preprocessing.image.random_rotation
        random_zoom = tf.keras.preprocessing.image.random_zoom
        axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
        turned = [random_rotation(image, 15, **axes) for image in self._x[rows]]
        return np.stack([random_zoom(image, (0.9, 1.1), **axes) for image in turned]), self._y[rows]

    def on_epoch_end(self) -> None:
        np.random.shuffle(self._order)


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
    np.random.seed(options.seed)  # on_epoch_end draws from it
    history = model.fit(
        TurnedDigits(x, y, options.batch_size),
        epochs=options.epochs,
        workers=options.workers,
        use_multiprocessing=options.workers > 0,
        verbose=2 if strategy.rank == 0 else 0,
    )
    loss, accuracy = model.evaluate(*test, verbose=0)
    if strategy.rank == 0:
        print(f"the last epoch waited for data {history.report[-1].data_share:.0%} of its time")
        print(f"test loss {loss:.3f}, accuracy {accuracy:.3f}", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32, help="samples per step over all ranks (default: 32)")
    parser.add_argument("--workers", type=int, default=2, help="processes that read, on each node (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and turns (default: 0)")
    return parser.parse_args()


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
