"""Models of ragged inputs, written alike for both libraries; `record_ragged.py` writes what they predict."""

from __future__ import annotations

from typing import Any

import numpy as np

ROWS = [[1, 2, 3], [4], [5, 6], [7, 8, 9, 1], [2]]
VALUES = np.random.default_rng(3).standard_normal((11, 3)).astype("float32")


def data(tf: Any) -> tuple[Any, Any]:
    """Rows of numbers, and as many rows of vectors."""
    numbers = tf.ragged.constant(ROWS, dtype="int32")
    return numbers, numbers.with_values(VALUES)


def models(tf: Any) -> dict[str, Any]:
    """Models by name; those that take vectors after the first input have two."""
    layers = tf.keras.layers
    numbers = tf.keras.Input((None,), ragged=True, dtype="int32")
    vectors = tf.keras.Input((None, 3), ragged=True)
    embedded = layers.Embedding(10, 4)(numbers)
    sequences = {
        "lstm": layers.LSTM(3, return_sequences=True),
        "gru_backwards": layers.GRU(3, return_sequences=True, go_backwards=True),
        "simple_rnn": layers.SimpleRNN(3, return_sequences=True),
        "cells": layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)], return_sequences=True),
        "each_step": layers.TimeDistributed(layers.Dense(2)),
    }
    last = {
        "lstm_last": layers.LSTM(3),
        "gru_last": layers.GRU(3, go_backwards=True),
        "bidirectional": layers.Bidirectional(layers.LSTM(3)),
    }
    joined = layers.Concatenate()([embedded, vectors])
    made = {name: tf.keras.Model(numbers, layer(embedded)) for name, layer in (sequences | last).items()}
    to_tensor = layers.Lambda(lambda rows: rows.to_tensor())
    made["dense"] = tf.keras.Model(numbers, layers.Dense(2)(to_tensor(embedded)))
    made["summed"] = tf.keras.Model([numbers, vectors], layers.Lambda(lambda rows: tf.reduce_sum(rows, 1))(joined))
    return made


def set_weights(model: Any) -> None:
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(5)
    model.set_weights([rng.uniform(-1, 1, weight.shape) for weight in model.get_weights()])


def predictions(tf: Any) -> dict[str, Any]:
    """What the models predict, as lists."""
    found = {}
    for name, model in models(tf).items():
        set_weights(model)
        output = model.predict(list(data(tf)) if name == "summed" else data(tf)[0], batch_size=5)
        found[name] = output.to_list() if hasattr(output, "to_list") else np.asarray(output).tolist()
    return found
