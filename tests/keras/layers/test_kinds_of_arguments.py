"""Arguments of layers that are numpy's, lists filled later, and masks that are numbers."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

layers = tf.keras.layers
TWO = np.int64(2)

BUILDERS = {
    "Conv2D": (lambda: layers.Conv2D(TWO, TWO, strides=TWO), (4, 4, 2)),
    "MaxPooling2D": (lambda: layers.MaxPooling2D(TWO), (4, 4, 2)),
    "ZeroPadding2D": (lambda: layers.ZeroPadding2D(TWO), (4, 4, 2)),
    "RepeatVector": (lambda: layers.RepeatVector(TWO), (3,)),
    "BatchNormalization": (lambda: layers.BatchNormalization(axis=TWO), (2, 3)),
    "LayerNormalization": (lambda: layers.LayerNormalization(axis=[TWO]), (2, 3)),
    "Softmax": (lambda: layers.Softmax(axis=TWO), (2, 3)),
    "PReLU": (lambda: layers.PReLU(shared_axes=TWO), (2, 3)),
    "Input": (lambda: layers.Dense(2), TWO),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_numpy_integers_are_integers_and_can_be_written(name):
    build, shape = BUILDERS[name]
    inputs = tf.keras.Input(shape)
    model = tf.keras.Model(inputs, build()(inputs))
    again = tf.keras.models.model_from_json(model.to_json())
    assert again.output_shape == model.output_shape


def test_a_list_given_to_a_layer_may_be_filled_further():
    inputs = tf.keras.Input((2,))
    known, last = [inputs], inputs
    for _ in range(3):
        known.append(last)
        last = layers.concatenate(known)
    x = np.array([[1.0, 2.0]], "float32")
    np.testing.assert_array_equal(tf.keras.Model(inputs, last).predict(x), np.tile(x, 8))


def test_merged_masks_may_be_numbers():
    inputs = [tf.ones((1, 3)), tf.ones((1, 3))]
    masks = [tf.constant([[1.0, 0.0, 2.0]]), tf.constant([[True, True, False]])]
    assert layers.Add().compute_mask(inputs, masks).numpy().tolist() == [[True, False, False]]


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM"])
def test_initial_states_of_symbolic_inputs_are_symbolic(kind):
    inputs = tf.keras.Input((None, 2))
    layer = getattr(layers, kind)(3)
    states = layer.get_initial_state(inputs)
    assert [tf.keras.backend.int_shape(state) for state in states] == [(None, 3)] * len(states)
    model = tf.keras.Model(inputs, layer(inputs, initial_state=[state + 1.0 for state in states]))
    x = np.ones((2, 4, 2), "float32")
    np.testing.assert_allclose(
        model.predict(x), layer(x, initial_state=[tf.ones((2, 3))] * len(states)).numpy(), rtol=1e-6
    )


def test_the_one_implementation_of_simple_rnn_is_said_to_be_so():
    with pytest.warns(UserWarning, match="implementation"):
        layer = layers.SimpleRNN(2, implementation=1)
    assert "implementation" not in layer.get_config()
