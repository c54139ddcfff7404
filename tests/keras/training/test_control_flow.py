"""Models that branch, loop and print on tensors are trained as one plan, and as they are step by step."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import distkeras as tf

RANDOM = np.random.default_rng(5)
X = RANDOM.standard_normal((24, 4)).astype("float32")
Y = (X.sum(1, keepdims=True) > 0).astype("float32")


class Branching(tf.keras.Model):
    """As many steps of a recurrence as the batch asks for, then one of two heads; a variable counts which."""

    def __init__(self):
        super().__init__()
        ones = tf.keras.initializers.Constant(0.3)
        self.step = tf.keras.layers.Dense(4, "tanh", kernel_initializer=ones)
        self.heads = [tf.keras.layers.Dense(1, kernel_initializer=ones) for _ in range(2)]
        self.count = tf.Variable(0, trainable=False)

    def build(self, input_shape):
        for layer in (self.step, *self.heads):
            layer.build(input_shape)
        super().build(input_shape)

    def call(self, x):
        rounds = tf.cast(tf.reduce_sum(tf.abs(x)), "int32") % 4
        _, h = tf.while_loop(lambda i, h: i < rounds, lambda i, h: (i + 1, self.step(h) + x), (0, x))

        def first():
            self.count.assign_add(1)
            return self.heads[0](h)

        return tf.cond(x[0, 0] > 0.0, first, lambda: self.heads[1](h))


def _trained(run_eagerly):
    model = Branching()
    model.compile(tf.keras.optimizers.SGD(0.1), "mse", run_eagerly=run_eagerly)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Gradients do not exist")  # step by step: for the head that did not run
        history = model.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0)
    return history.history["loss"], model.get_weights(), model.count.numpy(), model.predict(X, batch_size=8)


def test_compiled_training_is_that_step_by_step():
    (losses, weights, count, predicted), (other_losses, other, other_count, others) = map(_trained, (True, False))
    np.testing.assert_allclose(other_losses, losses, 1e-5)
    for mine, theirs in zip(weights, other, strict=True):
        np.testing.assert_allclose(theirs, mine, 1e-5, 1e-6)
    np.testing.assert_allclose(others, predicted, 1e-5, 1e-6)
    assert 0 < count == other_count < 10 and losses[1] < losses[0]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: tf.cond(tf.reduce_sum(x) > 0.0, lambda: x, lambda: -x),
        lambda x: tf.while_loop(lambda a: tf.reduce_sum(a) < 5.0, lambda a: [a * 2.0], [x]),
        lambda x: tf.map_fn(lambda row: row * 2.0, x),
        lambda x: tf.debugging.assert_positive(x),
        lambda x: tf.print(x),
        lambda x: tf.TensorArray(tf.float32, 1).write(0, x),
        lambda x: tf.numpy_function(np.exp, [x], tf.float32),
    ],
)
def test_symbolic_inputs_of_the_functional_api_go_through_a_lambda_layer(call):
    with pytest.raises(TypeError, match="Lambda"):
        call(tf.keras.Input((3,)))
