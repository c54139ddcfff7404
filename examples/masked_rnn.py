"""Train a recurrent network on sequences of different lengths, padded with zeros that a mask leaves out.

    python examples/masked_rnn.py                           one process
    distkeras run -n 2 examples/masked_rnn.py               two ranks; --batch-size stays the global batch

The task is the adding problem (Hochreiter and Schmidhuber 1997): each step holds a number and a mark; two steps of a
sequence are marked, and the sum of their numbers is asked for. What was marked has to be remembered to the end.
"""

from __future__ import annotations

import argparse

import numpy as np

import distkeras as tf

SHORTEST, LONGEST = 5, 12


def main() -> None:
    options = parse_arguments()
    tf.random.set_seed(options.seed)
    strategy = tf.distribute.MirroredStrategy()
    is_first = strategy.rank == 0
    x_train, y_train = make_sequences(options.samples, LONGEST, seed=options.seed)
    x_test, y_test = make_sequences(256, LONGEST, seed=options.seed + 1)

    with strategy.scope():
        model = build_model()
        model.compile(tf.keras.optimizers.Adam(0.01), "mse")
    model.fit(x_train, y_train, options.batch_size, options.epochs, verbose=2 if is_first else 0)
    error = model.evaluate(x_test, y_test, batch_size=256, verbose=0)
    if is_first:
        print(f"mean squared error {error:.4f}; always the mean: {y_test.var():.4f}", flush=True)

    longer = np.pad(x_test, [(0, 0), (0, 5), (0, 0)])
    difference = float(np.abs(model.predict(longer) - model.predict(x_test)).max())
    if difference > 1e-5:
        raise RuntimeError(f"more padding changes the predictions by {difference}")
    if is_first:
        print("more padding changes nothing", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32, help="samples per step over all ranks (default: 32)")
    parser.add_argument("--samples", type=int, default=2048, help="sequences to train on (default: 2048)")
    parser.add_argument("--seed", type=int, default=0, help="of data, weights and order (default: 0)")
    return parser.parse_args()


def make_sequences(count: int, longest: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences [count, longest, 2] of numbers in (0, 1) and marks, zero after their ends, and the sums [count, 1]."""
    random = np.random.default_rng(seed)
    lengths = random.integers(SHORTEST, longest + 1, count)
    numbers = random.uniform(0.01, 1, (count, longest)).astype(np.float32)
    marks = np.zeros((count, longest), np.float32)
    for row, length in zip(marks, lengths, strict=True):
        row[random.choice(length, 2, replace=False)] = 1
    inside = np.arange(longest) < lengths[:, np.newaxis]
    x = np.stack([numbers, marks], axis=2) * inside[:, :, np.newaxis]
    return x.astype(np.float32), (numbers * marks).sum(axis=1, keepdims=True)


def build_model() -> tf.keras.Model:
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.Masking(mask_value=0.0, input_shape=(None, 2)),
            layers.Bidirectional(layers.GRU(16, return_sequences=True)),
            layers.LSTM(16),
            layers.Dense(1),
        ]
    )


if __name__ == "__main__":
    main()
