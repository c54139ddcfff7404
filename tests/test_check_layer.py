"""`check_layer`: every registered layer passes, and what a layer may do wrong is found."""

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.layers.base import LAYERS
from distkeras.testing import check_layer
from tests.keras.layers.cases import CASES, inputs_of
from tests.keras.layers.test_every_layer import ELSEWHERE

X = np.arange(6.0, dtype="float32").reshape(3, 2)
STEPS = np.random.default_rng(0).standard_normal((3, 4, 2)).astype("float32")
PICTURES = np.random.default_rng(0).standard_normal((3, 2, 4, 4, 1)).astype("float32")
# Called on more than one tensor, or differing from call to call.
SPECIAL = {"MultiHeadAttention"}
FIRST = {case.layer: case for case in reversed(CASES) if "renorm" not in case.arguments}
RECURRENT = {
    "SimpleRNN": lambda layers: layers.SimpleRNN(2, return_sequences=True),
    "GRU": lambda layers: layers.GRU(2, return_state=True),
    "LSTM": lambda layers: layers.LSTM(2, go_backwards=True),
    "RNN": lambda layers: layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)], return_sequences=True),
    "Bidirectional": lambda layers: layers.Bidirectional(layers.LSTM(2, return_sequences=True), merge_mode="sum"),
    "ConvLSTM2D": lambda layers: layers.ConvLSTM2D(2, 2),
}


@pytest.mark.parametrize("name", sorted(set(FIRST) - SPECIAL))
def test_every_layer(name):
    case = FIRST[name]
    config = {"class_name": name, "config": case.arguments}
    check_layer(lambda: tf.keras.layers.deserialize(config), *inputs_of(case))


@pytest.mark.parametrize("name", RECURRENT)
def test_every_recurrent_layer(name):
    check_layer(lambda: RECURRENT[name](tf.keras.layers), PICTURES if name == "ConvLSTM2D" else STEPS)


def test_no_layer_is_left_out():
    left = set(LAYERS) - set(FIRST) - set(RECURRENT)
    assert {name for name in left if not name.endswith(("Cell", "Cells"))} <= ELSEWHERE


class Scaled(tf.keras.layers.Layer):
    """Right, but for what a subclass breaks."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.scale = self.add_weight("scale", shape=(input_shape[-1],), initializer="uniform")

    def call(self, inputs):
        return inputs * self.scale * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class WrongShape(Scaled):
    def compute_output_shape(self, input_shape):
        return (input_shape[0], 7)


class NoArgument(Scaled):
    def get_config(self):
        return {**super().get_config(), "faktor": self.factor}


class Forgetful(Scaled):
    def get_config(self):
        return tf.keras.layers.Layer.get_config(self)


class Counting(Scaled):
    calls = 0

    def call(self, inputs):
        type(self).calls += 1
        return super().call(inputs) * float(self.calls)


def test_a_layer_of_ones_own():
    check_layer(Scaled, X)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (WrongShape, r"compute_output_shape gives \(None, 7\), the output has \(3, 2\)"),
        (NoArgument, "must hold the arguments of the constructor"),
        (lambda: Forgetful(3.0), "a copy made from its config differs"),
        (Counting, "differs|compiled against eager"),
    ],
)
def test_what_is_wrong_is_found(make, message):
    with pytest.raises(AssertionError, match=message):
        check_layer(make, X)
