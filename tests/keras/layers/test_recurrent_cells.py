"""Recurrent layers over cells of one's own, and over stacks of cells."""

from __future__ import annotations

import collections
import json

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras.keras import layers

# --- cells of one's own


class Leaky(layers.Layer):
    """Two states of different shapes, one of them a matrix, an output of its own size, and a constant."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = {"mean": units, "table": tf.TensorShape([2, units])}
        self.output_size = 1

    def build(self, input_shape):
        self.kernel = self.add_weight("kernel", (input_shape[-1], self.units))

    def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
        return {
            "mean": ops.ones((batch_size, self.units), dtype),
            "table": ops.zeros((batch_size, 2, self.units), dtype),
        }

    def call(self, inputs, states, constants=None, training=None):
        mean = 0.5 * states["mean"] + ops.matmul(inputs, self.kernel)
        table = states["table"] + ops.expand_dims(mean, 1)
        if constants is not None:
            mean = mean + constants[0]
        return ops.reduce_sum(mean, 1, keepdims=True), {"mean": mean, "table": table}

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_a_cell_with_states_of_any_structure():
    layer = layers.RNN(Leaky(2), return_sequences=True, return_state=True)
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype("float32")
    outputs, *states = layer(x)
    kernel = layer.get_weights()[0]
    mean, table = np.ones((3, 2)), np.zeros((3, 2, 2))
    for t in range(4):
        mean = 0.5 * mean + x[:, t] @ kernel
        table = table + mean[:, None]
        np.testing.assert_allclose(outputs.numpy()[:, t], mean.sum(1, keepdims=True), rtol=1e-5, atol=1e-6)
    found = dict(zip(("mean", "table"), states, strict=True))
    np.testing.assert_allclose(found["table"].numpy(), table, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["mean"].numpy(), mean, rtol=1e-5, atol=1e-6)


def test_constants_are_given_to_each_step():
    inputs, constant = layers.Input((4, 5)), layers.Input((2,))
    layer = layers.RNN(Leaky(2), name="leaky")
    model = tf.keras.Model([inputs, constant], layer(inputs, constants=constant))
    x, k = np.ones((3, 4, 5), "float32"), np.full((3, 2), 0.25, "float32")
    text = model.to_json()
    assert json.loads(text)["config"]["layers"][-1]["config"]["num_constants"] == 1
    copy = tf.keras.models.model_from_json(text, {"Leaky": Leaky})
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy.predict([x, k]), model.predict([x, k]))
    np.testing.assert_allclose(layer(x, constants=[k]).numpy(), model.predict([x, k]), rtol=1e-6)
    assert not np.allclose(layers.RNN(layer.cell)(x).numpy(), model.predict([x, k]))


class TwoInputs(layers.AbstractRNNCell):
    """Takes a pair of inputs, and holds a layer that is built when it is first called."""

    state_size = output_size = 3

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3)

    def call(self, inputs, states):
        first, second = inputs
        total = states[0] + self.dense(first) * second
        return total, [total]


def test_inputs_in_a_structure():
    x, y = np.ones((2, 4, 5), "float32"), np.full((2, 4, 1), 0.5, "float32")
    layer = layers.RNN(TwoInputs())
    output = layer((x, y))
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(output.numpy(), 4 * 0.5 * (np.ones((2, 5)) @ kernel + bias), rtol=1e-5)
    with pytest.raises(ValueError, match="as many for each of them"):
        layer((x, y[:, :3]))


def test_a_cell_that_is_no_layer():
    class Counter:
        state_size = 1

        def call(self, inputs, states):
            return states[0] + 1.0, states[0] + 1.0

    assert layers.RNN(Counter())(np.zeros((2, 3, 1), "float32")).numpy().tolist() == [[3.0], [3.0]]


def test_states_of_a_stack_in_reverse():
    cells = [layers.LSTMCell(2), layers.SimpleRNNCell(3)]
    stack = layers.StackedRNNCells(cells, reverse_state_order=True)
    assert stack.state_size == (3, [2, 2]) and stack.output_size == 3
    assert layers.deserialize(layers.serialize(stack)).reverse_state_order
    output, first, second = layers.RNN(stack, return_state=True)(np.ones((2, 4, 5), "float32"))
    np.testing.assert_array_equal(output, first)
    assert [tuple(state.shape) for state in second] == [(2, 2), (2, 2)]


def test_peepholes():
    cell = tf.keras.experimental.PeepholeLSTMCell(2)
    layer = layers.RNN(cell, name="layer")
    x = np.random.default_rng(0).standard_normal((3, 1, 4)).astype("float32")
    h, c = (np.random.default_rng(i).standard_normal((3, 2)).astype("float32") for i in (1, 2))
    found = layer(x, initial_state=[h, c]).numpy()
    names = [weight.name for weight in layer.weights]
    assert names[3:] == [f"layer/{gate}_gate_peephole_weights:0" for gate in ("input", "forget", "output")]
    kernel, recurrent, bias, *peepholes = layer.get_weights()
    i, f, a, o = np.split(x[:, 0] @ kernel + h @ recurrent + bias, 4, axis=1)
    sigmoid = lambda value: 1 / (1 + np.exp(-value))  # noqa: E731
    new = sigmoid(f + peepholes[1] * c) * c + sigmoid(i + peepholes[0] * c) * np.tanh(a)
    np.testing.assert_allclose(found, sigmoid(o + peepholes[2] * new) * np.tanh(new), rtol=1e-5)


def test_inputs_of_a_cell_may_be_a_named_tuple():
    Pair = collections.namedtuple("Pair", ["narrow", "wide"])

    class Cell(layers.Layer):
        state_size = output_size = 2

        def build(self, input_shapes):
            self.sizes = (input_shapes.narrow[-1], input_shapes.wide[-1])

        def call(self, inputs, states):
            output = states[0] + inputs.narrow + inputs.wide[:, :2]
            return output, [output]

    layer = layers.RNN(Cell())
    inputs = Pair(tf.keras.Input((None, 2)), tf.keras.Input((None, 3)))
    model = tf.keras.Model(list(inputs), layer(inputs))
    result = model.predict([np.ones((2, 4, 2)), np.ones((2, 4, 3))])
    np.testing.assert_array_equal(result, np.full((2, 2), 8.0))
    assert layer.cell.sizes == (2, 3)
