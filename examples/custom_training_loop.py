"""Train with a loop of one's own: GradientTape, metrics and tf.function, alone or on several ranks.

    python examples/custom_training_loop.py                        one process
    distkeras run -n 2 examples/custom_training_loop.py            two ranks; --batch-size stays the global batch

The data are the handwritten digits that come with scikit-learn. However many ranks there are, the weights are those
that one process trains: each rank divides its losses by the global batch size, and gradients are summed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from sklearn.datasets import load_digits

import distkeras as tf


def main() -> None:
    options = parse_arguments()
    tf.random.set_seed(options.seed)
    x_train, y_train, x_test, y_test = load_data()
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        trainer = Trainer(strategy, options.batch_size)

    for epoch in range(options.epochs):
        order = np.random.default_rng([options.seed, epoch]).permutation(len(x_train))  # the same on all ranks
        loss, accuracy = trainer.train_epoch(x_train[order], y_train[order])
        if strategy.rank == 0:
            print(f"epoch {epoch + 1}: loss {loss:.4f}, accuracy {accuracy:.4f}", flush=True)
    accuracy = trainer.evaluate(x_test, y_test)
    if strategy.rank == 0:
        print(f"test accuracy {accuracy:.4f}", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=64, help="samples per step over all ranks (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (default: 0)")
    return parser.parse_args()


def load_data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """1,797 images of 8 x 8 pixels in [0, 1], the last 297 of them for testing, and their digits."""
    digits = load_digits()
    x, y = (digits.images[..., np.newaxis] / 16).astype("float32"), digits.target
    return x[:1500], y[:1500], x[1500:], y[1500:]


class Trainer:
    """A network, how it is trained, and what is measured meanwhile."""

    def __init__(self, strategy: tf.distribute.Strategy, batch_size: int) -> None:
        self.strategy = strategy
        self.batch_size = batch_size
        self.model = tf.keras.Sequential(
            [
                tf.keras.layers.Conv2D(16, 3, activation="relu", input_shape=(8, 8, 1)),
                tf.keras.layers.Flatten(),
                tf.keras.layers.Dense(64, activation="relu"),
                tf.keras.layers.Dense(10),
            ]
        )
        self.optimizer = tf.keras.optimizers.Adam(0.003)
        # The loss of each sample: the mean is taken over the global batch, which a rank sees a part of.
        self.loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
        self.accuracy = tf.keras.metrics.SparseCategoricalAccuracy()

    def train_epoch(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """One pass over the data; the mean loss and the accuracy meanwhile."""
        self.accuracy.reset_states()
        losses = [float(self.train_step(*batch)) for batch in self.batches(x, y)]
        return float(np.mean(losses)), float(self.accuracy.result())

    def batches(self, x: np.ndarray, y: np.ndarray) -> Iterator:
        """This rank's part of each global batch."""
        starts = range(0, len(x), self.batch_size)
        whole = [(x[start : start + self.batch_size], y[start : start + self.batch_size]) for start in starts]
        return iter(self.strategy.experimental_distribute_dataset(whole))

    @tf.function
    def train_step(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """One step on all ranks; the loss of the global batch."""
        loss = self.strategy.experimental_run_v2(self.replica_step, args=(images, labels))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)

    def replica_step(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """One step on this rank's samples; its part of the loss."""
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True)
            loss = tf.nn.compute_average_loss(self.loss_of(labels, logits))
        gradients = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
        self.accuracy.update_state(labels, logits)
        return loss

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> float:
        """The accuracy on all ranks' samples."""
        self.accuracy.reset_states()
        for images, labels in self.batches(x, y):
            self.accuracy.update_state(labels, self.predict(images))
        return float(self.accuracy.result())

    @tf.function
    def predict(self, images: tf.Tensor) -> tf.Tensor:
        return self.model(images, training=False)


if __name__ == "__main__":
    main()
