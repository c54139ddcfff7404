"""Schedules give Keras' learning rates, as numbers and as tensors, and can be one's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.core import random_state
from distkeras.core.tensor import to_tensor
from distkeras.core.variable import Variable
from distkeras.graph.function import function
from distkeras.keras import optimizers
from tests.keras.optimizers.cases import SCHEDULE_STEPS, SCHEDULES

RECORDED = dict(np.load(Path(__file__).parent / "data" / "optimizers.npz"))


@pytest.mark.parametrize("index", range(len(SCHEDULES)), ids=[f"{name} {arguments}" for name, arguments in SCHEDULES])
def test_schedules_are_those_of_keras(index):
    name, arguments = SCHEDULES[index]
    schedule = getattr(optimizers.schedules, name)(**arguments)
    received = [float(schedule(step)) for step in SCHEDULE_STEPS]
    np.testing.assert_allclose(received, RECORDED[f"schedule {index}"], rtol=2e-6, atol=1e-8)
    numbers = [schedule.value_at(step) for step in SCHEDULE_STEPS]
    np.testing.assert_allclose(numbers, received, rtol=1e-6, atol=2e-9)
    config = schedule.get_config()
    if f"schedule {index} config" in RECORDED:
        expected = json.loads(str(RECORDED[f"schedule {index} config"]))
        later = {"warmup_target": None, "warmup_steps": 0}
        assert config == {key: value for key, value in expected.items() if key in config}
        assert {key: value for key, value in expected.items() if key not in config}.items() <= later.items()
    assert config.items() >= arguments.items()
    copy = optimizers.schedules.deserialize(optimizers.schedules.serialize(schedule))
    assert float(copy(7)) == pytest.approx(float(function(schedule)(to_tensor(7))), rel=1e-6)
    optimizer = optimizers.Adam.from_config(optimizers.Adam(schedule).get_config())
    assert float(optimizer.learning_rate(7)) == float(copy(7))


def test_every_registered_schedule_is_tried():
    assert set(optimizers.schedules.SCHEDULES) == {name for name, _ in SCHEDULES} | {"LinearWarmup"}


def test_a_warm_up_leads_to_what_comes_after():
    schedules = optimizers.schedules
    for after in (0.5, schedules.PolynomialDecay(0.5, 100, 0.0), schedules.PiecewiseConstantDecay([3], [0.5, 0.25])):
        warm = schedules.LinearWarmup(after, 10, 0.1)
        later = [after if isinstance(after, float) else float(after(step)) for step in range(30)]
        expected = [0.1 + (later[10] - 0.1) * step / 10 if step < 10 else later[step] for step in range(30)]
        copy = schedules.deserialize(json.loads(json.dumps(schedules.serialize(warm))))
        for schedule in (warm, copy):
            np.testing.assert_allclose([float(schedule(step)) for step in range(30)], expected, rtol=1e-6)
            np.testing.assert_allclose([schedule.value_at(step) for step in range(30)], expected, rtol=1e-6)
        optimizer, x = optimizers.SGD(warm), Variable(0.0)
        for _ in range(12):
            optimizer.apply_gradients([(to_tensor(1.0), x)])
        assert float(x) == pytest.approx(-sum(expected[:12]), rel=1e-6)


def test_noise_belongs_to_the_seed_and_the_step():
    random_state.set_seed(5)
    schedule = optimizers.schedules.NoisyLinearCosineDecay(1.0, 1000)
    first = [schedule.value_at(step) for step in range(300)]
    assert first == [schedule.value_at(step) for step in range(300)]
    line = optimizers.schedules.LinearCosineDecay(1.0, 1000)
    noise = np.array([(value - line.value_at(step)) for step, value in enumerate(first)])
    spread = noise * (1 + np.arange(300)) ** 0.275  # the deviation that is left is 1, times the cosine
    assert 0.8 < spread.std() < 1.1 and abs(spread.mean()) < 0.2
    random_state.set_seed(6)
    assert schedule.value_at(3) != first[3]
    assert float(schedule(3)) != float(schedule(3))


def test_a_formula_that_overflows_gives_infinity_as_tensors_do():
    assert optimizers.schedules.ExponentialDecay(1.0, 1, 2.0).value_at(10**6) == np.inf


def test_a_subclass_of_a_known_schedule_is_asked_itself():
    class Doubled(optimizers.schedules.PolynomialDecay):
        def __call__(self, step):
            return 2.0 * super().__call__(step)

    optimizer, x = optimizers.SGD(Doubled(0.5, 10, 0.5)), Variable(0.0)
    optimizer.apply_gradients([(to_tensor(1.0), x)])
    assert float(x) == -1.0


def test_a_schedule_of_ones_own_gets_the_step_as_a_float():
    class Warming(tf.keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return tf.math.minimum(tf.math.rsqrt(step), step * 0.5)

    optimizer, x = tf.keras.optimizers.SGD(Warming()), tf.Variable(0.0)
    for expected in (0.0, -0.5, -0.5 - 2**-0.5):
        optimizer.apply_gradients([(tf.constant(1.0), x)])
        assert float(x) == pytest.approx(expected)


def test_a_schedule_of_ones_own_may_use_python_and_numpy():
    class Half(optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return np.float32(0.5 ** int(step))

    optimizer, x = optimizers.SGD(Half()), Variable(0.0)
    function(lambda: optimizer.apply_gradients([(to_tensor(1.0), x)]))()
    optimizer.apply_gradients([(to_tensor(1.0), x)])
    assert float(x) == -1.5
