"""Layers and models of ragged inputs: they predict what TensorFlow's do, train, and say what cannot be done."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from tests.keras.layers import ragged_models

RECORDED = json.loads((Path(__file__).parent / "data" / "ragged.json").read_text())
NUMBERS, VECTORS = ragged_models.data(tf)
TARGETS = np.array([0.0, 1.0, 0.0, 1.0, 1.0], "float32")
layers = tf.keras.layers
pytestmark = pytest.mark.filterwarnings("ignore:The model cannot be compiled:UserWarning")


def values_of(rows):
    return [value for row in rows for value in values_of(row)] if isinstance(rows, list) else [rows]


def lengths_of(rows):
    return [lengths_of(row) for row in rows] if isinstance(rows, list) else None


def test_predictions_are_those_of_tensorflow():
    found = ragged_models.predictions(tf)
    assert found.keys() == RECORDED.keys()
    for name, rows in found.items():
        assert lengths_of(rows) == lengths_of(RECORDED[name]), name
        np.testing.assert_allclose(values_of(rows), values_of(RECORDED[name]), 1e-5, 1e-6, err_msg=name)


def model_of(inputs, **options):
    x = layers.Embedding(10, 4, **options)(inputs)
    return tf.keras.Model(inputs, layers.Dense(1)(layers.LSTM(3)(x)))


def test_training_is_that_of_masked_rows():
    dense = tf.keras.preprocessing.sequence.pad_sequences(ragged_models.ROWS, padding="post")
    ragged = model_of(tf.keras.Input((None,), ragged=True, dtype="int32"))
    masked = model_of(tf.keras.Input((None,), dtype="int32"), mask_zero=True)
    masked.set_weights(ragged.get_weights())
    losses = []
    for model, x in ((ragged, NUMBERS), (masked, dense)):
        model.compile(tf.keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
        losses.append(model.fit(x, TARGETS, batch_size=2, epochs=2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)
    np.testing.assert_allclose(ragged.predict(NUMBERS), masked.predict(dense), rtol=1e-4, atol=1e-6)
    batches = tf.data.Dataset.from_tensor_slices((NUMBERS, TARGETS)).batch(2)
    np.testing.assert_allclose(ragged.evaluate(batches, verbose=0), masked.evaluate(dense, TARGETS, verbose=0), 1e-5)


def test_models_of_users_and_sequential_ones():
    class Own(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.table, self.scale = layers.Embedding(10, 4), Scale()

        def call(self, rows):
            return tf.reduce_sum(self.scale(self.table(rows)), axis=[1, 2])[:, tf.newaxis]

    class Scale(layers.Layer):
        def call(self, rows):
            return rows * 2.0

    stack = [tf.keras.Input((None,), ragged=True, dtype="int32"), layers.Embedding(10, 4), layers.GRU(2)]
    for model in (Own(), tf.keras.Sequential([*stack, layers.Dense(1)])):
        model.compile("sgd", "mse", run_eagerly=True)
        model.fit(NUMBERS, TARGETS, epochs=2, verbose=0)
        one_by_one = [model.predict(NUMBERS[i : i + 1])[0] for i in range(5)]
        np.testing.assert_allclose(model.predict(NUMBERS), one_by_one, rtol=1e-5, atol=1e-6)


def test_functional_models_know_shapes_and_their_configs():
    numbers, vectors = tf.keras.Input((None,), ragged=True, dtype="int32"), tf.keras.Input((None, 3), ragged=True)
    scaled = layers.Activation("relu")(layers.Add()([vectors, vectors * 2.0]))
    outputs = [scaled, scaled.to_tensor(), tf.reduce_mean(scaled, 1), layers.Embedding(10, 2)(numbers)[:, 1:]]
    assert [tuple(output.shape) for output in outputs] == [
        (None, None, 3), (None, None, 3), (None, 3), (None, None, 2),
    ]  # fmt: skip
    assert [output.ragged for output in outputs] == [True, False, False, True]
    model = tf.keras.Model([numbers, vectors], outputs)
    again = tf.keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    for rows, same in zip(model.predict([NUMBERS, VECTORS]), again.predict([NUMBERS, VECTORS]), strict=True):
        np.testing.assert_array_equal(getattr(rows, "flat_values", rows), getattr(same, "flat_values", same))
    given = np.maximum(3 * ragged_models.VALUES, 0)
    np.testing.assert_allclose(model.predict_on_batch([NUMBERS, VECTORS])[0].values, given, rtol=1e-6)


def test_functions_run_step_by_step():
    with pytest.warns(UserWarning, match="runs step by step"):
        assert tf.function(lambda rows: rows + 1)(NUMBERS).to_list() == (NUMBERS + 1).to_list()
    with pytest.warns(UserWarning, match="runs step by step"):
        made = tf.function(lambda x: tf.RaggedTensor.from_row_lengths(x, np.array([2, 1])))(tf.constant([1, 2, 3]))
    assert made.to_list() == [[1, 2], [3]]


ROWS = tf.keras.Input((None, 3), ragged=True)
LSTM = tf.keras.Model(ROWS, layers.LSTM(2)(ROWS))


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: layers.Dense(1)(ROWS), ValueError, r"does not support RaggedTensors.*to_tensor"),
        (lambda: layers.Conv1D(1, 1)(VECTORS), ValueError, r"does not support RaggedTensors.*to_tensor"),
        (lambda: tf.nn.softmax(ROWS), TypeError, r"softmax does not take ragged tensors.*to_tensor"),
        (lambda: tf.keras.Input((3,), ragged=True), ValueError, "needs a size None"),
        (lambda: tf.keras.Input((None,), ragged=True, sparse=True), ValueError, "both sparse and ragged"),
        (lambda: layers.LSTM(2, time_major=True)(ROWS), ValueError, "time_major or unroll"),
        (lambda: layers.LSTM(2)(layers.Embedding(10, 2, mask_zero=True)(NUMBERS)), ValueError, "mask as well"),
        (lambda: LSTM.predict(np.ones((2, 4, 3))), ValueError, "expected a ragged tensor"),
        (lambda: LSTM(np.ones((2, 4, 3), "float32")), ValueError, "takes a ragged tensor, but received a tensor"),
    ],
)
def test_what_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_plan_that_was_asked_for_is_refused():
    model = tf.keras.Model(ROWS, layers.LSTM(2)(ROWS))
    model.compile("sgd", "mse", run_eagerly=False)
    with pytest.raises(TypeError, match="Ragged batches have rows of other lengths"):
        model.fit(VECTORS, np.ones((5, 2)), verbose=0)
