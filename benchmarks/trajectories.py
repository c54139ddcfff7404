"""How far trainings part that differ in rounding alone: several ranks from one, and one process from itself.

    OMP_NUM_THREADS=1 distkeras run -n 2 -m benchmarks.trajectories

The network of examples/fashion_mnist.py is trained four times from the same weights on the same batches: by this
process alone; alone again, with one weight moved to the next number that float32 can hold; by all ranks; and by all
ranks with `deterministic=True`, against one process of that mode. Printed are the largest differences of losses.
"""

from __future__ import annotations

import argparse

import numpy as np

import distkeras as tf
from examples.fashion_mnist import build_model, load_data

Losses = tuple[np.ndarray, np.ndarray]


class BatchLosses(tf.keras.callbacks.Callback):
    """Keeps the running loss after each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.losses.append(logs["loss"])


def train(strategy: tf.distribute.Strategy, data: tuple, epochs: int, moved: bool = False) -> Losses:
    """Losses after each batch and each epoch: `loss` and `val_loss`."""
    x, y, x_test, y_test = data
    tf.keras.backend.clear_session()
    tf.random.set_seed(1)
    with strategy.scope():
        model = build_model(x.shape[1:], filters=32)
        model.compile("adam", "sparse_categorical_crossentropy")
    if moved:
        weights = model.get_weights()
        weights[0].flat[0] = np.nextafter(weights[0].flat[0], np.float32(1))
        model.set_weights(weights)
    noted = BatchLosses()
    history = model.fit(
        x, y, batch_size=128, epochs=epochs, verbose=0, validation_data=(x_test, y_test), callbacks=[noted]
    ).history
    return np.array(noted.losses), np.array([history["loss"], history["val_loss"]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=12800)
    parser.add_argument("--epochs", type=int, default=1)
    options = parser.parse_args()
    everyone, alone = tf.distribute.MirroredStrategy(), tf.distribute.OneDeviceStrategy()
    loaded = load_data(everyone, None)
    count = options.samples
    data = (loaded.x_train[:count], loaded.y_train[:count], loaded.x_test[:2000], loaded.y_test[:2000])
    first = train(alone, data, options.epochs)
    pairs = {
        "one process, one weight moved by one ulp": (first, train(alone, data, options.epochs, moved=True)),
        f"{everyone.communicator.size} ranks": (first, train(everyone, data, options.epochs)),
        "the same, deterministic=True": tuple(
            train(kind(deterministic=True), data, options.epochs)
            for kind in (tf.distribute.OneDeviceStrategy, tf.distribute.MirroredStrategy)
        ),
    }
    for name, ((batches, epochs), (others, other_epochs)) in pairs.items():
        steps, (loss, val_loss) = np.abs(batches - others), np.abs(epochs - other_epochs).max(axis=1)
        if everyone.rank == 0:
            print(
                f"{name}: {steps[:20].max():.1e} in the first 20 steps, {steps.max():.1e} in all; "
                f"at ends of epochs loss {loss:.1e}, val_loss {val_loss:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
