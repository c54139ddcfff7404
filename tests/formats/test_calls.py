"""Calls of models in models, as files number them."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.saving.calls import doubled, undoubled


def graph(calls, references):
    """x -> block, called as said -> one layer on the outputs of these calls."""
    return {
        "layers": [
            {"name": "x", "config": {}, "inbound_nodes": []},
            {"name": "block", "config": {"layers": []}, "inbound_nodes": calls},
            {"name": "add", "config": {}, "inbound_nodes": [[["block", number, 0, {}] for number in references]]},
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["add", 0, 0], ["block", references[-1], 1]],
    }


ONE, TWO = [["x", 0, 0, {}]], [["x", 0, 0, {"training": True}]]


@pytest.mark.parametrize("number_of_calls", [1, 2, 3])
def test_a_number_means_the_same_call_counted_from_0_and_from_1(number_of_calls):
    calls = [[["x", 0, 0, {"number": number}]] for number in range(number_of_calls)]
    config = graph(calls, range(1, number_of_calls + 1))
    made = doubled(config)
    block, add = made["layers"][1:]
    for position, (_, number, _, _) in enumerate(add["inbound_nodes"][0]):
        assert block["inbound_nodes"][number] == block["inbound_nodes"][number - 1] == calls[position]
    assert made["output_layers"][1][1] == 2 * number_of_calls - 1
    assert undoubled(made) == config


def test_what_needs_no_change():
    from_zero = graph([ONE, TWO], [0, 1])
    assert doubled(from_zero) is from_zero and undoubled(from_zero) is from_zero
    twice_the_same = graph([ONE, ONE], [1, 2])
    assert undoubled(twice_the_same) is twice_the_same
    plain = {**from_zero, "layers": [{**entry, "config": {}} for entry in from_zero["layers"]]}
    assert doubled(plain) is plain


def test_a_model_that_is_called_twice(tmp_path):
    layers = tf.keras.layers
    x = layers.Input((3,), name="x")
    block = tf.keras.Model(x, layers.Dense(3, activation="tanh", name="inner")(x), name="block")
    a, b = layers.Input((3,), name="a"), layers.Input((3,), name="b")
    one = block(a)
    model = tf.keras.Model([a, b], [layers.subtract([block(one), block(b)], name="difference"), one])
    model.save(tmp_path / "model.h5", include_optimizer=False)
    with h5py.File(tmp_path / "model.h5") as file:
        config = json.loads(file.attrs["model_config"])
    calls = next(entry["inbound_nodes"] for entry in config["config"]["layers"] if entry["name"] == "block")
    assert len(calls) == 6 and calls[0] == calls[1]
    loaded = tf.keras.models.load_model(tmp_path / "model.h5", compile=False)
    random = np.random.RandomState(0)
    inputs = [random.rand(5, 3).astype("float32"), random.rand(5, 3).astype("float32")]
    for value, expected in zip(loaded.predict(inputs), model.predict(inputs), strict=True):
        np.testing.assert_array_equal(value, expected)
    assert loaded.get_config() == model.get_config()
    assert len(loaded.get_layer("block").inbound_nodes) == len(block.inbound_nodes)
