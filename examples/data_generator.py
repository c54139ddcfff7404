"""Train on what a Python generator yields: digits, each shifted at random, for as long as they are asked for.

    python examples/data_generator.py                    one process
    distkeras run -n 2 examples/data_generator.py        two ranks: rank 0 reads, each takes its rows of every batch

Data, network and arguments are in digits.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import digits
import numpy as np

import distkeras as tf


def main() -> None:
    options = digits.parser_of(__doc__).parse_args()
    tf.random.set_seed(options.seed)
    strategy = tf.distribute.MirroredStrategy()
    (x, y), test = digits.split()
    with strategy.scope():
        model = digits.network()
    model.fit(
        shifted_digits(x, y, options.batch_size, options.seed),
        steps_per_epoch=len(x) // options.batch_size,  # the generator has no end of its own
        epochs=options.epochs,
        verbose=2 if strategy.rank == 0 else 0,
    )
    digits.print_scores(model, strategy, *test)


def shifted_digits(x: np.ndarray, y: np.ndarray, batch_size: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of digits that are moved by up to one pixel, without end."""
    random = np.random.default_rng(seed)
    while True:
        rows = random.integers(0, len(x), batch_size)
        moves = random.integers(-1, 2, (batch_size, 2))
        yield np.stack([np.roll(image, move, (0, 1)) for image, move in zip(x[rows], moves, strict=True)]), y[rows]


if __name__ == "__main__":
    main()
