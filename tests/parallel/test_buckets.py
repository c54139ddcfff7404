"""Bucketed reduction equals one allreduce, and begins before backward ends."""

import random
import time

import numpy as np
import pytest

from distkeras.distribute.buckets import GradientBuckets

SIZES = [700, 30, 5_000, 1, 64, 2_000]
BOUNDARIES = [0, *np.cumsum(SIZES).tolist()]


def gradients(communicator, step):
    return np.random.default_rng([communicator.rank, step]).integers(-9, 9, BOUNDARIES[-1])


@pytest.mark.parametrize("cap_bytes", [1, 10_000, 10**9])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_equal_to_one_allreduce(communicator, dtype, cap_bytes):
    flat = communicator.allocate(BOUNDARIES[-1], dtype)
    buckets = GradientBuckets(communicator, flat, BOUNDARIES, cap_bytes)
    for step in range(5):
        expected = gradients(communicator, step)
        communicator.allreduce_(expected)
        flat[:] = gradients(communicator, step)
        order = list(range(len(buckets)))
        # Kernels may finish in another order on each rank.
        random.Random(100 * step + communicator.rank).shuffle(order)
        for index in order:
            buckets.start(index)
        buckets.wait()
        np.testing.assert_array_equal(flat, expected)


def test_collectives_of_the_main_thread_go_on_meanwhile(communicator):
    flat = communicator.allocate(BOUNDARIES[-1], np.float32)
    buckets = GradientBuckets(communicator, flat, BOUNDARIES, cap_bytes=1)
    for _ in range(10):
        flat[:] = 1
        for index in range(len(buckets)):
            buckets.start(index)
            moments = np.ones(16)
            communicator.allreduce_(moments)
            assert moments[0] == communicator.size
        buckets.wait()
        assert (flat == communicator.size).all()


@pytest.mark.mpi(min_size=2)
def test_reductions_end_before_the_last_bucket_is_started(communicator):
    flat = communicator.allocate(BOUNDARIES[-1], np.float32)
    buckets = GradientBuckets(communicator, flat, BOUNDARIES, cap_bytes=1)
    for index in range(len(buckets)):
        buckets.start(index)
        time.sleep(0.05)
    buckets.wait()
    assert buckets.times[0].begun < buckets.times[-1].started
    assert sum(span.ended < buckets.times[-1].started for span in buckets.times) >= 1
