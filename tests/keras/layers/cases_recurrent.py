"""Recurrent layers and what they are called on, for the recorder and for the tests.

A case makes its layer from a module of layers, so that Keras' and ours are made alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

SAMPLES, STEPS, FEATURES, UNITS = 3, 4, 3, 2
IMAGES = (2, 3, 5, 4, 2)


class Case(NamedTuple):
    """A layer and how it is called.

    Attributes:
        make: (module of layers) -> layer.
        states: How many initial states are given, each [samples, units].
        mask: Whether some steps do not count: none does for the last sample.
        shape: Of the inputs; [samples, steps, features] by default.
    """

    name: str
    make: Callable[[Any], Any]
    states: int = 0
    mask: bool = False
    shape: tuple[int, ...] = (SAMPLES, STEPS, FEATURES)


def _grid() -> list[Case]:
    layers = [("SimpleRNN", {}), ("GRU", {}), ("GRU", {"reset_after": False}), ("LSTM", {})]
    choices = itertools.product(layers, *[(False, True)] * 4)
    cases = []
    for (layer, options), sequences, backwards, masked, given in choices:
        arguments = {**options, "return_sequences": sequences, "go_backwards": backwards}
        label = ("", "-before")[layer == "GRU" and bool(options)]
        name = f"{layer}{label}-{sequences:d}{backwards:d}{masked:d}{given:d}"
        cases.append(Case(name, _maker(layer, **arguments), given * (2 if layer == "LSTM" else 1), masked))
    return cases


def _maker(layer: str, *sizes: Any, **arguments: Any) -> Callable[[Any], Any]:
    return lambda layers: getattr(layers, layer)(*(sizes or (UNITS,)), name="layer", **arguments)


def _cells(*names: str, **options: Any) -> Callable[[Any], Any]:
    def make(layers: Any) -> Any:
        return layers.RNN([getattr(layers, name)(UNITS, name=f"cell{i}") for i, name in enumerate(names)],
                          name="layer", **options)  # fmt: skip

    return make


def _one_cell(name: str, units: int = UNITS, arguments: dict | None = None, **options: Any) -> Callable[[Any], Any]:
    return lambda layers: layers.RNN(getattr(layers, name)(units, **(arguments or {})), name="layer", **options)


def _both(
    layer: str, arguments: dict | None = None, backward: str | None = None, **options: Any
) -> Callable[[Any], Any]:
    inner = arguments or {}

    def make(layers: Any) -> Any:
        other = {}
        if backward is not None:
            other["backward_layer"] = getattr(layers, backward)(UNITS, go_backwards=True, name="other", **inner)
        return layers.Bidirectional(
            getattr(layers, layer)(UNITS, name="inner", **inner), name="layer", **options, **other
        )

    return make


ALL = {"return_sequences": True, "return_state": True}

CASES = [
    *_grid(),
    Case("SimpleRNN-states", _maker("SimpleRNN", return_state=True, activation="relu")),
    Case("SimpleRNN-no bias", _maker("SimpleRNN", use_bias=False, kernel_regularizer="l2")),
    Case("GRU-states", _maker("GRU", **ALL), mask=True),
    Case("GRU-no bias", _maker("GRU", use_bias=False)),
    Case("GRU-activations", _maker("GRU", activation="softsign", recurrent_activation="hard_sigmoid"), mask=True),
    Case("LSTM-states", _maker("LSTM", **ALL), states=2, mask=True),
    Case("LSTM-no bias", _maker("LSTM", use_bias=False)),
    Case("LSTM-activations", _maker("LSTM", activation="elu", recurrent_activation="hard_sigmoid"), mask=True),
    Case("LSTM-1", _maker("LSTM", implementation=1, unit_forget_bias=False)),
    Case("LSTM-regularized", _maker("LSTM", recurrent_regularizer="l2", bias_regularizer="l1",
                                    activity_regularizer="l2", kernel_constraint="unit_norm")),
    Case("LSTM-unrolled", _maker("LSTM", unroll=True, return_sequences=True), mask=True),
    Case("LSTM-time first", _maker("LSTM", time_major=True, return_sequences=True), shape=(STEPS, SAMPLES, FEATURES)),
    Case("LSTM-zeros", _maker("LSTM", return_sequences=True, zero_output_for_mask=True), mask=True),
    Case("RNN-simple", _one_cell("SimpleRNNCell", return_sequences=True), mask=True),
    Case("RNN-gru", _one_cell("GRUCell", arguments={"reset_after": False, "implementation": 1}, return_state=True)),
    Case("RNN-lstm", _one_cell("LSTMCell", arguments={"implementation": 1}, **ALL), mask=True),
    Case("RNN-zeros", _one_cell("GRUCell", return_sequences=True, zero_output_for_mask=True), mask=True),
    Case("RNN-stack", _cells("LSTMCell", "GRUCell", "SimpleRNNCell", return_sequences=True), mask=True),
    Case("RNN-stack backwards", _cells("SimpleRNNCell", "LSTMCell", go_backwards=True)),
    Case("Bidirectional-concat", _both("LSTM", {"return_sequences": True}), mask=True),
    Case("Bidirectional-last", _both("GRU"), mask=True),
    Case("Bidirectional-sum", _both("GRU", {"return_sequences": True}, merge_mode="sum")),
    Case("Bidirectional-mul", _both("SimpleRNN", {"return_sequences": True}, merge_mode="mul"), mask=True),
    Case("Bidirectional-ave", _both("SimpleRNN", merge_mode="ave")),
    Case("Bidirectional-two", _both("LSTM", {"return_sequences": True}, merge_mode=None)),
    Case("Bidirectional-states", _both("LSTM", ALL), states=4, mask=True),
    Case("Bidirectional-other", _both("LSTM", {"return_sequences": True}, backward="GRU"), mask=True),
    Case("ConvLSTM2D", _maker("ConvLSTM2D", 3, 2), shape=IMAGES),
    Case("ConvLSTM2D-same", _maker("ConvLSTM2D", 2, (3, 2), padding="same", return_sequences=True), mask=True,
         shape=IMAGES),
    Case("ConvLSTM2D-strides", _maker("ConvLSTM2D", 2, 2, strides=(2, 1), recurrent_activation="sigmoid",
                                      go_backwards=True, use_bias=False), shape=IMAGES),
    Case("ConvLSTM2D-dilation", _maker("ConvLSTM2D", 2, 2, dilation_rate=2, return_state=True, unit_forget_bias=False),
         shape=IMAGES),
]  # fmt: skip


class Problem(NamedTuple):
    """The arrays a case is run on."""

    x: np.ndarray
    mask: np.ndarray | None
    states: list[np.ndarray]


def problem(case: Case) -> Problem:
    """Arrays that are the same wherever this runs."""
    random = np.random.RandomState(len(case.name))
    x = random.uniform(-1, 1, case.shape).astype("float32")
    mask = None
    if case.mask:
        mask = random.rand(*case.shape[:2]) < 0.7
        mask[0, 0], mask[0, 1], mask[-1] = False, True, False
    states = [random.uniform(-1, 1, (case.shape[0], UNITS)).astype("float32") for _ in range(case.states)]
    return Problem(x, mask, states)


def new_weights(shapes: list[tuple[int, ...]], case: Case) -> list[np.ndarray]:
    """Weights of no particular pattern."""
    random = np.random.RandomState(len(case.name) + 1)
    return [random.uniform(-0.8, 0.8, shape).astype("float32") for shape in shapes]


def slopes(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """What outputs are multiplied with to make a loss of them."""
    return [np.cos(np.arange(np.prod(shape)) + i).reshape(shape).astype("float32") for i, shape in enumerate(shapes)]
