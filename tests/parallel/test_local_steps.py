"""Local SGD against what NumPy makes of it, rank by rank; and what is refused."""

import numpy as np
import pytest

import distkeras as tf
from distkeras.distribute.micro_shards import bounds
from distkeras.keras.mixed_precision.experimental import LossScaleOptimizer

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((43, 6)).astype("float32"), RNG.standard_normal((43, 2)).astype("float32")
WORDS = RNG.integers(0, 12, (43, 5)).astype("float32")
RATE, MOMENTUM, BATCH = 0.05, 0.9, 10


def train(strategy, eager=False, epochs=2, momentum=MOMENTUM, **fit_with):
    tf.keras.backend.clear_session()
    tf.random.set_seed(3)
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(6,))])
        model.compile(tf.keras.optimizers.SGD(RATE, momentum=momentum), "mse", run_eagerly=eager)
    start = model.get_weights()
    model.fit(X, Y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0, **fit_with)
    return start, model.get_weights(), model


def simulated(start, size, local_steps, epochs=2):
    """Weights of all ranks, which take their steps one after the other here."""
    ranks = [[np.float64(np.vstack(start)), np.zeros((7, 2))] for _ in range(size)]
    inputs, step = np.hstack([X, np.ones((43, 1))]), 0

    def average():
        mean = [np.mean(parts, axis=0) for parts in zip(*ranks, strict=True)]
        for state in ranks:
            state[:] = [part.copy() for part in mean]

    for _ in range(epochs):
        for first in range(0, 43, BATCH):
            rows = np.arange(first, min(first + BATCH, 43))
            for rank, state in enumerate(ranks):
                own = rows[slice(*bounds(rows.size, rank, size))]
                error = inputs[own] @ state[0] - Y[own]
                gradient = size * inputs[own].T @ error / rows.size  # of the mean over rows and both outputs
                state[1] = MOMENTUM * state[1] - RATE * gradient
                state[0] = state[0] + state[1]
            step += 1
            if step % local_steps == 0:
                average()
        average()
    return ranks[0][0]


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("local_steps", [2, 3, 100])
def test_weights_are_those_of_ranks_that_are_simulated(local_steps, eager, communicator):
    start, weights, _ = train(tf.distribute.MirroredStrategy(local_steps=local_steps), eager)
    start = [start[0], start[1][None]]
    expected = simulated(start, communicator.size, local_steps)
    np.testing.assert_allclose(np.vstack([weights[0], weights[1][None]]), expected, rtol=1e-4, atol=1e-5)
    if communicator.size > 1:
        together = simulated(start, 1, 1)
        assert np.abs(expected - together).max() > 1e-3


def test_ranks_hold_the_same_after_an_epoch(communicator):
    seen = []
    look = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(model.get_weights()[0]))
    with tf.distribute.MirroredStrategy(local_steps=4).scope():
        inputs = tf.keras.Input((5,))
        x = tf.keras.layers.GlobalAveragePooling1D()(tf.keras.layers.Embedding(12, 6)(inputs))
        model = tf.keras.Model(inputs, tf.keras.layers.Dense(2)(x))
        model.compile("adam", "mse")
    model.fit(WORDS, Y, batch_size=BATCH, epochs=2, verbose=0, callbacks=[look])
    state = [*model.get_weights(), *model.optimizer.get_weights()[1:], *seen]
    flat = np.concatenate([np.ravel(part) for part in state])
    assert all(np.array_equal(flat, other) for other in communicator.allgather(flat))


@pytest.mark.mpi(min_size=2)
def test_nothing_but_metrics_travels_between_averages(sums):
    train(tf.distribute.MirroredStrategy(local_steps=3), epochs=1, momentum=0.0)
    assert "gradients" not in sums
    assert sums.count("weights of local steps") == 2  # after 3 of 5 steps, and at the end


def test_a_loop_of_ones_own_averages_when_it_says_so(communicator):
    strategy = tf.distribute.MirroredStrategy(local_steps=100)
    with strategy.scope():
        variable, optimizer = tf.Variable([1.0, 2.0]), tf.keras.optimizers.SGD(1.0)
    size = communicator.size

    def step():
        gradient = tf.constant([float(communicator.rank), 0.0]) / size
        optimizer.apply_gradients([(gradient, variable)])

    strategy.run(step)
    expected = 1.0 - communicator.rank if size > 1 else 1.0
    np.testing.assert_allclose(variable.numpy(), [expected, 2.0])
    optimizer.finalize_variable_values()
    np.testing.assert_allclose(variable.numpy(), [1.0 - (size - 1) / 2, 2.0], rtol=1e-6)


def test_a_backup_in_the_middle_averages_first(tmp_path, communicator):
    folder = communicator.broadcast_object(str(tmp_path))
    backup = tf.keras.callbacks.BackupAndRestore(folder, save_freq=2)
    strategy = tf.distribute.MirroredStrategy(local_steps=3)
    _, weights, _ = train(strategy, epochs=1, callbacks=[backup])  # ranks that differ would be an error
    flat = np.concatenate([weight.ravel() for weight in weights])
    assert all(np.array_equal(flat, other) for other in communicator.allgather(flat))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"local_steps": 0}, "local_steps must be a whole number of 1 or more, received 0"),
        ({"local_steps": 2.5}, "received 2.5"),
        ({"local_steps": True}, "received True"),
        ({"local_steps": 2, "compression": "float16"}, "does not go with compression='float16', for no gradients"),
        ({"local_steps": 2, "deterministic": True}, "does not go with deterministic=True"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tf.distribute.MirroredStrategy(**options)


@pytest.mark.mpi(min_size=2)
def test_optimizers_by_variable_are_refused():
    class Own(tf.keras.optimizers.Optimizer):
        def _resource_apply_dense(self, grad, var, apply_state=None):
            return var.assign_sub(grad)

    strategy = tf.distribute.MirroredStrategy(local_steps=2)
    with strategy.scope():
        variable, optimizer = tf.Variable([1.0]), Own("own")
    with pytest.raises(ValueError, match="local_steps=2 needs an optimizer that defines `update`; Own updates"):
        strategy.run(lambda: optimizer.apply_gradients([(tf.constant([1.0]), variable)]))


@pytest.mark.mpi(min_size=2)
def test_loss_scales_are_refused():
    with tf.distribute.MirroredStrategy(local_steps=2).scope():
        optimizer, variable = LossScaleOptimizer(tf.keras.optimizers.SGD(0.5), 8), tf.Variable([1.0])
        with pytest.raises(ValueError, match="local_steps=2 does not go with a LossScaleOptimizer"):
            optimizer.apply_gradients([(tf.constant([1.0]), variable)])
    assert variable.numpy() == 1.0
