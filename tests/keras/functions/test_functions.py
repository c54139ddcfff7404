"""Activations, regularizers, constraints and initializers do what Keras 2's do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distkeras import ops
from distkeras.core import random_state
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import to_tensor
from distkeras.graph.function import function
from distkeras.keras import activations, constraints, initializers, regularizers
from distkeras.keras.initializers import scaling
from tests.keras.functions.cases import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS, SHAPE, values, weight

RECORDED = dict(np.load(Path(__file__).parent / "data" / "functions.npz"))


def each(cases):
    return pytest.mark.parametrize("index", range(len(cases)), ids=[f"{name} {arguments}" for name, arguments in cases])


# --- activations


@each(ACTIVATIONS)
def test_activations(index):
    name, arguments = ACTIVATIONS[index]
    x = to_tensor(values())
    with GradientTape() as tape:
        tape.watch(x)
        y = activations.get(name)(x, **arguments)
    np.testing.assert_allclose(y.numpy(), RECORDED[f"activation {index}"], rtol=2e-6, atol=1e-6)
    gradient = tape.gradient(y, x, output_gradients=ops.cos(x))
    np.testing.assert_allclose(gradient.numpy(), RECORDED[f"activation {index} gradient"], rtol=1e-5, atol=1e-6)
    traced = function(lambda x: activations.get(name)(x, **arguments))
    np.testing.assert_allclose(traced(x).numpy(), y.numpy(), rtol=2e-6, atol=1e-6)
    assert activations.deserialize(activations.serialize(activations.get(name))) is getattr(activations, name)


def test_which_activation():
    assert activations.get(None) is activations.linear
    assert activations.get(np.tanh) is np.tanh
    assert set(activations.ACTIVATIONS) == {name for name, _ in ACTIVATIONS}
    with pytest.raises(ValueError, match="Unknown activation function: 'rely'.*Did you mean 'relu'"):
        activations.get("rely")
    with pytest.raises(TypeError, match="Could not interpret activation function identifier"):
        activations.get(3)
    with pytest.raises(ValueError, match="Cannot apply softmax to a tensor that is 1D"):
        activations.softmax([1.0, 2.0])


# --- regularizers


@each(REGULARIZERS)
def test_regularizers(index):
    name, arguments = REGULARIZERS[index]
    regularizer = getattr(regularizers, name)(**arguments)
    received = regularizer(values())
    assert received.shape == ()
    np.testing.assert_allclose(received.numpy(), RECORDED[f"regularizer {index}"].reshape(()), rtol=1e-6)
    expected = json.loads(str(RECORDED[f"regularizer {index} config"]))
    config = regularizer.get_config()
    assert {key: config[key] for key in expected} == expected
    copy = regularizers.deserialize(regularizers.serialize(regularizer))
    assert copy.get_config() == config
    theirs = regularizers.get({"class_name": {"l1": "L1", "l2": "L2"}.get(name, "L1L2"), "config": expected})
    assert float(theirs(values())) == float(received)


def test_which_regularizer():
    assert regularizers.get(None) is None
    assert regularizers.get("l2").get_config()["l2"] == pytest.approx(0.01)
    assert regularizers.l1(l=0.5).l1 == 0.5
    own = lambda x: ops.reduce_sum(x)  # noqa: E731
    assert regularizers.get(own) is own
    with pytest.raises(ValueError, match="Unknown regularizer: 'l3'"):
        regularizers.get("l3")
    with pytest.raises(TypeError, match="unexpected keyword arguments .'x'"):
        regularizers.l2(x=1)
    with pytest.raises(ValueError, match="must be a number"):
        regularizers.L1L2(l1="a")


# --- constraints


@each(CONSTRAINTS)
def test_constraints(index):
    name, arguments = CONSTRAINTS[index]
    constraint = getattr(constraints, name)(**arguments)
    received = constraint(to_tensor(weight(name))).numpy()
    np.testing.assert_allclose(received, RECORDED[f"constraint {index}"], rtol=2e-6, atol=1e-7)
    assert constraint.get_config() == json.loads(str(RECORDED[f"constraint {index} config"]))
    copy = constraints.deserialize(constraints.serialize(constraint))
    assert type(copy) is type(constraint) and copy.get_config() == constraint.get_config()


def test_which_constraint():
    assert constraints.get(None) is None
    assert set(constraints.CONSTRAINTS) == {name for name, _ in CONSTRAINTS}
    assert isinstance(constraints.get("max_norm"), constraints.MaxNorm)
    assert constraints.get(np.abs) is np.abs
    with pytest.raises(ValueError, match="Unknown constraint: 'MaxNrm'.*Did you mean 'MaxNorm'"):
        constraints.get("MaxNrm")


# --- initializers


@each(INITIALIZERS)
def test_initializers_have_the_distributions_of_keras(index):
    name, arguments = INITIALIZERS[index]
    initializer = getattr(initializers, name)(**arguments)
    received = initializer(SHAPE)
    assert received.shape == SHAPE and received.dtype == "float32"
    sample = received.numpy().astype(np.float64)
    mean, deviation, low, high = RECORDED[f"initializer {index}"]
    spread = max(deviation, 1e-6)
    assert abs(sample.mean() - mean) < 0.08 * spread and abs(sample.std() - deviation) < 0.05 * spread
    # Normal extremes vary from sample to sample, bounds do not.
    room = 1.5 if name in ("RandomNormal", "Orthogonal") or "untruncated_normal" in arguments.values() else 0.02
    assert abs(sample.min() - low) < room * spread and abs(sample.max() - high) < room * spread


@each(INITIALIZERS)
def test_initializers_repeat_by_seed_and_serialize(index):
    name, arguments = INITIALIZERS[index]
    initializer = getattr(initializers, name)(**arguments)
    first = initializer((4, 6), dtype="float64")
    assert first.dtype == "float64"
    copy = initializers.deserialize(initializers.serialize(initializer))
    np.testing.assert_array_equal(first.numpy(), copy((4, 6), dtype="float64").numpy())
    expected = json.loads(str(RECORDED[f"initializer {index} config"]))
    config = initializer.get_config()
    assert {key: config[key] for key in expected} == expected
    if not name.startswith(("he_", "lecun_")):  # these are spelled out as VarianceScaling
        assert config == expected
    read = initializers.get({"class_name": _later_name(name), "config": expected})
    np.testing.assert_array_equal(first.numpy(), read((4, 6), dtype="float64").numpy())


def _later_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_")) if "_" in name else name


def test_unseeded_initializers_follow_the_global_seed():
    unseeded = initializers.GlorotUniform()
    random_state.set_seed(4)
    first, second = unseeded((3, 3)).numpy(), unseeded((3, 3)).numpy()
    random_state.set_seed(4)
    np.testing.assert_array_equal(unseeded((3, 3)).numpy(), first)
    assert (first != second).all()


@pytest.mark.parametrize(
    ("shape", "fan_in", "fan_out"),
    [((), 1, 1), ((5,), 5, 5), ((3, 4), 3, 4), ((2, 3, 4, 5), 24, 30), ((7, 4, 5), 28, 35)],
)
def test_fans(shape, fan_in, fan_out):
    assert scaling.fans(shape) == (fan_in, fan_out)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 3, 5)])
def test_orthogonal_rows_or_columns(shape):
    matrix = initializers.Orthogonal()(shape, dtype="float64").numpy().reshape(-1, shape[-1])
    gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


def test_integers_and_lists():
    drawn = initializers.RandomUniform(0, 5, seed=1)((100,), dtype="int32")
    assert drawn.dtype == "int32" and set(drawn.numpy().tolist()) == {0, 1, 2, 3, 4}
    assert initializers.Zeros()((2,), dtype="bool").numpy().tolist() == [False, False]
    assert initializers.Constant([1, 2, 3, 4])((2, 2)).numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_which_initializer():
    assert initializers.get(None) is None
    assert isinstance(initializers.get("he_normal"), initializers.VarianceScaling)
    assert isinstance(initializers.get(initializers.Ones), initializers.Ones)
    tried = {name for name, _ in INITIALIZERS}
    assert set(initializers.INITIALIZERS) == tried
    for name in initializers.INITIALIZERS:
        assert initializers.get(name).get_config() is not None
