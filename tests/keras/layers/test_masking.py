"""Masks: where they come from, how they find their way through layers and models, and what they weigh in the end.

The numbers in comments and asserts that are not computed here are those of TensorFlow's Keras 2.
"""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

L = tf.keras.layers
X = np.random.RandomState(0).uniform(0.5, 1, (3, 4, 2)).astype("float32")
X[0, 1] = X[2, 3] = 0
KEPT = [[True, False, True, True], [True] * 4, [True, True, True, False]]


class Count(L.Layer):
    """How many steps count."""

    def call(self, inputs, mask=None):
        kept = tf.ones(inputs.shape[:2]) if mask is None else tf.cast(mask, "float32")
        return tf.reduce_sum(kept, axis=1, keepdims=True)


class Keyworded(L.Layer):
    def call(self, inputs, **arguments):
        return inputs * (2.0 if arguments.get("mask") is not None else 1.0)


class Carrying(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        return inputs * 1.0


class Shortening(Carrying):
    """Drops the first step, and its mask."""

    def call(self, inputs):
        return inputs[:, 1:]

    def compute_mask(self, inputs, mask=None):
        return None if mask is None else mask[:, 1:]


def masked():
    return L.Masking()(tf.constant(X))


def mask_of(tensor):
    mask = getattr(tensor, "_keras_mask", None)
    return None if mask is None else mask.numpy().tolist()


def functional(*layers):
    inputs = tensor = tf.keras.Input((4, 2))
    for layer in layers:
        tensor = layer(tensor)
    return tf.keras.Model(inputs, tensor)


def subclassed(*layers):
    class Stack(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.stack = list(layers)

        def call(self, inputs):
            for layer in self.stack:
                inputs = layer(inputs)
            return inputs

    return Stack()


def sequential(*layers):
    return tf.keras.Sequential(list(layers))


def nested(*layers):
    return tf.keras.Sequential([tf.keras.Sequential(list(layers[:-1])), layers[-1]])


every_model = pytest.mark.parametrize("model_of", [functional, sequential, subclassed, nested])


@every_model
def test_masks_find_their_way_in_every_kind_of_model(model_of):
    model = model_of(L.Masking(), L.Dense(3), L.Dropout(0.5), Count())
    assert model(X).numpy().tolist() == model.predict(X).tolist() == [[3.0], [4.0], [3.0]]


@every_model
def test_the_mask_of_a_models_output_is_on_it(model_of):
    model = model_of(L.Masking(), L.Dense(3), L.Activation("relu"))
    assert mask_of(model(X)) == KEPT
    assert mask_of(model_of(L.Masking(), L.Dense(3), L.Flatten())(X)) is None


@every_model
@pytest.mark.parametrize("eagerly", [True, None])
def test_losses_and_metrics_leave_out_masked_steps(model_of, eagerly):
    model = model_of(L.Masking(), L.Dense(1, kernel_initializer="ones"))
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mse"], run_eagerly=eagerly)
    loss, mae, mse = model.evaluate(X, np.zeros((3, 4, 1)), verbose=0)
    sums, steps = X.sum(-1), np.sum(KEPT)
    np.testing.assert_allclose(loss, (sums**2).sum() / sums.size, rtol=1e-6)
    np.testing.assert_allclose([mae, mse], [sums.sum() / steps, (sums**2).sum() / steps], rtol=1e-6)


def test_masks_and_sample_weights_multiply():
    weights = np.array([1.0, 2.0, 0.5], "float32")
    model = sequential(L.Masking(input_shape=(4, 2)), L.Dense(1, kernel_initializer="ones"))
    model.compile("sgd", "mse", sample_weight_mode="temporal")
    temporal = np.repeat(weights[:, None], 4, 1)
    expected = (X.sum(-1) ** 2 * temporal).sum() / 12
    np.testing.assert_allclose(
        model.evaluate(X, np.zeros((3, 4, 1)), sample_weight=temporal, verbose=0), expected, 1e-6
    )
    model.compile("sgd", "mse")
    np.testing.assert_allclose(model.evaluate(X, np.zeros((3, 4, 1)), sample_weight=weights, verbose=0), expected, 1e-6)


def test_masks_by_hand_come_before_those_on_the_inputs():
    whole = tf.ones((3, 4), tf.bool)
    assert Count()(masked()).numpy().ravel().tolist() == [3, 4, 3]
    assert Count()(masked(), mask=whole).numpy().ravel().tolist() == [4, 4, 4]
    assert Count()(masked(), whole).numpy().ravel().tolist() == [4, 4, 4]
    assert Count()(masked(), mask=None).numpy().ravel().tolist() == [4, 4, 4]
    assert mask_of(Carrying()(masked(), mask=whole)) == whole.numpy().tolist()
    np.testing.assert_allclose(Keyworded()(masked()), 2 * X)


def test_layers_that_do_not_know_masks_drop_them_in_silence():
    assert mask_of(L.Conv1D(2, 2)(masked())) is None
    assert mask_of(L.Lambda(lambda x: x * 2)(masked())) is None
    assert mask_of(masked() * 2) is None
    with pytest.raises(TypeError, match="does not support masking, but was passed an input_mask"):
        L.Flatten().compute_mask(tf.constant(X), tf.constant(KEPT))


def test_masks_change_where_a_layer_says_so():
    assert mask_of(Shortening()(masked())) == [row[1:] for row in KEPT]
    assert mask_of(L.Lambda(lambda x: x * 2, mask=lambda x, mask: tf.logical_not(mask))(masked()))[1] == [False] * 4
    assert functional(L.Masking(), Shortening(), Count())(X).numpy().ravel().tolist() == [2, 3, 2]


def test_masks_of_symbolic_tensors():
    inputs = tf.keras.Input((4, 2))
    dense = L.Dense(3)
    outputs = dense(L.Masking()(inputs))
    assert inputs._keras_mask is None
    assert dense.input_mask.shape == dense.output_mask.shape == (None, 4) and dense.output_mask.dtype == "bool"
    assert dense.get_output_mask_at(0) is dense.output_mask is outputs._keras_mask
    assert dense.get_input_mask_at(0) is dense.input_mask
    dense(inputs)
    assert dense.get_input_mask_at(1) is None
    with pytest.raises(AttributeError, match="multiple inbound nodes"):
        _ = dense.input_mask
    with pytest.raises(AttributeError, match="not connected"):
        _ = L.Dense(3).output_mask


@pytest.mark.parametrize("by_layer", [True, False])
def test_symbolic_masks_are_arguments_like_others(by_layer):
    inputs = tf.keras.Input((4, 2))
    masking = L.Masking()
    steps = masking(inputs)
    mask = masking.compute_mask(inputs) if by_layer else steps._keras_mask
    model = tf.keras.Model(inputs, Count()(L.Conv1D(2, 1)(steps), mask=mask))
    assert model(X).numpy().ravel().tolist() == model.predict(X).ravel().tolist() == [3, 4, 3]
    if by_layer:
        model.get_config()
    else:
        with pytest.raises(ValueError, match="was passed on by hand, and has no place in a config"):
            model.get_config()


def test_compute_mask_of_models():
    inputs = tf.keras.Input((4, 2))
    steps = L.Dense(3)(L.Masking()(inputs))
    model = tf.keras.Model(inputs, [steps, L.Flatten()(inputs)])
    assert [mask_of(output) for output in model(X)] == [KEPT, None]
    first, second = model.compute_mask(tf.constant(X))
    assert first.numpy().tolist() == KEPT and second is None
    assert sequential(L.Masking()).compute_mask(tf.constant(X)).numpy().tolist() == KEPT
    assert subclassed(L.Masking()).compute_mask(tf.constant(X)) is None
    given = tf.zeros((3, 4), tf.bool)
    assert functional(Carrying()).compute_mask(tf.constant(X), given).numpy().any() == np.False_
    assert functional(Count())(tf.constant(X), mask=given).numpy().ravel().tolist() == [0, 0, 0]


def test_several_inputs_have_several_masks():
    class Both(L.Layer):
        def call(self, inputs, mask=None):
            return tf.cast(mask[1], "float32") if mask[0] is None else inputs[0]

    inputs = tf.keras.Input((4, 2))
    model = tf.keras.Model(inputs, Both()([inputs, L.Masking()(inputs)]))
    assert model(X).numpy().astype(bool).tolist() == KEPT
