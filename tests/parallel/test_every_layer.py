"""Every layer trains on N ranks as it does alone, compiled and step by step; batches are ragged, some slices empty."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras.distribute import environment
from distkeras.keras.layers.base import LAYERS
from tests.keras.layers.cases import CASES, Case, arguments_of

ROWS, BATCH = 7, 5
pytestmark = pytest.mark.skipif(environment.detect().size > 2, reason="two ranks show what there is to show of layers")
FIRST_CASES = {case.layer: case for case in reversed(CASES)}


def data_of(case: Case) -> tuple[list[np.ndarray], np.ndarray]:
    random = np.random.default_rng(0)
    shapes = [(ROWS, *shape[1:]) for shape in case.shapes]
    if case.integers:
        x = [random.integers(0, case.integers, shape).astype("int32") for shape in shapes]
    else:
        x = [random.standard_normal(shape).astype("float32") for shape in shapes]
    return x, random.standard_normal((ROWS, 1)).astype("float32")


def build(case: Case, x: list[np.ndarray]) -> tf.keras.Model:
    tf.keras.backend.clear_session()
    tf.random.set_seed(7)
    inputs = [tf.keras.Input(array.shape[1:], dtype=array.dtype) for array in x]
    output = LAYERS[case.layer].from_config(case.arguments)(*arguments_of(case, inputs))
    return tf.keras.Model(inputs, tf.keras.layers.Dense(1)(tf.keras.layers.Flatten()(output)))


def train(strategy, case: Case, run_eagerly: bool = False) -> list[np.ndarray]:
    x, y = data_of(case)
    with strategy.scope():
        model = build(case, x)
        model.compile(tf.keras.optimizers.SGD(0.001), "mse", run_eagerly=run_eagerly)
    history = model.fit(x, y, BATCH, epochs=2, verbose=0, shuffle=False)
    return [np.array(history.history["loss"]), model.predict(x, batch_size=BATCH), *model.get_weights()]


@pytest.mark.parametrize("case", FIRST_CASES.values(), ids=FIRST_CASES)
def test_n_ranks_equal_one_and_the_plan_equals_eager(case: Case):
    together = train(tf.distribute.MirroredStrategy(), case)
    alone = train(tf.distribute.OneDeviceStrategy(), case)
    step_by_step = train(tf.distribute.MirroredStrategy(), case, run_eagerly=True)
    for result, expected, eager in zip(together, alone, step_by_step, strict=True):
        np.testing.assert_allclose(result, expected, rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(result, eager, rtol=2e-5, atol=2e-6)
