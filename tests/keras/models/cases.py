"""Models, built by either Keras: each function takes the `keras` module and returns a model with fixed names."""

from __future__ import annotations

from typing import Any

import numpy as np


def chain(keras: Any) -> Any:
    """One layer after another."""
    inputs = keras.Input((6,), name="x")
    hidden = keras.layers.Dense(5, activation="relu", name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="out")(hidden), name="chain")


def branches(keras: Any) -> Any:
    """Two inputs, two outputs, a skip connection."""
    left, right = keras.Input((4,), name="left"), keras.Input((6,), name="right")
    a = keras.layers.Dense(5, activation="tanh", name="a")(left)
    b = keras.layers.Dense(5, activation="tanh", name="b")(right)
    joined = keras.layers.Add(name="joined")([a, b])
    deep = keras.layers.Dense(5, activation="tanh", name="deep")(keras.layers.Dense(5, name="deeper")(joined))
    both = keras.layers.Concatenate(name="both")([deep, a])
    outputs = [keras.layers.Dense(1, name="first")(both), keras.layers.Dense(2, name="second")(deep)]
    return keras.Model([left, right], outputs, name="branches")


def shared(keras: Any) -> Any:
    """A layer called on two inputs."""
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    twin = keras.layers.Dense(3, name="twin")
    out = keras.layers.Dense(2, name="out")(keras.layers.Subtract(name="difference")([twin(left), twin(right)]))
    return keras.Model([left, right], out, name="shared")


def nested(keras: Any) -> Any:
    """A functional model and a stack as layers, the first of them called twice."""
    x = keras.Input((4,), name="x")
    inner = keras.Model(x, keras.layers.Dense(4, activation="tanh", name="core")(x), name="inner")
    stack = keras.Sequential([keras.layers.Dense(3, input_shape=(4,), name="top")], name="stack")
    outer = keras.Input((4,), name="outer_x")
    return keras.Model(outer, stack(inner(inner(outer))), name="nested")


def images(keras: Any) -> Any:
    """A small network for images with normalisation."""
    layers = keras.layers
    x = keras.Input((8, 8, 2), name="x")
    y = layers.Conv2D(3, 3, padding="same", name="conv", use_bias=False)(x)
    y = layers.Activation("relu", name="act")(layers.BatchNormalization(name="norm")(y))
    y = layers.Flatten(name="flat")(layers.MaxPooling2D(name="pool")(y))
    return keras.Model(x, layers.Dense(2, name="out")(layers.Dropout(0.5, name="drop")(y)), name="images")


def mapping(keras: Any) -> Any:
    """Inputs in a dict."""
    ends = {"p": keras.Input((2,), name="p"), "q": keras.Input((3,), name="q")}
    joined = keras.layers.Concatenate(name="joined")([ends["p"], ends["q"]])
    return keras.Model(ends, keras.layers.Dense(2, name="out")(joined), name="mapping")


def stack(keras: Any) -> Any:
    """A stack that knows its input."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Dense(5, activation="relu", input_shape=(4,), name="first"),
            layers.Dropout(0.2, name="drop"),
            layers.Dense(2, name="second"),
        ],
        name="stack",
    )


MODELS = [chain, branches, shared, nested, images, mapping, stack]


def inputs_for(model: Any, rows: int = 5) -> list[np.ndarray]:
    """Inputs that are the same for both."""
    random = np.random.RandomState(len(model.name))
    return [random.uniform(-1, 1, (rows, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]


def weights_for(model: Any) -> list[np.ndarray]:
    """Weights that are the same for both if their shapes come in the same order."""
    random = np.random.RandomState(7)
    return [random.uniform(0.2, 0.8, tuple(weight.shape)).astype("float32") for weight in model.weights]


def structured(model: Any, arrays: list) -> Any:
    """The arrays as the model takes them."""
    if model.name == "mapping":
        return dict(zip(("p", "q"), arrays, strict=True))
    return arrays if len(arrays) > 1 else arrays[0]
