"""Cutting arenas, and the order of reductions, with a communicator that records instead of adding over ranks."""

import gc
import queue
import threading
import time

import numpy as np
import pytest

from distkeras.distribute.buckets import GradientBuckets
from distkeras.distribute.communicator import SerialCommunicator
from distkeras.distribute.lane import Lane


class Recording(SerialCommunicator):
    """Claims to be two ranks with equal gradients, and notes what is reduced on which thread."""

    size = 2

    def __init__(self, delay: float = 0.0, fail_at: int = -1) -> None:
        self.sizes, self.threads, self.duplicates = [], [], []
        self.delay, self.fail_at = delay, fail_at

    def allreduce_(self, array, purpose=""):
        if len(self.sizes) == self.fail_at:
            raise ConnectionError("link lost")
        time.sleep(self.delay)
        self.sizes.append(array.size)
        self.threads.append(threading.current_thread())
        array *= 2

    def duplicate(self):
        self.duplicates.append(Recording(self.delay, self.fail_at))
        self.duplicates[-1].sizes, self.duplicates[-1].threads = self.sizes, self.threads
        return self.duplicates[-1]


def cut(sizes, cap):
    boundaries = [0, *np.cumsum(sizes).tolist()]
    buckets = GradientBuckets(SerialCommunicator(), np.zeros(boundaries[-1], np.float32), boundaries, cap)
    return [list(group) for group in buckets.variables]


@pytest.mark.parametrize(
    "sizes, cap, expected",
    [
        ([], 16, []),
        ([3], 4, [[0]]),
        ([1, 1, 1, 1], 8, [[2, 3], [0, 1]]),
        ([1, 1, 1], 8, [[1, 2], [0]]),
        ([1, 100, 1], 16, [[2], [1], [0]]),
        ([0, 0, 4], 16, [[0, 1, 2]]),
        ([4, 0], 1, [[1], [0]]),
        ([4, 4], 10**9, [[0, 1]]),
    ],
)
def test_variables_are_grouped_from_the_last_up_to_the_cap(sizes, cap, expected):
    assert cut(sizes, cap) == expected


def test_slices_cover_the_arena_once():
    flat = np.zeros(20, np.float64)
    buckets = GradientBuckets(SerialCommunicator(), flat, [0, 5, 8, 20], cap_bytes=100)
    for part in buckets.slices:
        flat[part] += 1
    assert (flat == 1).all() and buckets.slices[0] == slice(8, 20)


def test_default_cap_is_the_setting():
    flat = np.zeros(3 << 20, np.float32)
    assert len(GradientBuckets(SerialCommunicator(), flat, [0, 1 << 20, 2 << 20, 3 << 20])) == 3


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_reductions_come_in_one_order_whatever_the_order_of_start(order):
    communicator = Recording()
    flat = np.ones(6, np.float32)
    buckets = GradientBuckets(communicator, flat, [0, 1, 3, 6], cap_bytes=1)
    for step in range(3):
        for index in order:
            buckets.start(index)
        buckets.wait()
        assert (flat == 2.0 ** (step + 1)).all()
    assert communicator.sizes == [3, 2, 1] * 3
    assert {thread.name for thread in communicator.threads} == {"distkeras-lane"}


def test_reduction_begins_before_the_last_start():
    buckets = GradientBuckets(Recording(), np.ones(4, np.float32), [0, 2, 4], cap_bytes=1)
    buckets.start(0)
    time.sleep(0.05)
    buckets.start(1)
    buckets.wait()
    first, second = buckets.times
    assert first.started <= first.begun <= first.ended < second.started <= second.begun <= second.ended


def test_wait_returns_only_when_all_is_reduced():
    flat = np.ones(4, np.float32)
    buckets = GradientBuckets(Recording(delay=0.02), flat, [0, 2, 4], cap_bytes=1)
    buckets.start(0)
    buckets.start(1)
    buckets.wait()
    assert (flat == 2).all()


def test_a_single_bucket_is_reduced_on_the_callers_thread():
    communicator = Recording()
    buckets = GradientBuckets(communicator, np.ones(4, np.float32), [0, 2, 4], cap_bytes=100)
    buckets.start(0)
    buckets.wait()
    assert communicator.threads == [threading.current_thread()] and len(buckets.times) == 1


def test_failure_in_the_thread_surfaces_in_wait_and_nothing_more_is_sent():
    communicator = Recording(fail_at=1)
    buckets = GradientBuckets(communicator, np.ones(3, np.float32), [0, 1, 2, 3], cap_bytes=1)
    for index in range(3):
        buckets.start(index)
    with pytest.raises(ConnectionError, match="link lost"):
        buckets.wait()
    assert communicator.sizes == [1]


def test_missing_and_repeated_starts_are_errors():
    buckets = GradientBuckets(SerialCommunicator(), np.ones(3, np.float32), [0, 1, 2, 3], cap_bytes=1)
    buckets.start(1)
    with pytest.raises(RuntimeError, match=r"before start\(\) of buckets \[0, 2\] of 3"):
        buckets.wait()
    with pytest.raises(RuntimeError, match="bucket 1 was started twice"):
        buckets.start(1)
    with pytest.raises(IndexError, match="buckets 0 to 2, received 3"):
        buckets.start(3)


@pytest.mark.parametrize("boundaries", [[], [1, 3], [0, 2, 1], [0, 2], [0, 5]])
def test_wrong_boundaries_are_refused(boundaries):
    with pytest.raises(ValueError, match="boundaries must ascend from 0 to the 3 elements"):
        GradientBuckets(SerialCommunicator(), np.ones(3, np.float32), boundaries)


def reduce_once(buckets):
    for index in range(len(buckets)):
        buckets.start(index)
    buckets.wait()


def test_all_buckets_of_a_communicator_share_one_lane():
    communicator = Recording()
    several = [GradientBuckets(communicator, np.ones(2, np.float32), [0, 1, 2], cap_bytes=1) for _ in range(3)]
    for buckets in several:
        reduce_once(buckets)
    assert len(communicator.duplicates) == 1 and len(set(communicator.threads)) == 1


def test_a_lane_ends_with_its_communicator():
    communicator = Recording()
    reduce_once(GradientBuckets(communicator, np.ones(2, np.float32), [0, 1, 2], cap_bytes=1))
    thread = communicator.threads[0]
    del communicator
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


def test_a_lane_can_be_closed():
    communicator = Recording()
    lane, done = Lane(communicator), queue.SimpleQueue()
    lane.send(np.ones(3, np.float32), done)
    begun, ended = done.get(timeout=5)
    lane.close()
    assert begun <= ended and not communicator.threads[0].is_alive()
