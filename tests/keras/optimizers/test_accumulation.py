"""`gradient_accumulation_steps`: what Keras 3 does with it, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.distribute.communicator import SerialCommunicator
from distkeras.distribute.strategies import Strategy

RECORDED = np.load(Path(__file__).parent / "data" / "accumulation.npz")
STEPS = {"gradient_accumulation_steps": 3}
optimizers = tf.keras.optimizers
MAKERS = {
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9, **STEPS),
    "adam": lambda: optimizers.Adam(0.01, **STEPS),
    "clipped": lambda: optimizers.SGD(0.1, clipnorm=0.5, **STEPS),
    "schedule": lambda: optimizers.SGD(
        optimizers.schedules.ExponentialDecay(0.1, decay_steps=1, decay_rate=0.5), **STEPS
    ),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", MAKERS)
def test_weights_and_iterations_are_those_of_keras_3(name, compiled):
    optimizer, variable = MAKERS[name](), tf.Variable(RECORDED["start"])

    def apply(gradient):
        optimizer.apply_gradients([(gradient, variable)])

    step = tf.function(apply) if compiled else apply
    for number, gradient in enumerate(RECORDED["gradients"]):
        step(tf.constant(gradient))
        np.testing.assert_allclose(variable.numpy(), RECORDED[name][number], rtol=1e-5, atol=1e-6)
        assert int(optimizer.iterations) == RECORDED[f"{name} iterations"][number]


def test_it_is_part_of_the_config():
    optimizer = optimizers.Adam(**STEPS)
    config = optimizers.serialize(optimizer)
    assert config["config"]["gradient_accumulation_steps"] == 3
    assert optimizers.deserialize(config).gradient_accumulation_steps == 3
    assert "gradient_accumulation_steps" not in optimizers.Adam().get_config()


@pytest.mark.parametrize("steps", [0, 1, -2, 2.0, "4", True])
def test_less_than_two_batches_are_refused(steps):
    with pytest.raises(ValueError, match="`gradient_accumulation_steps` must be an integer >= 2 or None"):
        optimizers.SGD(gradient_accumulation_steps=steps)


def test_other_variables_in_between_are_refused():
    optimizer, one, other = optimizers.SGD(**STEPS), tf.Variable([1.0]), tf.Variable([1.0])
    optimizer.apply_gradients([(tf.constant([1.0]), one)])
    with pytest.raises(ValueError, match="gradients of other variables .* than in the 1 calls since the last update"):
        optimizer.apply_gradients([(tf.constant([1.0]), other)])


def test_optimizers_by_variable_and_gradients_that_are_not_summed_are_refused():
    class Own(optimizers.Optimizer):
        def _resource_apply_dense(self, grad, var, apply_state=None):
            return var.assign_sub(grad)

    variable = tf.Variable([1.0])
    with pytest.raises(ValueError, match="needs an optimizer that defines `update`; Own updates variable by variable"):
        Own("own", **STEPS).apply_gradients([(tf.constant([1.0]), variable)])
    with pytest.raises(ValueError, match="experimental_aggregate_gradients=False"):
        optimizers.SGD(**STEPS).apply_gradients(
            [(tf.constant([1.0]), variable)], experimental_aggregate_gradients=False
        )
    assert variable.numpy() == 1.0


def test_elastic_ranks_are_refused():
    class Elastic(SerialCommunicator):
        is_elastic = True

    with Strategy(Elastic()).scope():
        optimizer, variable = optimizers.SGD(**STEPS), tf.Variable([1.0])
    with pytest.raises(ValueError, match="does not go with elastic ranks"):
        optimizer.apply_gradients([(tf.constant([1.0]), variable)])
    with pytest.raises(ValueError, match="local_steps=2 does not go with elastic ranks"):
        Strategy(Elastic(), local_steps=2)


def test_rows_are_added_up_too():
    summed, dense = (tf.Variable(np.ones((5, 2), np.float32)) for _ in range(2))
    by_rows, by_whole = optimizers.SGD(0.5, **STEPS), optimizers.SGD(0.5, **STEPS)
    random = np.random.default_rng(0)
    for count in (1, 3, 2):
        rows, values = random.integers(0, 5, count), random.normal(size=(count, 2)).astype(np.float32)
        whole = np.zeros((5, 2), np.float32)
        np.add.at(whole, rows, values)
        by_rows.apply_gradients([(tf.IndexedSlices(tf.constant(values), tf.constant(rows), (5, 2)), summed)])
        by_whole.apply_gradients([(tf.constant(whole), dense)])
    assert int(by_rows.iterations) == 1 and (dense.numpy() != 1).any()
    np.testing.assert_allclose(summed.numpy(), dense.numpy(), rtol=1e-6)


def test_what_is_left_at_the_end_of_an_epoch_goes_on_in_the_next():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    model.compile(optimizers.SGD(0.1, **STEPS), "mse")
    counts = []
    count = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: counts.append(int(model.optimizer.iterations)))
    model.fit(np.ones((20, 2)), np.ones((20, 1)), batch_size=5, epochs=3, callbacks=[count], verbose=0)
    assert counts == [1, 2, 4]  # of 4, 8 and 12 batches


def test_backups_wait_for_the_update(tmp_path):
    def train(epochs, stop_after=None):
        tf.keras.backend.clear_session()
        tf.random.set_seed(1)
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,)), tf.keras.layers.Dropout(0.5)])
        model.compile(optimizers.SGD(0.1, momentum=0.9, **STEPS), "mse")
        backup = tf.keras.callbacks.BackupAndRestore(str(folder), save_freq=2)
        seen = []

        class Stop(tf.keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                seen.append(batch)
                if len(seen) == stop_after:
                    raise KeyboardInterrupt

        try:
            model.fit(X, Y, batch_size=5, epochs=epochs, callbacks=[backup, Stop()], verbose=0)
        except KeyboardInterrupt:
            return len(seen), None
        return len(seen), model.get_weights()

    random = np.random.default_rng(0)
    X, Y = random.normal(size=(35, 2)).astype("float32"), random.normal(size=(35, 1)).astype("float32")
    folder = tmp_path / "undisturbed"
    _, expected = train(3)
    folder = tmp_path / "stopped"
    train(3, stop_after=9)
    steps, weights = train(3)
    assert steps == 15  # from the backup after 6 batches, an update
    for mine, theirs in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
