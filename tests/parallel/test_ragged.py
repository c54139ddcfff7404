"""Ragged batches on N ranks are those of one process; the file passes at any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

RNG = np.random.default_rng(1)
COUNTS = np.array([3, 0, 2, 5, 1, 1, 4, 2, 0, 3, 2])
ROWS = tf.RaggedTensor.from_row_lengths(RNG.integers(0, 9, COUNTS.sum()), COUNTS)
VALUES = RNG.standard_normal((len(COUNTS), 1)).astype("float32")


def run(strategy, data):
    """Losses of training in batches of which some ranks get no row, and predictions with and without rows."""
    layers = tf.keras.layers
    tf.keras.backend.clear_session()
    tf.random.set_seed(2)
    with strategy.scope():
        inputs = tf.keras.Input((None,), ragged=True, dtype="int64")
        steps = layers.LSTM(3, return_sequences=True)(layers.Embedding(9, 4)(inputs))
        model = tf.keras.Model(inputs, layers.Dense(1)(layers.GRU(2)(steps)))
        model.compile("adam", "mse", run_eagerly=True)
        inner = tf.keras.Model(inputs, steps)
    inner.run_eagerly = True
    losses = model.fit(*data, epochs=2, verbose=0).history["loss"]
    return losses, model.predict(ROWS, batch_size=4), inner.predict(ROWS, batch_size=4)


@pytest.mark.parametrize("form", ["arrays", "dataset"])
def test_n_ranks_equal_one(form):
    dataset = tf.data.Dataset.from_tensor_slices((ROWS, VALUES)).batch(2)
    found = [
        run(strategy, (dataset,) if form == "dataset" else (ROWS, VALUES, 2))
        for strategy in (tf.distribute.MirroredStrategy(), tf.distribute.OneDeviceStrategy())
    ]
    (losses, outputs, rows), (losses_alone, outputs_alone, rows_alone) = found
    np.testing.assert_allclose(losses, losses_alone, rtol=2e-5)
    np.testing.assert_allclose(outputs, outputs_alone, rtol=2e-4, atol=2e-5)
    assert np.array_equal(rows.row_splits, rows_alone.row_splits) and rows.shape[0] == len(COUNTS)
    np.testing.assert_allclose(rows.values, rows_alone.values, rtol=2e-4, atol=2e-5)
