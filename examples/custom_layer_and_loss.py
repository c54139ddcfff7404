"""A layer, a loss and a metric of one's own: trained, saved, and loaded again with custom_objects.

    python examples/custom_layer_and_loss.py                    one process
    distkeras run -n 2 examples/custom_layer_and_loss.py        two ranks, and the same numbers

The data are real: how far diabetes had progressed in 442 patients a year after ten measurements were taken, which come
with scikit-learn. The model predicts the 0.8 quantile: what four patients of five stay below.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import distkeras as tf


class RadialBasis(tf.keras.layers.Layer):
    """exp(-|x - center|^2 / (2 width^2)) for each of `units` learned centers.

    What is added to the loss is a mean over the batch, so that ranks with parts of a batch add up to the whole.
    """

    def __init__(self, units: int, width: float = 3.0, sparsity: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.width = width
        self.sparsity = sparsity

    def build(self, input_shape: Any) -> None:
        self.centers = self.add_weight("centers", shape=(self.units, input_shape[-1]), initializer="random_normal")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        distances = tf.reduce_sum(tf.square(inputs[:, tf.newaxis, :] - self.centers), axis=-1)
        outputs = tf.exp(distances * (-0.5 / self.width**2))
        self.add_loss(self.sparsity * tf.reduce_mean(outputs))
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "width": self.width, "sparsity": self.sparsity}


class PinballLoss(tf.keras.losses.Loss):
    """What the quantile of a distribution minimizes: too low costs `quantile`, too high 1 - quantile, a unit."""

    def __init__(self, quantile: float = 0.5, name: str = "pinball_loss", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.quantile = quantile

    def call(self, y_true: Any, y_pred: Any) -> Any:
        error = tf.cast(y_true, y_pred.dtype) - y_pred
        return tf.reduce_mean(tf.maximum(self.quantile * error, (self.quantile - 1) * error), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "quantile": self.quantile}


class Coverage(tf.keras.metrics.Metric):
    """The fraction of targets that are not above what is predicted.

    Its state are sums, which ranks add up before `result` divides them.
    """

    def __init__(self, name: str = "coverage", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.below = self.add_weight("below", initializer="zeros")
        self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        below = tf.cast(tf.cast(y_true, y_pred.dtype) <= y_pred, tf.float32)
        weights = tf.ones_like(below) if sample_weight is None else tf.cast(sample_weight, tf.float32)
        self.below.assign_add(tf.reduce_sum(below * weights))
        self.count.assign_add(tf.reduce_sum(weights))

    def result(self) -> Any:
        return tf.math.divide_no_nan(self.below, self.count)


CUSTOM_OBJECTS = {"RadialBasis": RadialBasis, "PinballLoss": PinballLoss, "Coverage": Coverage}


def main() -> None:
    options = parse_arguments()
    tf.random.set_seed(options.seed)
    strategy = tf.distribute.MirroredStrategy()
    is_first = strategy.rank == 0
    (x_train, y_train), (x_test, y_test) = load_patients()
    with strategy.scope():
        model = build_model(x_train.shape[1:])
    model.fit(x_train, y_train, batch_size=32, epochs=options.epochs, verbose=2 if is_first else 0)
    loss, coverage = model.evaluate(x_test, y_test, verbose=0)
    if is_first:
        print(f"test loss {loss:.3f}; {coverage:.2f} of the patients stay below their prediction", flush=True)

    path = options.output / "custom.h5"
    if is_first:
        path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    with strategy.scope():
        loaded = tf.keras.models.load_model(path, custom_objects=CUSTOM_OBJECTS)
    if not np.allclose(loaded.evaluate(x_test, y_test, verbose=0), [loss, coverage], rtol=1e-5):
        raise RuntimeError("the loaded model gives another loss")
    if is_first:
        print(f"saved to {path}; loaded again it gives the same loss", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("custom_output"), help="folder for the model")
    return parser.parse_args()


def build_model(input_shape: tuple[int, ...]) -> tf.keras.Model:
    layers = tf.keras.layers
    inputs = tf.keras.Input(input_shape)
    hidden = RadialBasis(32, sparsity=0.01)(inputs)
    model = tf.keras.Model(inputs, layers.Dense(1)(layers.concatenate([inputs, hidden])))
    model.compile(tf.keras.optimizers.Adam(0.05), loss=PinballLoss(0.8), metrics=[Coverage()])
    return model


def load_patients() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Measurements of mean 0 and deviation 1, and the progression in tens; every fourth patient is for testing."""
    try:
        from sklearn.datasets import load_diabetes
    except ImportError:
        raise SystemExit("There is no data to train on: pip install scikit-learn brings some.") from None
    x, y = load_diabetes(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")
    y = y[:, np.newaxis].astype("float32") / 10
    is_test = np.arange(len(x)) % 4 == 0
    return (x[~is_test], y[~is_test]), (x[is_test], y[is_test])


if __name__ == "__main__":
    main()
