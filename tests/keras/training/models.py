"""A linear model and its data in several forms, for tests of the training loop."""

from __future__ import annotations

import numpy as np

import distkeras as tf

X = np.arange(20.0, dtype="float32").reshape(10, 2) / 10
Y = X.sum(1)


def linear(optimizer="sgd", loss="mse", metrics=(), **options):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="zeros")])
    model.compile(optimizer, loss, metrics=list(metrics), **options)
    return model


class Batches(tf.keras.utils.Sequence):
    def __init__(self, sizes=(4, 4, 2)):
        self.bounds = np.cumsum([0, *sizes])

    def __len__(self):
        return len(self.bounds) - 1

    def __getitem__(self, index):
        rows = slice(self.bounds[index], self.bounds[index + 1])
        return X[rows], Y[rows]


def endless():
    while True:
        yield from Batches()


class Recorder(tf.keras.callbacks.Callback):
    """Every hook that was called, with its number and a copy of its logs."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.calls = []
        self.stop_at = stop_at

    def __getattribute__(self, name):
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        def hook(*args):
            self.calls.append((name, *args[:-1], dict(args[-1])))
            if (name, *args[:-1]) == self.stop_at:
                self.model.stop_training = True

        return hook

    @property
    def names(self):
        return [name for name, *_ in self.calls]

    def logs_of(self, name):
        return [call[-1] for call in self.calls if call[0] == name]


class Sized:
    """An iterable of batches that is neither an iterator nor a Sequence."""

    def __iter__(self):
        return iter(Batches())
