"""Data that comes in batches: Sequences, generators and other iterables, and the handler over them."""

import threading
import time

import numpy as np
import pytest

from distkeras.data.adapter import ADAPTERS, DataOptions, select_adapter, split_batch
from distkeras.data.generator import IterableAdapter
from distkeras.data.handler import open_data
from distkeras.data.prefetch import map_ahead, read_ahead
from distkeras.data.sequence import Sequence, SequenceAdapter


class Numbers(Sequence):
    """Batches of three numbers; batch i starts at 3i."""

    def __init__(self, length=4):
        self.length = length
        self.passes = 0

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        x = np.arange(3.0) + 3 * index
        return x, x * 2

    def on_epoch_end(self):
        self.passes += 1


def generate(count):
    for index in range(count):
        x = np.arange(3.0) + 3 * index
        yield x, x * 2


class Restartable:
    """An iterable that is no iterator."""

    def __iter__(self):
        return generate(4)


def starts(handler, epoch=0):
    return [int(batch.data[0][0]) for batch in handler.epoch(epoch)]


@pytest.mark.parametrize(
    ("make", "adapter"),
    [(Numbers, SequenceAdapter), (lambda: generate(4), IterableAdapter), (Restartable, IterableAdapter)],
)
def test_exactly_one_adapter_claims_each_form(make, adapter):
    data = make()
    assert select_adapter(data) is adapter
    assert sum(ADAPTERS[name].can_handle(data) for name in ADAPTERS) == 1


def test_two_claims_are_an_error():
    class Both(Numbers):
        shape, dtype = (3,), "float32"

    class Greedy(SequenceAdapter):
        pass

    ADAPTERS.add("greedy", Greedy)
    try:
        with pytest.raises(TypeError, match="Greedy and SequenceAdapter both claim"):
            select_adapter(Numbers())
    finally:
        del ADAPTERS._entries["greedy"], ADAPTERS._names[id(Greedy)]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("make", [Numbers, lambda: generate(4), Restartable])
def test_one_epoch(make, workers):
    handler = open_data(make(), options=DataOptions(workers=workers, max_queue_size=2))
    assert starts(handler) == [0, 3, 6, 9]
    assert handler.steps == 4
    handler.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_together_read_what_one_process_reads(workers):
    alone = list(open_data(Numbers(), options=DataOptions(workers=workers)).epoch())
    ranks = [
        list(open_data(Numbers(), options=DataOptions(workers=workers), rank=rank, num_replicas=2).epoch())
        for rank in range(2)
    ]
    for step, whole in enumerate(alone):
        for part in range(2):
            joined = np.concatenate([rank[step].data[part] for rank in ranks])
            np.testing.assert_array_equal(joined, whole.data[part])


def test_a_sequence_is_shuffled_by_batches_and_told_of_each_end():
    sequence = Numbers(length=9)
    options = DataOptions(shuffle=True, order_key=lambda epoch: (1, epoch))
    handler = open_data(sequence, options=options)
    first, second = starts(handler, 0), starts(handler, 1)
    assert sorted(first) == sorted(second) == [3 * index for index in range(9)]
    assert first != second and first != sorted(first)
    assert sequence.passes == 2


def test_a_sequence_goes_round_when_more_is_asked_of_it():
    sequence = Numbers()
    handler = open_data(sequence, options=DataOptions(steps=6, shuffle=True))
    assert starts(handler, 0) == [0, 3, 6, 9, 0, 3]
    assert starts(handler, 1) == [6, 9, 0, 3, 6, 9]
    assert sequence.passes == 3


def test_a_sequence_that_is_evaluated_starts_anew():
    handler = open_data(Numbers(), options=DataOptions(steps=3, restart=True))
    assert starts(handler) == starts(handler) == [0, 3, 6]


def test_a_generator_is_one_stream():
    handler = open_data(generate(6), options=DataOptions(steps=2))
    assert [starts(handler, epoch) for epoch in range(3)] == [[0, 3], [6, 9], [12, 15]]
    with pytest.raises(RuntimeError, match="ran out in epoch 4 after 0 of 2 steps"):
        starts(handler, 3)


def test_an_iterable_starts_anew():
    handler = open_data(Restartable())
    assert starts(handler, 0) == starts(handler, 1) == [0, 3, 6, 9]


def test_data_that_runs_out_says_where():
    handler = open_data(generate(3), options=DataOptions(steps=5))
    with pytest.raises(RuntimeError, match="ran out in epoch 1 after 3 of 5 steps"):
        starts(handler)
    handler = open_data(generate(3))
    assert starts(handler) == [0, 3, 6]
    with pytest.raises(RuntimeError, match="ran out in epoch 2 after 0 of 3 steps"):
        starts(handler, 1)


@pytest.mark.parametrize("data", [generate(0), iter([])], ids=["generator", "iterator"])
def test_empty_data(data):
    with pytest.raises(RuntimeError, match="The data is empty"):
        starts(open_data(data))
    with pytest.raises(ValueError, match="has no batches"):
        open_data(Numbers(0))


def test_a_first_batch_read_early_is_not_lost():
    for data in (generate(3), Numbers(3)):
        handler = open_data(data)
        handler.begin(0)
        assert starts(handler) == [0, 3, 6]


def test_batches_may_differ_in_size():
    handler = open_data(iter([np.ones((5, 1)), np.ones((2, 1))]), rank=2, num_replicas=3)
    assert [(batch.local_size, batch.global_size, batch.first_sample) for batch in handler.epoch()] == [
        (2, 5, 3),
        (1, 2, 1),
    ]


@pytest.mark.parametrize(
    ("batch", "tuples_only", "parts"),
    [
        (("x",), False, ("x", None, None)),
        (("x", "y"), False, ("x", "y", None)),
        (("x", "y", "w"), True, ("x", "y", "w")),
        (["x", "y"], False, ("x", "y", None)),
        (["x1", "x2"], True, (["x1", "x2"], None, None)),
        ("x", False, ("x", None, None)),
    ],
)
def test_parts_of_a_batch(batch, tuples_only, parts):
    assert split_batch(batch, tuples_only) == parts


@pytest.mark.parametrize("batch", [(), (1, 2, 3, 4)])
def test_tuples_of_another_length(batch):
    with pytest.raises(ValueError, match=f"a tuple of {len(batch)} parts"):
        split_batch(batch)


def test_a_bad_batch_in_the_middle():
    handler = open_data(iter([(np.ones(3), np.ones(3)), (np.ones(3), np.ones(2))]))
    with pytest.raises(ValueError, match="Found 3 input samples and 2 target samples"):
        list(handler.epoch())


# --- reading ahead


def test_what_a_thread_raises_arrives_in_its_place():
    def broken():
        yield 1
        raise OSError("disk on fire")

    items = read_ahead(broken(), depth=4)
    assert next(items) == 1
    with pytest.raises(OSError, match="disk on fire"):
        next(items)

    def fail(number):
        if number == 2:
            raise OSError("disk on fire")
        return number

    items = map_ahead(fail, range(5), workers=2, depth=3)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(OSError, match="disk on fire"):
        next(items)


def test_reading_ahead_stops_at_its_depth_and_when_closed():
    read = []

    def source():
        for number in range(1000):
            read.append(number)
            yield number

    items = read_ahead(source(), depth=3)
    assert next(items) == 0
    deadline = time.monotonic() + 5
    while len(read) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(read) == 5  # one consumed, three in the queue, one in the thread's hand
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "distkeras-read-ahead"]


def test_workers_work_side_by_side_and_keep_the_order():
    barrier = threading.Barrier(2, timeout=10)

    def wait_for_the_other(number):
        barrier.wait()
        return number

    assert list(map_ahead(wait_for_the_other, range(6), workers=2, depth=4)) == list(range(6))


class Lying(Numbers):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def __getitem__(self, index):
        if index == 3:
            raise self.error
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("error", [IndexError("list index out of range"), StopIteration()])
def test_a_sequence_that_is_shorter_than_it_says(error, workers):
    handler = open_data(Lying(error), options=DataOptions(workers=workers))
    with pytest.raises(IndexError, match="gave no item 3, though its __len__ is 4: (Index|Stop)"):
        list(handler.epoch())
    handler.close()
