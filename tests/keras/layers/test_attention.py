"""What attention layers do besides what is recorded of Keras: masks by hand, causality, dropout, scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf

L = tf.keras.layers
DATA = Path(__file__).parent / "data"
RNG = np.random.default_rng(2)
QUERY = RNG.standard_normal((2, 3, 4)).astype("float32")
VALUE = RNG.standard_normal((2, 5, 4)).astype("float32")
KEPT = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]], bool)


def softmax(scores):
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def close(actual, expected):
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", [L.Attention, L.AdditiveAttention])
def test_a_causal_query_sees_no_later_value(layer):
    attention = layer(causal=True)
    full = attention([VALUE, VALUE]).numpy()
    changed = VALUE.copy()
    changed[:, 3:] = 9
    partial = attention([VALUE[:, :3], changed]).numpy()
    np.testing.assert_array_equal(partial, full[:, :3])
    np.testing.assert_allclose(full[:, 0], VALUE[:, 0], rtol=1e-6)


def test_masked_values_are_left_out_and_masked_queries_are_zero():
    queries = np.array([[True, False, True], [True, True, True]])
    outputs = L.Attention()([QUERY, VALUE], mask=[tf.constant(queries), tf.constant(KEPT)]).numpy()
    expected = softmax(np.where(KEPT[:, None], QUERY @ VALUE.swapaxes(1, 2), -np.inf)) @ VALUE
    close(outputs, expected * queries[..., None])
    values_only = L.Attention()([QUERY, VALUE], mask=[None, tf.constant(KEPT)])
    close(values_only, expected)


@pytest.mark.parametrize("layer", [L.Attention, L.AdditiveAttention])
def test_dropout_of_weights_in_training_alone(layer):
    attention = layer(dropout=0.5, seed=3)
    plain = layer()
    plain([QUERY, VALUE])
    attention([QUERY, VALUE])
    plain.set_weights(attention.get_weights())
    close(attention([QUERY, VALUE]), plain([QUERY, VALUE]))
    assert np.abs(attention([QUERY, VALUE], training=True) - plain([QUERY, VALUE])).max() > 0.01
    assert layer.from_config(attention.get_config()).get_config()["dropout"] == 0.5


def test_configs_of_later_keras_are_understood():
    settings = {"name": "a", "use_scale": True, "score_mode": "dot", "dropout": 0.0}
    assert tf.keras.models.model_from_config({"class_name": "Attention", "config": settings}).use_scale
    with pytest.raises(TypeError, match="score_mode"):
        L.deserialize({"class_name": "Attention", "config": {**settings, "score_mode": "concat"}})


def test_a_model_that_keras_saved_predicts_what_it_did():
    """The archive names its optimizer and says no more of it."""
    with pytest.warns(UserWarning, match="starting with a freshly initialized optimizer"):
        model = tf.keras.models.load_model(DATA / "attention.keras")
    with np.load(DATA / "attention.npz") as recorded:
        np.testing.assert_allclose(model.predict(recorded["x"]), recorded["p"], rtol=1e-5, atol=1e-6)
    assert type(model.optimizer).__name__ == "SGD"


# --- several heads


def test_the_config_tells_the_shapes_by_which_keras_builds_the_layer():
    layer = L.MultiHeadAttention(2, 3)
    assert layer.get_config()["query_shape"] is None
    layer(QUERY, np.ones((2, 5, 7), "float32"))
    shapes = [layer.get_config()[f"{name}_shape"] for name in ("query", "key", "value")]
    assert shapes == [[None, None, 4], [None, None, 7], [None, None, 7]]
    copy = L.MultiHeadAttention.from_config(layer.get_config())
    assert copy(QUERY, VALUE).shape == (2, 3, 4)


def heads(layer, query, value):
    """Outputs and weights of MultiHeadAttention by its definition, before the output's projection."""
    q_kernel, q_bias, k_kernel, k_bias, v_kernel, v_bias, o_kernel, o_bias = layer.get_weights()
    q, k, v = (
        np.einsum("bti,ihd->bhtd", x, kernel) + bias[:, None]
        for x, kernel, bias in ((query, q_kernel, q_bias), (value, k_kernel, k_bias), (value, v_kernel, v_bias))
    )
    return q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1]), lambda w: np.einsum("bhtd,hdo->bto", w @ v, o_kernel) + o_bias


def test_scores_can_be_had():
    layer = L.MultiHeadAttention(2, 3)
    outputs, weights = layer(QUERY, VALUE, return_attention_scores=True)
    scores, project = heads(layer, QUERY, VALUE)
    close(weights, softmax(scores))
    close(outputs, project(softmax(scores)))


def test_masks_from_all_sources_hold_together():
    layer = L.MultiHeadAttention(2, 3, bias_initializer="random_normal")
    value = tf.constant(VALUE)
    value._keras_mask = tf.constant(KEPT)
    seen = RNG.uniform(size=(2, 3, 5)) < 0.8
    seen[:, :, 1] = True
    outputs = layer(QUERY, value, attention_mask=seen)
    scores, project = heads(layer, QUERY, VALUE)
    close(outputs, project(softmax(np.where((seen & KEPT[:, None])[:, None], scores, -1e9))))
    by_hand = layer(QUERY, tf.constant(VALUE), attention_mask=seen & KEPT[:, None])
    close(by_hand, outputs)
    assert getattr(by_hand, "_keras_mask", None) is None


def test_the_mask_of_the_queries_goes_on():
    query = tf.constant(QUERY)
    query._keras_mask = tf.constant([[True, True, False]] * 2)
    layer = L.MultiHeadAttention(2, 3)
    assert layer(query, VALUE)._keras_mask is query._keras_mask
    outputs, weights = layer(query, VALUE, return_attention_scores=True)
    assert outputs._keras_mask is query._keras_mask and getattr(weights, "_keras_mask", None) is None


def test_a_functional_model_with_heads_is_saved_and_loaded(tmp_path):
    query, value = tf.keras.Input((3, 4)), tf.keras.Input((5, 4))
    outputs = L.MultiHeadAttention(2, 3, dropout=0.1, output_shape=2)(query, value, use_causal_mask=True)
    model = tf.keras.Model([query, value], outputs)
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.h5")
    loaded = tf.keras.models.load_model(tmp_path / "model.h5")
    close(loaded.predict([QUERY, VALUE]), model.predict([QUERY, VALUE]))
