"""What the examples of data have in common: scikit-learn's digits of 8 x 8 pixels, and a small network for them."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import distkeras as tf

Pair = tuple[np.ndarray, np.ndarray]


def parser_of(description: str) -> argparse.ArgumentParser:
    """The arguments that all of them take."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32, help="samples per step over all ranks (default: 32)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation (default: 0)")
    return parser


def load() -> Any:
    """The digits: `images` of shape (1797, 8, 8), from 0 to 16, and `target`."""
    try:
        from sklearn import datasets
    except ImportError:
        raise SystemExit("There is no data to train on: pip install scikit-learn brings some.") from None
    return datasets.load_digits()


def split() -> tuple[Pair, Pair]:
    """Four fifths of the digits to train on, the others to test: images of shape (8, 8, 1) from 0 to 1, and labels."""
    digits = load()
    x, y = (digits.images[..., None] / 16.0).astype("float32"), digits.target
    is_test = np.arange(len(x)) % 5 == 0
    return (x[~is_test], y[~is_test]), (x[is_test], y[is_test])


def network() -> tf.keras.Model:
    """A small convolutional network, compiled."""
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Conv2D(16, 3, activation="relu", input_shape=(8, 8, 1)),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(tf.keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def print_scores(model: tf.keras.Model, strategy: tf.distribute.Strategy, *test: Any) -> None:
    """Evaluate on all ranks; one prints."""
    loss, accuracy = model.evaluate(*test, verbose=0)
    if strategy.rank == 0:
        print(f"test loss {loss:.3f}, accuracy {accuracy:.3f}", flush=True)
