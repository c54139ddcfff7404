"""Optimizers written in tensor operations do what built-in ones do, step by step and compiled."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from tests.keras.optimizers.cases import gradients, start
from tests.keras.optimizers.own import DecayingAdam, OwnAdam

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
SCHEDULE = tf.keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)


def fitted(optimizer, run_eagerly=False):
    tf.random.set_seed(1)
    hidden = tf.keras.layers.Dense(8, activation="relu", input_shape=(4,))
    model = tf.keras.Sequential([hidden, tf.keras.layers.Dense(3, kernel_constraint="max_norm")])
    model.compile(optimizer, "mse", run_eagerly=run_eagerly)
    model.fit(X, X[:, :3], epochs=2, batch_size=8, verbose=0, shuffle=False)
    return model


@pytest.mark.parametrize("run_eagerly", [True, False])
@pytest.mark.parametrize("options", [{}, {"clipnorm": 0.1}, {"decay": 0.1, "lr": 0.05}, {"learning_rate": SCHEDULE}])
def test_an_optimizer_in_tensor_operations_is_the_kernels(options, run_eagerly):
    expected = fitted(tf.keras.optimizers.Adam(**options)).get_weights()
    model = fitted(OwnAdam(**options), run_eagerly)
    for one, other in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert int(model.optimizer.iterations) == 6
    first, second = (weight.name.split(":")[0] for weight in model.weights[:2])
    names = [weight.name for weight in model.optimizer.weights]
    assert names[:3] == ["OwnAdam/iter:0", f"OwnAdam/{first}/m:0", f"OwnAdam/{second}/m:0"] and len(names) == 9
    assert model.optimizer.get_slot_names() == ["m", "v"]


@pytest.mark.parametrize("run_eagerly", [True, False])
def test_a_subclass_may_call_the_kernel(run_eagerly):
    optimizer = DecayingAdam(0.1)
    variables = [tf.Variable(value, name=name) for name, value in start().items()]
    expected = [tf.Variable(value, name=name) for name, value in start().items()]
    plain = tf.keras.optimizers.AdamW(0.1, weight_decay=0.1)

    def step(*grads):
        optimizer.apply_gradients(zip(grads, variables, strict=True))

    take = step if run_eagerly else tf.function(step)
    for count in range(3):
        take(*map(tf.constant, gradients(count)))
        plain.apply_gradients(zip(map(tf.constant, gradients(count)), expected, strict=True))
    for one, other in zip(variables, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6, atol=1e-7)
    assert int(optimizer.iterations) == 3


def test_hyper_parameters_are_attributes_that_a_compiled_step_reads():
    optimizer, x = OwnAdam(1.0, beta_1=0.0, beta_2=0.0), tf.Variable(0.0)

    @tf.function
    def step(gradient):
        optimizer.apply_gradients([(gradient, x)])

    step(tf.constant(1.0))
    assert float(x) == pytest.approx(-1.0)
    optimizer.lr = 0.5
    step(tf.constant(1.0))
    assert float(x) == pytest.approx(-1.5)
    optimizer.beta_1 = 0.5
    tf.keras.backend.set_value(optimizer.learning_rate, 0.0)
    assert float(optimizer.beta_1) == 0.5 and optimizer.get_config()["beta_1"] == 0.5
    step(tf.constant(1.0))
    assert float(x) == pytest.approx(-1.5)


def test_state_and_config_are_kept():
    model = fitted(OwnAdam(0.05))
    again = fitted(OwnAdam.from_config(model.optimizer.get_config()))
    again.optimizer.set_weights(model.optimizer.get_weights())
    again.set_weights(model.get_weights())
    for one in (model, again):
        one.fit(X, X[:, :3], verbose=0, shuffle=False)
    for left, right in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_slots_and_weights():
    optimizer, x = OwnAdam(), tf.Variable([1.0, 2.0], name="x")
    slot = optimizer.add_slot(x, "old", initializer=x.value())
    assert optimizer.add_slot(x, "old") is slot is optimizer.get_slot(x, "old")
    assert slot.numpy().tolist() == [1.0, 2.0] and slot.name == "OwnAdam/x/old:0" and not slot.trainable
    ones = optimizer.add_slot(x, "ones", "ones")
    weight = optimizer.add_weight("count", (), dtype="int64")
    assert optimizer.variables() == [slot, ones, weight] and weight.name == "OwnAdam/count:0"
    with pytest.raises(ValueError, match="expected a first value of shape"):
        optimizer.add_slot(x, "bad", initializer=np.zeros(3))
    with pytest.raises(ValueError, match="is not trainable itself"):
        optimizer.add_weight("count", (), trainable=True)
    with pytest.raises(KeyError, match="keeps no slot 'bad'"):
        optimizer.get_slot(x, "bad")


def test_updates_by_gradients_of_ones_own():
    class Known(OwnAdam):
        def get_gradients(self, loss, params):
            return [tf.ones_like(param) for param in params]

    x = tf.Variable(0.0)
    Known(0.5).get_updates(None, [x])
    assert float(x) == pytest.approx(-0.5, rel=1e-5)
    with pytest.raises(RuntimeError, match="GradientTape"):
        OwnAdam().get_updates(None, [x])
