"""Ranks agree on which steps are left out, though only one of them has seen what is not finite."""

import numpy as np
import pytest

import distkeras as tf

RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, 5)).astype("float32")
Y = RNG.integers(0, 3, 24)
layers = tf.keras.layers
OPTIONS = {"plain": {}, "sharded": {"shard_optimizer_state": True}, "compressed": {"compression": "float16"}}


def train(strategy, x, eagerly):
    tf.keras.backend.clear_session()
    tf.random.set_seed(3)
    policy = tf.keras.mixed_precision.experimental.Policy("mixed_float16")
    with strategy.scope():
        model = tf.keras.Sequential(
            [
                layers.Dense(32, "tanh", input_shape=(5,), dtype=policy),
                layers.Dense(3, dtype=policy),
                layers.Activation("softmax", dtype="float32"),
            ]
        )
        optimizer = tf.keras.mixed_precision.experimental.LossScaleOptimizer(tf.keras.optimizers.Adam(0.05), "dynamic")
        model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=eagerly)
    losses = model.fit(x, Y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
    return losses, (float(optimizer.loss_scale()), int(optimizer.iterations)), model.get_weights()


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("options", OPTIONS)
def test_a_step_that_overflows_on_one_rank_is_left_out_on_all(communicator, options, eagerly):
    x = X.copy()
    x[23] = np.nan  # the last row of each epoch's last batch: the last rank's
    losses, scale, weights = train(tf.distribute.MirroredStrategy(**OPTIONS[options]), x, eagerly)
    assert scale == (2.0**15 / 4, 4)
    _, alone_scale, alone = train(tf.distribute.OneDeviceStrategy("/cpu:0"), x, eagerly)
    assert scale == alone_scale
    assert np.isnan(losses).all()
    for mine, theirs in zip(weights, alone, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-3)
    everyone = communicator.allgather_object([weight.tobytes() for weight in weights])
    assert all(theirs == everyone[0] for theirs in everyone)
