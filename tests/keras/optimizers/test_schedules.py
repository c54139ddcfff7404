"""Schedules of one's own in optimizers."""

import pytest

import distkeras as tf


def test_a_schedule_of_ones_own_gets_the_step_as_a_float():
    class Warming(tf.keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return tf.math.minimum(tf.math.rsqrt(step), step * 0.5)

    optimizer, x = tf.keras.optimizers.SGD(Warming()), tf.Variable(0.0)
    for expected in (0.0, -0.5, -0.5 - 2**-0.5):
        optimizer.apply_gradients([(tf.constant(1.0), x)])
        assert float(x) == pytest.approx(expected)
