"""Recurrent layers that keep their states from batch to batch: each rank keeps the rows of its slice."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras.data.sharding import shard_bounds

layers = tf.keras.layers
BATCH = 7  # of which ranks take unequal slices
X = np.random.default_rng(0).standard_normal((3 * BATCH, 4, 2)).astype("float32")


def model_on(strategy, eager):
    tf.keras.backend.clear_session()
    tf.random.set_seed(2)
    with strategy.scope():
        model = tf.keras.Sequential(
            [
                layers.InputLayer(batch_input_shape=(BATCH, 4, 2)),
                layers.LSTM(3, stateful=True, return_sequences=True, name="lstm"),
                layers.GRU(2, stateful=True, unroll=True, name="gru"),
            ]
        )
        model.compile("sgd", "mse", run_eagerly=eager)
    return model


@pytest.mark.parametrize("eager", [False, True])
def test_n_ranks_keep_what_one_keeps(eager):
    everyone, alone = tf.distribute.MirroredStrategy(), tf.distribute.OneDeviceStrategy()
    together, single = model_on(everyone, eager), model_on(alone, eager)
    start = np.random.default_rng(1).standard_normal((BATCH, 3)).astype("float32")
    histories = []
    for model in (together, single):
        model.get_layer("lstm").reset_states([start, start])  # the whole batch's, on every rank
        history = model.fit(X, X[:, 0], batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
        histories.append(history.history["loss"])
    np.testing.assert_allclose(*histories, rtol=2e-5)
    begin, end = shard_bounds(BATCH, everyone.rank, everyone.num_replicas_in_sync)
    for name in ("lstm", "gru"):
        for mine, whole in zip(together.get_layer(name).states, single.get_layer(name).states, strict=True):
            np.testing.assert_allclose(mine.numpy()[begin:end], whole.numpy()[begin:end], rtol=2e-4, atol=1e-6)
    predictions = [model.predict(X, batch_size=BATCH) for model in (together, single)]
    np.testing.assert_allclose(*predictions, rtol=2e-4, atol=1e-6)
    for model in (together, single):
        model.reset_states()
        assert not any(state.numpy().any() for state in model.get_layer("lstm").states)


def test_another_batch_size_is_refused():
    model = model_on(tf.distribute.MirroredStrategy(), eager=False)
    with pytest.raises(ValueError, match=f"batch size.*{BATCH}|batches of {BATCH}"):
        model.predict(X, batch_size=2 * BATCH)
    with pytest.raises(ValueError, match="must have the same size"):
        model.get_layer("lstm")(X[:2])
