"""Functions of `map` that run as Python: in processes, and on one rank of each node."""

import os
import threading

import numpy as np
import pytest

import distkeras as tf
from distkeras._errors import DataWorkerError
from distkeras.data import node
from distkeras.data.adapter import DataOptions
from distkeras.data.handler import open_data
from tests.data import worker_cases as cases
from tests.data.leftovers import nothing_is_left
from tests.data.rank_threads import nodes_of, on_ranks

pytestmark = pytest.mark.timeout(90)

D = tf.data.Dataset
# One is larger than a message between processes may be.
ROWS = [np.full(size, number, "float32") for number, size in enumerate([3, 30000, 0, 5, 1, 2])]


def elements():
    named = zip(ROWS, "abcdef", strict=True)
    return D.from_generator(lambda: named, (tf.float32, tf.string), ((None,), ()))


def described(dataset, **options):
    with nothing_is_left():
        handler = open_data(dataset.batch(1), options=DataOptions(use_multiprocessing=True, **options))
        found = [batch.data[0] for batch in handler.epoch()]
        handler.close()
    return found


def test_processes_give_what_this_one_gives_in_order():
    tf.random.set_seed(3)
    dataset = D.from_tensor_slices((np.arange(6), list("abcdef"))).map(lambda i, name: (tf.cast(i, "float32"), name))
    alone = [element["drawn"][2] for element in dataset.map(cases.looked_at).as_numpy_iterator()]
    tf.random.set_seed(3)
    found = described(dataset.map(cases.looked_at, 3).map(lambda d: (d,)), workers=3)
    assert [batch["name"].tolist() for batch in found] == [[name.encode()] for name in "abcdef"]
    assert [batch["x"].tolist() for batch in found] == [[number] for number in range(6)]
    assert os.getpid() not in {batch["pid"][0] for batch in found}
    np.testing.assert_array_equal([batch["drawn"][0, 2] for batch in found], alone)
    drawn = [batch["drawn"][0].tolist() for batch in found]
    assert len(set(map(tuple, drawn))) == 6
    tf.random.set_seed(3)
    again = described(dataset.map(cases.looked_at, 1).map(lambda d: (d,)), workers=1)
    assert drawn == [batch["drawn"][0].tolist() for batch in again]


def test_elements_of_any_size_and_many_that_are_held():
    found = described(elements().map(cases.looked_at, 2).map(lambda d: (d["x"],)), workers=2)
    for batch, row in zip(found, ROWS, strict=True):
        np.testing.assert_array_equal(batch[0], row)
    held = described(D.range(4, 300).map(cases.fails_at_three, 2).shuffle(400).map(lambda x: (x,)), workers=1)
    assert sorted(int(x[0]) for x in held) == list(range(4, 300))


def test_errors_can_be_passed_over():
    ignore = tf.data.experimental.ignore_errors()
    found = described(D.range(6).map(cases.fails_at_three, 2).apply(ignore).map(lambda x: (x,)), workers=2)
    assert [int(x[0]) for x in found] == [0, 1, 2, 4, 5]


def test_functions_that_cannot_be_sent_are_called_by_threads():
    with pytest.warns(UserWarning, match="threads call the function given to Dataset.map.*lambda"):
        found = described(D.range(3).map(lambda x: x if x.numpy() < 9 else -x, 2), workers=2)
    assert [batch.tolist() for batch in found] == [[0], [1], [2]]


def test_what_is_not_to_be_called_in_parallel_stays_in_its_order():
    seen = []
    described(D.range(3).map(lambda x: seen.append(int(x.numpy())) or x), workers=2)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (cases.fails_at_three, "disk on fire"),
        (cases.is_killed_at_three, "was killed by SIGKILL .* while reading item 3 of what Dataset.map"),
    ],
)
def test_faults_are_raised_and_nothing_is_left(function, message):
    with nothing_is_left(), pytest.raises(OSError if "fire" in message else DataWorkerError, match=message):
        handler = open_data(D.range(9).map(function, 2).batch(2), options=DataOptions(use_multiprocessing=True))
        try:
            list(handler.epoch())
        finally:
            handler.close()


# --- ranks


class Calls:
    """A function that looks at values, and which ranks called it."""

    def __init__(self):
        self.ranks = []

    def __call__(self, x):
        self.ranks.append(threading.current_thread().name)
        return x if x.numpy() >= 0 else -x

    def generate(self):
        for x in range(7):
            yield self(tf.constant(x))


MAKE = {
    "map": lambda calls: D.range(7).map(calls),
    "interleave": lambda calls: D.range(7).flat_map(lambda x: D.from_tensors(calls(x))),
    "filter": lambda calls: D.range(7).filter(lambda x: calls(x).numpy() >= 0),
    "generator": lambda calls: D.from_generator(calls.generate, tf.int64, ()),
    "generators": lambda calls: D.range(1).flat_map(lambda x: D.from_generator(calls.generate, tf.int64, ())),
}


@pytest.mark.parametrize("kind", MAKE)
def test_who_calls_python(kind, monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(2))

    def read(rank, options):
        calls = Calls()
        handler = open_data(MAKE[kind](calls).batch(3), options=options, rank=rank, num_replicas=4)
        rows = [batch.data[0].tolist() for batch in handler.epoch()]
        handler.close()
        return rows, len(calls.ranks)

    results, _ = on_ranks(4, read)
    for step, expected in enumerate(([0, 1, 2], [3, 4, 5], [6])):
        assert sum((rows[step] for rows, _ in results), []) == expected
    readers = [number for number, (_, count) in enumerate(results) if count >= 7]
    assert readers == [0, 2]
    assert all(count <= 1 for number, (_, count) in enumerate(results) if number not in readers)
