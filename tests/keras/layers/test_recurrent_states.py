"""Recurrent layers: states that are kept, set and shared, masks and lengths, files, what they learn."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import _nest, ops
from distkeras.core.tensor import Tensor
from distkeras.keras import layers

# --- states


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_a_stateful_layer_goes_on_where_it_stopped(kind):
    x = np.random.default_rng(0).standard_normal((4, 6, 3)).astype("float32")
    whole = getattr(layers, kind)(2, return_sequences=True)
    parts = getattr(layers, kind)(2, return_sequences=True, stateful=True, batch_input_shape=(4, 2, 3))
    model = tf.keras.Sequential([parts])
    expected = whole(x).numpy()
    parts.set_weights(whole.get_weights())
    assert [weight.name.split("/")[-1] for weight in parts.weights] == ["kernel:0", "recurrent_kernel:0", "bias:0"]
    for _ in range(2):
        found = [model.predict(x[:, start : start + 2], batch_size=4) for start in (0, 2, 4)]
        np.testing.assert_allclose(np.concatenate(found, 1), expected, rtol=1e-5, atol=1e-6)
        model.reset_states()
    assert all(not state.numpy().any() for state in parts.states)
    found = [parts(x[:, start : start + 2]).numpy() for start in (0, 2, 4)]  # eagerly
    np.testing.assert_allclose(np.concatenate(found, 1), expected, rtol=1e-5, atol=1e-6)


def test_stateful_training_compiled_is_eager():
    results = []
    for eager in (False, True):
        tf.random.set_seed(3)
        cells = [layers.LSTMCell(2), layers.GRUCell(3)]
        layer = layers.Bidirectional(layers.RNN(cells, stateful=True, return_sequences=True))
        model = tf.keras.Sequential([layers.InputLayer(batch_input_shape=(4, 3, 2)), layer, layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=eager)
        x = np.random.default_rng(0).standard_normal((8, 3, 2)).astype("float32")
        losses = model.fit(x, x[..., :1], batch_size=4, epochs=2, verbose=0, shuffle=False).history["loss"]
        results.append([*losses, *(state.numpy().sum() for state in _nest.flatten(layer.forward_layer.states))])
        assert all(np.abs(state.numpy()).max() > 0 for state in _nest.flatten(layer.backward_layer.states))
        model.reset_states()
        assert not any(state.numpy().any() for state in _nest.flatten(layer.backward_layer.states))
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_states_that_are_set():
    layer = layers.LSTM(2, stateful=True)
    with pytest.raises(ValueError, match="has no states yet"):
        layer.reset_states()
    x, h, c = (
        np.random.default_rng(0).standard_normal(shape).astype("float32") for shape in ((3, 4, 2), *[(3, 2)] * 2)
    )
    layer(x)
    layer.reset_states([h, c])
    np.testing.assert_array_equal(layer.states[0].numpy(), h)
    with_states = layers.LSTM(2)
    with_states(x)
    with_states.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(x).numpy(), with_states(x, initial_state=[h, c]).numpy(), rtol=1e-6)
    with pytest.raises(ValueError, match="expects 2 states, but it received 1"):
        layer.reset_states([h])
    with pytest.raises(ValueError, match=r"State 1 is incompatible .* expected shape=\(3, 2\), found shape=\(2, 2\)"):
        layer.reset_states([h, c[:2]])
    with pytest.raises(ValueError, match="keeps states for batches of 3 samples, and received 2"):
        layer(x[:2])


def test_initial_states_in_a_functional_model():
    """An encoder's states begin a decoder; constants and states are inputs, in configs as well."""
    source, target = layers.Input((None, 3), name="source"), layers.Input((None, 2), name="target")
    _, h, c = layers.LSTM(4, return_state=True, name="encoder")(source)
    decoded = layers.LSTM(4, return_sequences=True, name="decoder")(target, initial_state=[h, c])
    model = tf.keras.Model([source, target], layers.Dense(1, name="out")(decoded))
    entry = next(entry for entry in model.get_config()["layers"] if entry["name"] == "decoder")
    assert entry["inbound_nodes"] == [[["target", 0, 0, {}], ["encoder", 0, 1, {}], ["encoder", 0, 2, {}]]]
    model.compile("adam", "mse")
    x, y = (np.random.default_rng(i).standard_normal((4, 5 - i, 3 - i)).astype("float32") for i in (0, 1))
    model.fit([x, y], y[..., :1], verbose=0, epochs=2)
    copy = tf.keras.models.model_from_json(model.to_json())
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy.predict([x, y]), model.predict([x, y]))
    with pytest.raises(ValueError, match="mix of Keras tensors and non-Keras tensors"):
        layers.LSTM(4)(target, initial_state=[h, np.zeros((4, 4), "float32")])


# --- masks, lengths, other


def test_masks_are_passed_on():
    x = layers.Masking()(np.float32([[[1], [2], [0]], [[0], [0], [0]]]))
    outputs = layers.LSTM(2, return_sequences=True)(x)
    assert outputs._keras_mask.numpy().tolist() == [[True, True, False], [False] * 3]
    assert getattr(layers.LSTM(2)(x), "_keras_mask", None) is None
    outputs, state = layers.GRU(2, return_sequences=True, return_state=True)(x)
    assert outputs._keras_mask is not None and state._keras_mask is None
    both = layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode=None)(x)
    assert all(part._keras_mask.shape == (2, 3) for part in both)
    np.testing.assert_array_equal(outputs.numpy()[1], np.zeros((3, 2)))  # nothing counts there


def test_lengths_instead_of_a_mask():
    K = tf.keras.backend
    x = np.random.default_rng(0).standard_normal((2, 4, 1)).astype("float32")
    step = lambda x, states: (x + states[0], [x + states[0]])  # noqa: E731
    sums = x.cumsum(axis=1)
    last, outputs, states = K.rnn(step, x, [ops.zeros((2, 1))], input_length=Tensor(np.int32([2, 4])))
    np.testing.assert_allclose(last.numpy(), [sums[0, 1], sums[1, 3]], rtol=1e-5)
    last, _, _ = K.rnn(step, x, [ops.zeros((2, 1))], input_length=3)
    np.testing.assert_allclose(last.numpy(), sums[:, 2], rtol=1e-5)
    last, outputs, _ = K.rnn(
        lambda x, states: (x + states[1], states[:1]), x, [ops.zeros((2, 1))], constants=[1.0], go_backwards=True
    )
    np.testing.assert_allclose(outputs.numpy(), x[:, ::-1] + 1, rtol=1e-6)


def test_files_of_layers_in_layers(tmp_path):
    inputs = layers.Input((3, 4, 4, 1), name="x")
    images = layers.ConvLSTM2D(2, 2, return_sequences=True, name="images")(inputs)
    rows = layers.Reshape((3, 18), name="rows")(images)
    both = layers.Bidirectional(layers.LSTM(2, return_sequences=True, name="lstm"), name="both")(rows)
    cells = [layers.GRUCell(2, name="first"), tf.keras.experimental.PeepholeLSTMCell(2, name="second")]
    model = tf.keras.Model(inputs, layers.RNN(cells, name="stack")(both))
    model.save(tmp_path / "model.h5")
    loaded = tf.keras.models.load_model(tmp_path / "model.h5", compile=False)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 4, 1)).astype("float32")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_images_with_channels_first():
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4, 2)).astype("float32")
    last = layers.ConvLSTM2D(3, 2, strides=(2, 1), return_sequences=True, return_state=True)
    first = layers.ConvLSTM2D(
        3, 2, strides=(2, 1), return_sequences=True, return_state=True, data_format="channels_first"
    )
    expected = last(x)
    first.build((None, 3, 2, 5, 4))
    first.set_weights(last.get_weights())
    found = first(np.ascontiguousarray(x.transpose(0, 1, 4, 2, 3)))
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.moveaxis(mine.numpy(), -3, -1), theirs.numpy(), rtol=1e-5, atol=1e-6)
    assert first(layers.Input((3, 2, None, 4)))[0].shape == (None, 3, 3, None, 3)


def test_the_first_layer_says_what_it_is_fed():
    model = tf.keras.Sequential([layers.LSTM(2, input_dim=3, input_length=5)])
    assert model.input_shape == (None, 5, 3)
    assert tf.keras.Sequential([layers.GRU(2, input_dim=3)]).input_shape == (None, None, 3)
    assert tf.keras.Sequential([layers.Bidirectional(layers.GRU(2), input_shape=(5, 3))]).output_shape == (None, 4)


def test_half_precision_goes_step_by_step():
    layer = layers.LSTM(2, dtype="float16")
    output = layer(np.ones((2, 3, 4), "float16"))
    assert output.dtype == "float16" and np.isfinite(output.numpy()).all()


def test_a_sequence_model_learns():
    """Whether the first of several numbers was positive: what happened is remembered over the steps since."""
    tf.random.set_seed(0)
    x = np.random.default_rng(0).standard_normal((256, 8, 1)).astype("float32")
    y = (x[:, 0, 0] > 0).astype("int64")
    model = tf.keras.Sequential([layers.LSTM(8, input_shape=(None, 1)), layers.Dense(1, activation="sigmoid")])
    model.compile(tf.keras.optimizers.Adam(0.03), "binary_crossentropy", metrics=["accuracy"])
    assert model.fit(x, y, epochs=30, verbose=0).history["accuracy"][-1] > 0.9


def test_bidirectional_is_a_wrapper_whose_layers_regularise_their_own_outputs():
    layer = layers.Bidirectional(layers.SimpleRNN(2, activity_regularizer=tf.keras.regularizers.l2(1.0)))
    assert isinstance(layer, layers.Wrapper)
    output = layer(np.ones((3, 4, 2), "float32")).numpy()
    np.testing.assert_allclose(sum(map(float, layer.losses)), (output**2).sum() / 3, rtol=1e-6)
