"""What each node reads for itself, though it might come out otherwise on each."""

import threading
import warnings

import numpy as np
import pytest

import distkeras as tf
from distkeras.data import node
from distkeras.data.announcing import ENDED, ITEM
from distkeras.data.dataset.agreeing import Mark, are_alike, mark_of
from distkeras.data.handler import open_data
from tests.data.leftovers import nothing_is_left
from tests.data.rank_threads import nodes_of, on_ranks

pytestmark = pytest.mark.timeout(90)

D = tf.data.Dataset
ROWS = 10
# Ranks, ranks on a node.
LAYOUTS = [(2, 1), (3, 2), (4, 2)]


def own_node(on_each):
    return int(threading.current_thread().name.split()[1]) // on_each


class Numbers:
    """0, 1, 2, ..., and how many passes were begun by which rank; on other nodes than the first not all the same."""

    def __init__(self, on_each, fault=None, at=4):
        self.on_each, self.fault, self.at = on_each, fault, at
        self.readers = []

    def __call__(self):
        self.readers.append(threading.current_thread().name)
        is_odd = own_node(self.on_each) > 0
        for x in range(ROWS):
            if is_odd and self.fault == "raises" and x == self.at:
                raise OSError("no such file here")
            if is_odd and self.fault == "ends" and x == self.at:
                return
            yield x + (100 if is_odd and self.fault == "differs" and x >= self.at else 0)
        if is_odd and self.fault == "goes on":
            yield from range(1000)


def read(dataset, rank, options, epochs=2):
    handler = open_data(dataset, options=options, rank=rank, num_replicas=options.num_replicas)
    try:
        return [[batch.data[0][: batch.local_size].tolist() for batch in handler.epoch(e)] for e in range(epochs)]
    finally:
        handler.close()


def joined(results):
    for error in results:
        if isinstance(error, Exception):
            raise error
    return [[sum(parts, []) for parts in zip(*epochs, strict=True)] for epochs in zip(*results, strict=True)]


EXPECTED = [[[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]] * 2


@pytest.mark.parametrize(("ranks", "on_each"), LAYOUTS)
def test_each_node_calls_its_own_generator(ranks, on_each, monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(on_each))
    generators = [Numbers(on_each) for _ in range(ranks)]
    with nothing_is_left():
        results, _ = on_ranks(
            ranks, lambda r, options: read(D.from_generator(generators[r], tf.int64, ()).batch(3), r, options)
        )
    assert joined(results) == EXPECTED
    for rank, generator in enumerate(generators):
        assert generator.readers == ([f"rank {rank}"] * 2 if rank % on_each == 0 else [])


@pytest.mark.parametrize("at", [0, 4])
@pytest.mark.parametrize("fault", ["differs", "ends", "raises", "goes on"])
@pytest.mark.parametrize(("ranks", "on_each"), LAYOUTS)
def test_where_nodes_differ_rank_0_reads_for_all(ranks, on_each, fault, at, monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(on_each))
    generators = [Numbers(on_each, fault, at) for _ in range(ranks)]
    with nothing_is_left(), pytest.warns(UserWarning, match="nodes read different elements"):
        results, _ = on_ranks(
            ranks, lambda r, options: read(D.from_generator(generators[r], tf.int64, ()).batch(3), r, options)
        )
    assert joined(results) == EXPECTED
    assert len(generators[0].readers) == 2
    assert all(len(generator.readers) <= 1 for generator in generators[1:])  # not in the second epoch


def test_an_error_of_rank_0_is_raised_on_all_nodes(monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(1))

    def generate():
        yield 1
        if threading.current_thread().name == "rank 0":
            raise OSError("disk on fire")
        yield 2

    with pytest.warns(UserWarning, match="nodes read different elements"):
        results, _ = on_ranks(2, lambda r, o: read(D.from_generator(generate, tf.int64, ()).batch(1), r, o))
    assert [str(error) for error in results] == ["disk on fire"] * 2


def test_rank_0_may_read_alone(monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(2))
    options_of_data = tf.data.Options()
    options_of_data.experimental_distribute.one_reader_per = "job"
    generators = [Numbers(2, "differs") for _ in range(4)]

    def run(rank, options):
        dataset = D.from_generator(generators[rank], tf.int64, ()).with_options(options_of_data).batch(3)
        return read(dataset, rank, options)

    results, _ = on_ranks(4, run)
    assert joined(results) == EXPECTED
    assert [len(generator.readers) for generator in generators] == [2, 0, 0, 0]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("on_each", [1, 2, 4])
def test_python_that_picks_elements_gives_what_one_process_gets(ranks, on_each, monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(on_each))

    def dataset():
        rows = D.from_generator(lambda: (np.arange(n % 7 + 1) for n in range(40)), tf.int64, (None,))
        rows = rows.filter(lambda x: int(x.numpy().sum()) % 4 != 1).shuffle(20, seed=3)
        buckets = tf.data.experimental.bucket_by_sequence_length(lambda x: tf.shape(x)[0], [3, 5], [4, 3, 2])
        return rows.apply(buckets).map(lambda x: x * 2)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results, _ = on_ranks(ranks, lambda r, options: read(dataset(), r, options))
    expected = [[batch.tolist() for batch in dataset().as_numpy_iterator()]]
    assert joined(results)[0] == expected[0]


def test_what_counts_as_the_same():
    def mark(*leaves):
        return Mark(ITEM, mark_of([np.asarray(leaf) for leaf in leaves]))

    x = np.random.default_rng(0).normal(size=(50, 700)).astype("float32")
    same = [x, np.arange(5), np.array([b"a", b"b"], object), np.float32(3), np.zeros((0, 4)), np.array([True])]
    assert are_alike(mark(*same), mark(*same))
    assert are_alike(mark(x), mark(x * (1 + 1e-7)))
    assert are_alike(mark([np.nan, np.inf]), mark([np.nan, np.inf]))
    assert not are_alike(mark(x), mark(x[::-1]))
    assert not are_alike(mark(x), mark(np.random.default_rng(1).normal(size=x.shape).astype("float32")))
    assert not are_alike(mark(x), mark(x[:, :-1]))
    assert not are_alike(mark(x), mark(x.astype("float64")))
    assert not are_alike(mark([1, 2]), mark([2, 1]))
    assert not are_alike(mark(np.array([b"a", b"b"], object)), mark(np.array([b"a", b"c"], object)))
    assert not are_alike(mark(x), Mark(ENDED, ()))


def test_options_that_are_set_later_leave_others_as_they_are():
    first, second = tf.data.Options(), tf.data.Options()
    first.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    second.experimental_distribute.one_reader_per = "job"
    second.experimental_deterministic = False
    found = D.zip((D.range(3).with_options(first), D.range(3))).with_options(second).map(lambda x, y: x).options()
    assert found.experimental_distribute.auto_shard_policy is tf.data.experimental.AutoShardPolicy.OFF
    assert (found.experimental_distribute.one_reader_per, found.experimental_deterministic) == ("job", False)
    second.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.FILE
    found = D.range(3).with_options(first).with_options(second).options()
    assert found.experimental_distribute.auto_shard_policy is tf.data.experimental.AutoShardPolicy.FILE
    third = tf.data.Options()
    third.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.AUTO
    found = D.range(3).with_options(first).with_options(third).options()
    assert found.experimental_distribute.auto_shard_policy is tf.data.experimental.AutoShardPolicy.AUTO
    with pytest.raises(ValueError, match="must be 'node' or 'job', received 'rank'"):
        second.experimental_distribute.one_reader_per = "rank"
