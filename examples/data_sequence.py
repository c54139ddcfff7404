"""Train on a Sequence whose batches are made by worker processes: digits, turned and enlarged at random.

    python examples/data_sequence.py                     one process, and two that read
    distkeras run -n 2 examples/data_sequence.py         two ranks, which share the two workers

A worker seeds NumPy's global generator before each batch, so that results depend neither on the number of workers nor
on that of ranks. Data, network and arguments are in digits.py.
"""

from __future__ import annotations

import digits
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
    parser = digits.parser_of(__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes that read, on each node (default: 2)")
    options = parser.parse_args()
    tf.random.set_seed(options.seed)
    strategy = tf.distribute.MirroredStrategy()
    (x, y), test = digits.split()
    with strategy.scope():
        model = digits.network()
    np.random.seed(options.seed)  # on_epoch_end draws from it
    history = model.fit(
        TurnedDigits(x, y, options.batch_size),
        epochs=options.epochs,
        workers=options.workers,
        use_multiprocessing=options.workers > 0,
        verbose=2 if strategy.rank == 0 else 0,
    )
    if strategy.rank == 0:
        print(f"the last epoch waited for data {history.report[-1].data_share:.0%} of its time")
    digits.print_scores(model, strategy, *test)


if __name__ == "__main__":
    main()
