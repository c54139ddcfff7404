"""Recurrent layers against what Keras 2 computes, and the way over whole sequences against that step by step."""

from __future__ import annotations

import collections
import json
import re
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras import _nest, ops
from distkeras.core.tensor import Tensor
from distkeras.keras import layers
from distkeras.keras.saving.serialize import json_value
from distkeras.testing import check_compiled
from tests.keras.layers.cases_recurrent import CASES, Case, new_weights, problem, slopes

DATA = Path(__file__).parent / "data"
ARRAYS = np.load(DATA / "recurrent.npz")
FACTS = json.loads((DATA / "recurrent.json").read_text())
LEARNING_RATE, TRAINING_STEPS = 0.05, 3

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
described_case = pytest.mark.parametrize(
    "case", [case for case in CASES if FACTS[case.name]["config"]], ids=lambda case: case.name
)


def run(layer, given):
    """The outputs, flat, and the gradients for inputs, states and weights."""
    x, states = Tensor(given.x), [Tensor(state) for state in given.states]
    with tf.GradientTape() as tape:
        tape.watch([x, states])
        outputs = _nest.flatten(call(layer, x, given, states))
        loss = ops.add_n(
            [ops.reduce_sum(out * ramp) for out, ramp in zip(outputs, slopes([o.shape for o in outputs]), strict=True)]
        )
        for term in layer.losses:
            loss = loss + term
    return outputs, tape.gradient(loss, [x, *states, *layer.trainable_weights])


def call(layer, x, given, states):
    mask = None if given.mask is None else Tensor(given.mask)
    return layer(x, mask=mask, **({"initial_state": list(states)} if states else {}))


def built(case: Case):
    layer, given = case.make(layers), problem(case)
    run(layer, given)
    layer.set_weights(new_weights([tuple(weight.shape) for weight in layer.weights], case))
    return layer, given


@every_case
def test_outputs_gradients_and_training_are_those_of_keras(case: Case):
    layer, given = built(case)
    outputs, gradients = run(layer, given)
    found = [*outputs, *gradients[: 1 + case.states]]
    optimizer = tf.keras.optimizers.SGD(LEARNING_RATE)
    for _ in range(TRAINING_STEPS):
        changes = run(layer, given)[1][1 + case.states :]
        optimizer.apply_gradients(zip(changes, layer.trainable_weights, strict=True))
    found += [weight.value() for weight in layer.trainable_weights]
    assert [list(array.shape) for array in found] == FACTS[case.name]["shapes"]
    flat = np.concatenate([array.numpy().ravel() for array in found])
    np.testing.assert_allclose(flat, ARRAYS[case.name], rtol=3e-5, atol=3e-5)


@described_case
def test_names_and_config_are_those_of_keras(case: Case):
    layer, _ = built(case)
    # Keras 2.0 leaves out the cell: names with it have come later.
    names = [re.sub(r"/(\w+_cell|stacked_rnn_cells)(_\d+)?(?=/)", "", name) for name in FACTS[case.name]["weights"]]
    assert [weight.name for weight in layer.weights] == names
    assert simplified(json.loads(json.dumps(layer.get_config(), default=json_value))) == simplified(
        FACTS[case.name]["config"]
    )


def simplified(config):
    """Without the names of cells, which are numbered; Keras 2.0 has one class for all regularizers."""
    if isinstance(config, list):
        return [simplified(item) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") in ("L1", "L2"):
        return {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0, **config["config"]}}
    plain = {key: simplified(value) for key, value in config.items()}
    if str(plain.get("name", "")).rstrip("_0123456789").endswith("cell") or "cells" in plain:
        del plain["name"]
    return plain


@described_case
def test_config_round_trip_through_json(case: Case):
    layer, given = built(case)
    text = json.dumps(layers.serialize(layer), default=json_value)
    copy = layers.deserialize(json.loads(text))
    assert type(copy) is type(layer)
    assert json.dumps(layers.serialize(copy), default=json_value) == text
    run(copy, given)
    copy.set_weights(layer.get_weights())
    for mine, theirs in zip(run(copy, given)[0], run(layer, given)[0], strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


@described_case
def test_shapes_are_known_before(case: Case):
    layer, given = built(case)
    outputs = _nest.flatten(run(layer, given)[0])
    samples = 1 if getattr(layer, "time_major", False) else 0
    shape = [None if axis == samples else size for axis, size in enumerate(given.x.shape)]
    several = len(outputs) > 1
    shapes = layer.compute_output_shape(tuple(shape))
    shapes = shapes if several else [shapes]
    symbolic = [None] if samples else _nest.flatten(layer(layers.Input(given.x.shape[1:])))
    for output, computed, tensor in zip(outputs, shapes, symbolic, strict=True):
        lead = [None if size == given.x.shape[samples] and axis == samples else size
                for axis, size in enumerate(output.shape)]  # fmt: skip
        assert list(computed) == lead
        assert tensor is None or list(tensor.shape) == lead


@pytest.mark.parametrize("case", [case for case in CASES if not case.name[-4:].startswith("01")][::5],
                         ids=lambda case: case.name)  # fmt: skip
def test_compiled_is_eager(case: Case):
    layer, given = built(case)
    check_compiled(lambda x, *states: call(layer, x, given, states), given.x, *given.states, batched=(), rtol=1e-4)


# --- whole sequences at once, or step by step


@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"zero_output_for_mask": True},
                                     {"return_sequences": False}], ids=str)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_both_ways_are_one(kind, dtype, options):
    """With a mask whose rows hold everything: padding at both ends, a gap, nothing that counts."""
    random = np.random.default_rng(0)
    x = random.standard_normal((4, 5, 3)).astype(dtype)
    mask = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    options = {"return_sequences": True, "return_state": True, "dtype": dtype, **options}
    at_once, by_step = (getattr(layers, kind)(2, unroll=unroll, **options) for unroll in (False, True))
    states = [random.standard_normal((4, 2)).astype(dtype) for _ in at_once.states]
    at_once(x), by_step(x)
    by_step.set_weights(at_once.get_weights())
    assert at_once._goes_at_once(Tensor(x), None) and not by_step._goes_at_once(Tensor(x), None)
    results = []
    for layer in (at_once, by_step):
        given = type(problem(CASES[0]))(x, mask, states)
        outputs, gradients = run(layer, given)
        results.append([value.numpy() for value in (*outputs, *gradients)])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4 if dtype == "float32" else 1e-10, atol=1e-6)


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_time_first(kind):
    x = np.random.default_rng(0).standard_normal((4, 5, 3)).astype("float32")
    mask = np.arange(20).reshape(4, 5) % 3 > 0
    layer = getattr(layers, kind)(2, return_sequences=True)
    other = getattr(layers, kind)(2, return_sequences=True, time_major=True)
    expected = layer(x, mask=Tensor(mask))
    other.build((5, 4, 3))
    other.set_weights(layer.get_weights())
    outputs = other(x.transpose(1, 0, 2), mask=Tensor(np.ascontiguousarray(mask.T)))
    np.testing.assert_allclose(outputs.numpy().transpose(1, 0, 2), expected.numpy(), rtol=1e-6)


# --- dropout


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM", "ConvLSTM2D"])
def test_dropped_is_the_same_at_all_steps(kind):
    """What one step drops all drop: the same inputs at each step, without a state between, give the same outputs."""
    tf.random.set_seed(1)
    shape, sizes = ((2, 6, 5, 4, 8), (3, 1)) if kind == "ConvLSTM2D" else ((2, 6, 8), (3,))
    layer = getattr(layers, kind)(*sizes, dropout=0.5, return_sequences=True)
    layer.build((None, *shape[1:]))
    kernel = layer.get_weights()[0]
    layer.set_weights([kernel, *(np.zeros(weight.shape) for weight in layer.weights[1:])])
    x = np.broadcast_to(np.random.default_rng(0).standard_normal(shape[2:]), shape).astype("float32")
    gates = _first_step(layer, x, training=True)
    assert not np.allclose(gates, _first_step(layer, x, training=False))
    again = _first_step(layer, x, training=True)
    assert not np.allclose(gates, again)  # another call, another draw


def _first_step(layer, x, training):
    outputs = layer(x, training=training).numpy()
    if type(layer).__name__ == "SimpleRNN":
        np.testing.assert_array_equal(outputs, np.broadcast_to(outputs[:, :1], outputs.shape))
    return outputs[:, 0]


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_how_much_is_dropped(kind, implementation):
    tf.random.set_seed(2)
    cell = getattr(layers, f"{kind}Cell")(2, dropout=0.25, recurrent_dropout=0.5, implementation=implementation)
    x = ops.ones((2000, 1))
    count = 1 if implementation == 2 else cell.gates
    for draw, rate in ((cell.get_dropout_mask_for_cell, 0.25), (cell.get_recurrent_dropout_mask_for_cell, 0.5)):
        assert draw(x, False, count) is None
        masks = draw(x, True, count)
        assert len(masks) == count and draw(x, True, count) is masks
        for mask in masks:
            assert set(np.unique(mask.numpy())) == {0, np.float32(1 / (1 - rate))}
            assert np.mean(mask.numpy() == 0) == pytest.approx(rate, abs=0.04)
        assert count == 1 or not np.array_equal(masks[0], masks[1])
    cell.reset_dropout_mask(), cell.reset_recurrent_dropout_mask()
    assert draw(x, True, count) is not masks


def test_dropped_at_once_is_dropped_by_steps():
    def outputs(**options):
        tf.random.set_seed(5)
        tf.keras.backend.clear_session()
        layer = layers.LSTM(3, dropout=0.4, return_sequences=True, **options)
        return layer(np.ones((4, 5, 6), "float32"), training=True).numpy()

    np.testing.assert_allclose(outputs(), outputs(unroll=True), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_models_with_dropout_train_compiled(kind):
    histories = []
    for eager in (False, True):
        tf.random.set_seed(3)
        tf.keras.backend.clear_session()
        layer = getattr(layers, kind)(3, dropout=0.3, recurrent_dropout=0.2)
        model = tf.keras.Sequential([layers.Masking(input_shape=(5, 3)), layer, layers.Dense(1)])
        model.compile("adam", "mse", run_eagerly=eager)
        x = np.random.default_rng(0).standard_normal((12, 5, 3)).astype("float32")
        x[::2, 3:] = 0
        histories.append(model.fit(x, x[:, 0, :1], batch_size=6, epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-5)


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
