"""Losses give the numbers, gradients and configs of Keras 2, and refuse what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distkeras.core.spec import TensorSpec
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import to_tensor
from distkeras.graph.function import function
from distkeras.keras import losses
from tests.keras.losses.cases import CASES, FUNCTIONS, REDUCTIONS, WEIGHTS, inputs, weights

RECORDED = dict(np.load(Path(__file__).parent / "data" / "losses.npz"))
IDS = [f"{name} {arguments} {data}" for name, arguments, data in CASES]
LATER = {"axis": -1, "ignore_class": None}  # what later versions write beside TensorFlow 2.0's settings
INDICES = pytest.mark.parametrize("index", range(len(CASES)), ids=IDS)


def make(index: int, **more):
    name, arguments, data = CASES[index]
    return getattr(losses, name)(**arguments, **more), *inputs(data)


@INDICES
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_values_are_those_of_keras(index, reduction, kind):
    loss, y_true, y_pred = make(index, reduction=reduction)
    expected = RECORDED.get(f"{index} {reduction} {kind}")
    if expected is None or (CASES[index][2], kind) == ("column", "column"):  # weights of higher rank than the losses
        with pytest.raises(ValueError, match="weights can not be broadcast"):
            loss(y_true, y_pred, weights(kind))
        return
    received = loss(y_true, y_pred, weights(kind))
    assert tuple(received.shape) == expected.shape and received.dtype == "float32"
    np.testing.assert_allclose(received.numpy(), expected, rtol=2e-6, atol=1e-6)


@INDICES
def test_gradients_are_those_of_keras(index):
    loss, y_true, y_pred = make(index)
    x = to_tensor(y_pred)
    with GradientTape() as tape:
        tape.watch(x)
        total = loss(y_true, x)
    np.testing.assert_allclose(tape.gradient(total, x).numpy(), RECORDED[f"{index} gradient"], rtol=2e-5, atol=2e-6)


@INDICES
def test_a_traced_loss_is_the_eager_one(index):
    loss, y_true, y_pred = make(index)
    vector = weights("vector") if f"{index} auto vector" in RECORDED else None
    traced = function(lambda *arguments: loss(*arguments))
    arguments = [to_tensor(value) for value in (y_true, y_pred, vector) if value is not None]
    np.testing.assert_allclose(traced(*arguments).numpy(), loss(*arguments).numpy(), rtol=1e-6, atol=1e-7)


@INDICES
def test_configs_are_those_of_keras_and_make_the_same_loss(index):
    loss, y_true, y_pred = make(index)
    expected = json.loads(str(RECORDED[f"{index} config"]))
    received = loss.get_config()
    assert {key: value for key, value in expected.items() if key not in (*received, "fn")}.items() <= LATER.items()
    assert {key: expected[key] for key in received if key != "name"} == {
        k: v for k, v in received.items() if k != "name"
    }
    copy = losses.deserialize(losses.serialize(loss))
    assert type(copy) is type(loss) and copy.get_config() == received
    theirs = losses.get({"class_name": CASES[index][0], "config": expected})
    assert float(theirs(y_true, y_pred)) == float(copy(y_true, y_pred)) == float(loss(y_true, y_pred))


def test_names_are_those_of_tensorflow_2_0():
    assert losses.LogCosh().name == "logcosh"
    assert losses.KLDivergence().name == "kullback_leibler_divergence"
    assert losses.Huber().name == "huber_loss"


@INDICES
def test_no_samples_give_zero_and_not_nan(index):
    loss, y_true, y_pred = make(index)
    x = to_tensor(y_pred[:0])
    with GradientTape() as tape:
        tape.watch(x)
        total = loss(y_true[:0], x)
    assert float(total) == 0.0
    assert tape.gradient(total, x).shape == x.shape


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_are_found_by_name_and_agree_with_classes(name):
    index = next(index for index, case in enumerate(CASES) if case[0] == name)
    loss, y_true, y_pred = make(index, reduction="none")
    fn = losses.get(FUNCTIONS[name])
    assert fn.__name__ == FUNCTIONS[name] == losses.serialize(fn)
    np.testing.assert_array_equal(fn(y_true, y_pred).numpy(), loss(y_true, y_pred).numpy())


def test_every_registered_loss_is_tried():
    tried = {name for name, _, _ in CASES} | set(FUNCTIONS.values())
    assert set(losses.LOSSES) == tried


@pytest.mark.parametrize(
    "alias", "mse MSE mae MAE mape MAPE msle MSLE kld KLD kl_divergence log_cosh huber bce cosine_proximity".split()
)
def test_aliases(alias):
    assert callable(losses.get(alias)) and losses.get(alias).__name__ in FUNCTIONS.values()


def test_float64_stays_float64():
    y_true, y_pred = (value.astype(np.float64) for value in inputs("numbers"))
    received = losses.MeanSquaredError()(y_true, y_pred)
    assert received.dtype == "float64"
    assert float(received) == pytest.approx(np.mean((y_true - y_pred) ** 2), rel=1e-14)


def test_a_loss_of_ones_own():
    class Quartic(losses.Loss):
        def __init__(self, factor=1.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * (y_true - y_pred) ** 4

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    loss = losses.deserialize(losses.serialize(Quartic(2.0, reduction="sum", name="q")), {"Quartic": Quartic})
    assert loss.name == "q"
    assert float(loss(np.zeros((2, 1), np.float32), np.array([[1.0], [2.0]], np.float32), np.array([1.0, 0.5]))) == 18.0


def test_a_wrapped_function_keeps_its_function():
    loss = losses.LossFunctionWrapper(losses.huber_loss, name="h", delta=0.5)
    config = loss.get_config()
    assert config == {"reduction": "auto", "name": "h", "delta": 0.5, "fn": "huber_loss"}
    copy = losses.LossFunctionWrapper.from_config(config)
    assert float(copy(*inputs("numbers"))) == float(loss(*inputs("numbers")))


def test_a_loss_is_inferred_from_specs():
    from distkeras.graph.trace import infer

    spec = TensorSpec((5, 4), "float32")
    inferred = infer(losses.CategoricalCrossentropy(reduction="none"), spec, spec)
    assert inferred.shape == (5,) and inferred.dtype == "float32"


def test_sparse_categorical_crossentropy_along_another_axis():
    labels, probabilities = inputs("label sequences")
    expected = losses.sparse_categorical_crossentropy(labels, probabilities)
    moved = np.moveaxis(probabilities, -1, 1)
    for axis in (1, -2):
        received = losses.sparse_categorical_crossentropy(labels, moved, axis=axis)
        np.testing.assert_allclose(received.numpy(), expected.numpy(), rtol=1e-6)


def test_a_mean_over_a_ranks_samples_is_refused_in_a_scope():
    from distkeras.distribute.mirrored import MirroredStrategy

    y_true, y_pred = inputs("numbers")
    strategy = MirroredStrategy()
    with strategy.scope():
        for reduction in ("auto", "sum_over_batch_size"):
            with pytest.raises(ValueError, match="compute_average_loss"):
                losses.MeanSquaredError(reduction)(y_true, y_pred)
        assert losses.MeanSquaredError("none")(y_true, y_pred).shape == (5,)
        assert losses.MeanSquaredError("sum")(y_true, y_pred).shape == ()
    with pytest.raises(ValueError, match="compute_average_loss"):
        strategy.run(lambda: losses.MeanSquaredError()(y_true, y_pred))
    assert losses.MeanSquaredError()(y_true, y_pred).shape == ()
