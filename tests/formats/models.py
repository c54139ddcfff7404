"""Models for the tests of files, small, trained for a step or two."""

from __future__ import annotations

import numpy as np

import distkeras as tf


def sequential(rate: float = 0.5) -> tf.keras.Model:
    layers = tf.keras.layers
    model = tf.keras.Sequential(name="sequential")
    model.add(layers.Conv2D(2, 3, activation="relu", use_bias=False, input_shape=(5, 5, 1), name="conv"))
    model.add(layers.BatchNormalization(name="bn"))
    model.add(layers.Flatten(name="flat"))
    model.add(layers.Dropout(rate, seed=11, name="drop"))
    model.add(layers.Dense(2, activation="softmax", kernel_regularizer="l2", name="out"))
    return model


def functional() -> tf.keras.Model:
    layers = tf.keras.layers
    a = layers.Input((4,), name="a")
    b = layers.Input((3,), name="b")
    inner = tf.keras.Sequential([layers.Dense(3, input_shape=(4,), name="id")], name="inner")
    shared = layers.Dense(3, activation="tanh", name="shared")
    joined = layers.Concatenate(name="join")([shared(inner(a)), shared(b)])
    return tf.keras.Model([a, b], layers.Dense(2, activation="softmax", name="out")(joined), name="functional")


def nested() -> tf.keras.Model:
    layers = tf.keras.layers
    x = layers.Input((4,), name="x")
    y = layers.Dense(3, name="first")(x)
    block = tf.keras.Model(x, [y, layers.BatchNormalization(name="bn")(y)], name="block")
    outer = layers.Input((4,), name="outer")
    one, two = block(outer)
    return tf.keras.Model(
        outer, layers.Dense(2, activation="softmax", name="out")(layers.add([one, two], name="sum")), name="nested"
    )


def recurrent() -> tf.keras.Model:
    layers = tf.keras.layers
    x = layers.Input((5, 3), name="x")
    y = layers.LSTM(3, return_sequences=True, name="lstm")(layers.Masking(name="mask")(x))
    y = layers.SimpleRNN(2, name="rnn")(layers.GRU(2, return_sequences=True, name="gru")(y))
    return tf.keras.Model(x, layers.Dense(2, activation="softmax", name="out")(y), name="recurrent")


MODELS = {"sequential": sequential, "functional": functional, "nested": nested, "recurrent": recurrent}


def data(model: tf.keras.Model) -> tuple[list[np.ndarray], np.ndarray]:
    """Inputs and one-hot targets that fit a model."""
    random = np.random.RandomState(3)
    x = [random.rand(8, *tensor.shape[1:]).astype("float32") for tensor in model.inputs]
    return x, np.eye(2, dtype="float32")[random.randint(0, 2, 8)]


def trained(
    make, optimizer="adam", loss="categorical_crossentropy", metrics=("accuracy",), steps: int = 2
) -> tf.keras.Model:
    model = make()
    model.compile(optimizer, loss, metrics=list(metrics))
    for _ in range(steps):
        model.train_on_batch(*data(model))
    return model
