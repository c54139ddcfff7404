"""Enqueuers: reading ahead in training loops of one's own."""

import itertools
import random

import numpy as np
import pytest

import distkeras as tf
from tests.data.worker_cases import Countdown, Draws, Numbers, Shuffled

pytestmark = pytest.mark.timeout(60)
GeneratorEnqueuer, OrderedEnqueuer = tf.keras.utils.GeneratorEnqueuer, tf.keras.utils.OrderedEnqueuer


def first(enqueuer, count):
    return [int(item[0].flat[0]) for item in itertools.islice(enqueuer.get(), count)]


@pytest.mark.parametrize(("workers", "processes"), [(0, False), (2, False), (2, True)])
def test_items_come_in_order_epoch_after_epoch(workers, processes):
    sequence = Shuffled(4)
    enqueuer = OrderedEnqueuer(sequence, use_multiprocessing=processes)
    enqueuer.start(workers, max_queue_size=3)
    assert enqueuer.is_running()
    seen = first(enqueuer, 10)
    assert seen[:4] == [0, 1, 2, 3] and sorted(seen[4:8]) == [0, 1, 2, 3]
    assert sequence.passes == 2
    items = enqueuer.get()
    enqueuer.stop()
    assert not enqueuer.is_running() and list(items) == []
    enqueuer.start(workers)
    assert len(first(enqueuer, 2)) == 2
    enqueuer.stop()
    enqueuer.stop()


def test_shuffled_items():
    random.seed(3)
    enqueuer = OrderedEnqueuer(Numbers(8), shuffle=True)
    enqueuer.start()
    seen = first(enqueuer, 16)
    enqueuer.stop()
    assert sorted(seen[:8]) == sorted(seen[8:]) == [3 * index for index in range(8)]
    assert seen[:8] != seen[8:] and seen[:8] != sorted(seen[:8])


@pytest.mark.parametrize("processes", [False, True])
def test_iterables_end(processes):
    enqueuer = GeneratorEnqueuer(Countdown(), use_multiprocessing=processes)
    enqueuer.start()
    assert first(enqueuer, 9) == [0, 1, 2, 3]
    enqueuer.stop()


def test_the_seed_of_a_process():
    def read(seed):
        enqueuer = GeneratorEnqueuer(Draws(), use_multiprocessing=True, random_seed=seed)
        enqueuer.start()
        items = list(itertools.islice(enqueuer.get(), 4))
        enqueuer.stop()
        return np.array(items)

    once = read(5)
    assert len(np.unique(once)) == once.size
    assert (once == read(5)).all() and not (once == read(6)).any()


def test_generators_are_read_by_one_thread():
    enqueuer = GeneratorEnqueuer(np.full(1, index) for index in range(5))
    enqueuer.start(workers=3)
    assert first(enqueuer, 9) == list(range(5))
    enqueuer.stop()


def test_bad_calls():
    enqueuer = OrderedEnqueuer(Numbers(2))
    with pytest.raises(RuntimeError, match="is not running"):
        enqueuer.get()
    for arguments in ({"workers": -1}, {"max_queue_size": 0}):
        with pytest.raises(ValueError, match="`workers` of at least 0 and `max_queue_size` of at least 1"):
            enqueuer.start(**arguments)
    enqueuer.start()
    with pytest.raises(RuntimeError, match="is running already"):
        enqueuer.start()
    enqueuer.stop()
    enqueuer = OrderedEnqueuer(Numbers(0))
    enqueuer.start()
    with pytest.raises(ValueError, match="has no items"):
        next(enqueuer.get())
    with pytest.raises(TypeError, match="abstract"):
        tf.keras.utils.SequenceEnqueuer(Numbers())
