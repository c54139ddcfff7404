"""Recurrent layers against what Keras 2 computes, and the way over whole sequences against that step by step."""

from __future__ import annotations

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
