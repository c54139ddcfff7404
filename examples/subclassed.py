"""Train a model that is a class of one's own on measurements of tumours, and save its weights.

    python examples/subclassed.py                     one process
    distkeras run -n 2 examples/subclassed.py         two ranks; --batch-size stays the global batch

The class makes its layers in `__init__` and says in `call` what is computed, which differs in training; `train_step`
adds to what is reported. The data are scikit-learn's: benign and malignant tumours of the breast.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import distkeras as tf


class Residual(tf.keras.layers.Layer):
    """x + dropout(relu(Wx + b)), with as many units as there are."""

    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.dropout = tf.keras.layers.Dropout(rate)

    def build(self, input_shape: Any) -> None:
        self.dense = tf.keras.layers.Dense(input_shape[-1], activation="relu")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        return inputs + self.dropout(self.dense(inputs), training=training)


class Classifier(tf.keras.Model):
    """The probability, from some measurements, that a tumour is benign."""

    def __init__(self, units: int = 16, blocks: int = 2, noise: float = 0.1) -> None:
        super().__init__()
        self.noise = noise
        self.first = tf.keras.layers.Dense(units)
        self.blocks = [Residual(0.2) for _ in range(blocks)]
        self.last = tf.keras.layers.Dense(1, activation="sigmoid")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if training:
            inputs = inputs + self.noise * tf.random.normal(tf.shape(inputs))
        x = self.first(inputs)
        for block in self.blocks:
            x = block(x, training=training)
        return self.last(x)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compiled_loss(y, y_pred, regularization_losses=self.losses)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.compiled_metrics.update_state(y, y_pred)
        reported = {metric.name: metric.result() for metric in self.metrics}
        return {**reported, "learning_rate": tf.convert_to_tensor(self.optimizer.learning_rate)}


def main() -> None:
    options = parse_arguments()
    tf.random.set_seed(options.seed)
    strategy = tf.distribute.MirroredStrategy()
    is_first = strategy.rank == 0
    (x_train, y_train), (x_test, y_test) = load_data()

    with strategy.scope():
        model = Classifier()
        model.compile("adam", "binary_crossentropy", metrics=["accuracy", tf.keras.metrics.AUC(name="auc")])
    stopping = tf.keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    model.fit(
        x_train,
        y_train,
        batch_size=options.batch_size,
        epochs=options.epochs,
        validation_split=0.2,
        callbacks=[stopping],
        verbose=2 if is_first else 0,
    )
    loss, accuracy, area = model.evaluate(x_test, y_test, verbose=0)
    if is_first:
        print(f"test loss {loss:.4f}, accuracy {accuracy:.4f}, area under the curve {area:.4f}", flush=True)

    path = options.output / "classifier.h5"
    if is_first:
        options.output.mkdir(parents=True, exist_ok=True)
    strategy.communicator.barrier()
    model.save_weights(path)
    with strategy.scope():
        again = Classifier()
    again.build(x_test.shape)
    again.load_weights(path)
    difference = float(np.abs(again.predict(x_test) - model.predict(x_test)).max())
    if is_first:
        print(f"weights saved to {path}; with them another model's predictions differ by {difference:.1e}", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=32, help="samples per step over all ranks (default: 32)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order, noise and dropout (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("subclassed_output"), help="folder for the weights")
    return parser.parse_args()


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Four fifths of the tumours to train on, the others to test."""
    try:
        from sklearn import datasets
    except ImportError:
        raise SystemExit("There is no data to train on: pip install scikit-learn brings some.") from None
    tumours = datasets.load_breast_cancer()
    x = ((tumours.data - tumours.data.mean(axis=0)) / tumours.data.std(axis=0)).astype("float32")
    is_test = np.arange(len(x)) % 5 == 0
    return (x[~is_test], tumours.target[~is_test]), (x[is_test], tumours.target[is_test])


if __name__ == "__main__":
    main()
