"""Recurrences as ops: what they refuse, and what a mask means. Values and derivatives: tests/kernels, examples.py."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops

RNG = np.random.default_rng(3)


def normal(*shape):
    return RNG.standard_normal(shape).astype("float32")


def test_steps_that_do_not_count_change_nothing():
    x, recurrent, h, c = normal(4, 3, 8), normal(2, 8), normal(3, 2), normal(3, 2)
    mask = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0]], bool)
    states, last = ops.lstm(x, recurrent, h, c, mask)
    for sample, steps in enumerate(([0, 2, 3], [0, 1, 2], [])):
        one = slice(sample, sample + 1)
        if steps:
            kept, memory = ops.lstm(x[steps][:, one], recurrent, h[one], c[one])
            np.testing.assert_allclose(states.numpy()[-1, one], kept.numpy()[-1], rtol=1e-6)
            np.testing.assert_allclose(last.numpy()[one], memory.numpy(), rtol=1e-6)
        else:
            np.testing.assert_array_equal(states.numpy()[:, sample], np.broadcast_to(h[sample], (4, 2)))
            np.testing.assert_array_equal(last.numpy()[sample], c[sample])


def test_a_mask_of_ones_is_none():
    x, recurrent, bias, h = normal(4, 3, 6), normal(2, 6), normal(6), normal(3, 2)
    np.testing.assert_array_equal(
        ops.gru(x, recurrent, bias, h).numpy(), ops.gru(x, recurrent, bias, h, np.ones((4, 3), bool)).numpy()
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: ops.lstm(normal(4, 3, 6), normal(2, 8), normal(3, 2), normal(3, 2)),
        lambda: ops.lstm(normal(4, 3, 8), normal(2, 8), normal(4, 2), normal(3, 2)),
        lambda: ops.lstm(normal(0, 3, 8), normal(2, 8), normal(3, 2), normal(3, 2)),
        lambda: ops.gru(normal(4, 3, 6), normal(2, 8), normal(6), normal(3, 2)),
        lambda: ops.simple_rnn(normal(3, 2), normal(2, 2), normal(3, 2)),
        lambda: ops.simple_rnn(normal(4, 3, 2), normal(2, 2), normal(3, 2), np.ones((3, 4), bool)),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"expected x \[steps, batch, .* received"):
        call()
