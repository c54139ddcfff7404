"""One rank reads for all of its node: everybody's rows, read once, with nothing left behind."""

import gc
import threading

import numpy as np
import pytest

from distkeras._errors import DataWorkerError
from distkeras.data import announcing, node
from distkeras.data.adapter import Place, select_adapter
from distkeras.data.handler import DataHandler, open_data
from distkeras.data.node import NodeReader
from distkeras.data.sequence import Sequence
from tests.data import worker_cases as cases
from tests.data.leftovers import nothing_is_left
from tests.data.rank_threads import nodes_of, on_ranks

pytestmark = pytest.mark.timeout(90)

LAYOUTS = [(1, 1), (3, 3), (5, 2), (2, 1)]  # ranks, ranks on a node


class Counted(Sequence):
    """Batches of changing sizes, some smaller than the ranks are many; says who read what."""

    sizes = (7, 2, 5, 1)

    def __init__(self, fault=None):
        self.reads = []
        self.fault = fault

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        if index == self.fault:
            raise OSError(f"no item {index}")
        self.reads.append((threading.current_thread().name, index))
        x = np.random.RandomState(index).randn(self.sizes[index], 3)
        return {"a": x, "b": x[:, 0] > 0}, x.sum(1), None

    def generate(self):
        for index in range(len(self)):
            yield self[index]


def rows_of(data, rank, options, epochs=2):
    handler = open_data(data, options=options, rank=rank, num_replicas=options.num_replicas)
    try:
        return [
            [(batch.global_size, batch.local_size, batch.data[0]["a"].copy(), batch.data[1].copy()) for batch in steps]
            for steps in (handler.epoch(epoch) for epoch in range(epochs))
        ]
    finally:
        handler.close()


def joined(results):
    """The batches of each epoch, put together from the ranks' rows."""
    return [
        [[np.concatenate([part[place] for part in parts]) for place in (2, 3)] for parts in zip(*epochs, strict=True)]
        for epochs in zip(*results, strict=True)
    ]


def assert_whole(results, epochs=2):
    for error in results:
        if isinstance(error, Exception):
            raise error
    together = joined(results)
    assert len(together) == epochs
    for steps in together:
        assert len(steps) == len(Counted.sizes)
        for index, (a, y) in enumerate(steps):
            expected = Counted()[index]
            np.testing.assert_array_equal(a, expected[0]["a"].astype("float32"))
            np.testing.assert_array_equal(y, expected[1].astype("float32"))
    for rank, epochs in enumerate(results):
        for (size, count, *_), expected in zip(epochs[0], Counted.sizes, strict=True):
            assert size == expected
            assert count == size * (rank + 1) // len(results) - size * rank // len(results)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("ranks", "on_each"), LAYOUTS)
def test_a_sequence_is_read_once_on_each_node(ranks, on_each, workers, monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(on_each))
    copies = [Counted() for _ in range(ranks)]
    with nothing_is_left():
        results, exchange = on_ranks(ranks, lambda r, options: rows_of(copies[r], r, options), workers=workers)
        assert_whole(results)
    for rank, copy in enumerate(copies):
        read = sorted(index for _, index in copy.reads)
        assert read == (sorted([0, 1, 2, 3] * 2) if rank % on_each == 0 else [])
    assert exchange.collectives <= 3  # no step needs one


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(("ranks", "on_each"), LAYOUTS)
def test_a_generator_is_read_once_in_the_job(ranks, on_each, workers, monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(on_each))
    copies = [Counted() for _ in range(ranks)]

    class Again:
        def __init__(self, source):
            self.source = source

        def __iter__(self):
            return self.source.generate()

    with nothing_is_left():
        results, _ = on_ranks(ranks, lambda r, options: rows_of(Again(copies[r]), r, options), workers=workers)
        assert_whole(results)
    assert [len(copy.reads) for copy in copies] == [8] + [0] * (ranks - 1)


def test_only_the_rows_of_a_node_are_sent_to_it(monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(2))
    sent = []

    def read(rank, options):
        reader = NodeReader(options, once=True)
        batches = [(np.arange(8.0), np.arange(16).reshape(8, 2)), (np.arange(3.0), np.arange(4.0))]
        for item in reader.items(lambda: map(reader.prepare, batches)):
            sent.append((rank, item.rows, item.first, item.value[0].tolist()))
        reader.close()

    results, _ = on_ranks(4, read)
    assert results == [None] * 4
    whole, rest, ragged = list(map(float, range(8))), [4.0, 5.0, 6.0, 7.0], [0.0, 1.0, 2.0]
    first = [(0, None, 0, whole), (1, None, 0, whole), (2, 8, 4, rest), (3, 8, 4, rest)]
    assert sorted(sent, key=str) == sorted([*first, *((rank, None, 0, ragged) for rank in range(4))], key=str)


@pytest.mark.parametrize(("ranks", "workers"), [(2, 0), (3, 2), (5, 0)])
def test_whole_batches_are_dealt(ranks, workers):
    copies = [Counted() for _ in range(ranks)]
    results, _ = on_ranks(ranks, lambda r, o: rows_of(copies[r], r, o), shard="stride", workers=workers)
    for epochs in zip(*results, strict=True):
        assert len(epochs[0]) == -(-4 // ranks)
        for step, parts in enumerate(zip(*epochs, strict=True)):
            numbers = range(ranks * step, min(ranks * (step + 1), 4))
            expected = np.concatenate([Counted()[number][1] for number in numbers]).astype("float32")
            np.testing.assert_array_equal(np.concatenate([part[3] for part in parts]), expected)
            assert {part[0] for part in parts} == {len(expected)}
            assert [part[1] for part in parts if part[1]] == [Counted.sizes[number] for number in numbers]
    for rank, copy in enumerate(copies):
        assert sorted({index for _, index in copy.reads}) == (list(range(rank, 4, ranks)) or [0])


def test_a_dealt_pass_is_taken_up_in_its_middle():
    def read(rank, options, place):
        handler = DataHandler(select_adapter(data := Counted())(data, None, None, options), rank, 2, place=place)
        batches = [batch.data[1].copy() for batch in handler.epoch(place.epoch if place else 0)]
        handler.close()
        return batches

    settings = {"shard": "stride", "steps": 3, "workers": 0}
    whole, _ = on_ranks(2, lambda rank, options: read(rank, options, None), **settings)
    rest, _ = on_ranks(2, lambda rank, options: read(rank, options, Place(0, 1, 1)), **settings)
    for one, other in zip(whole, rest, strict=True):
        assert len(one) == 3 and len(other) == 2
        for expected, given in zip(one[1:], other, strict=True):
            np.testing.assert_array_equal(expected, given)


def test_processes_fill_the_slots_that_all_ranks_view():
    copies = [cases.Batches() for _ in range(2)]

    def read(rank, options):
        handler = open_data(copies[rank], options=options, rank=rank, num_replicas=2)
        parts = [batch.data[0].copy() for batch in handler.epoch()]
        handler.close()
        return parts

    with nothing_is_left():
        results, _ = on_ranks(2, read, workers=2, use_multiprocessing=True)
    for index, parts in enumerate(zip(*results, strict=True)):
        np.testing.assert_array_equal(np.concatenate(parts), cases.Batches()[index][0])


def test_items_that_are_kept_stay_as_they_are_and_slots_are_used_again():
    seen = {}

    def read(rank, options):
        reader = NodeReader(options)
        kept = []
        for number, item in enumerate(reader.items(lambda: map(reader.prepare, (np.full(9, n) for n in range(60))))):
            if number < 5:
                kept.append(item.value)
        if reader.reads:
            seen["slots"] = len(reader._ring.slots)
        assert [int(array[0]) for array in kept] == [0, 1, 2, 3, 4]
        with pytest.raises(ValueError, match="read-only"):
            kept[0][:] = 7
        reader.close()
        assert [int(array[-1]) for array in kept] == [0, 1, 2, 3, 4]

    results, _ = on_ranks(3, read)
    assert results == [None] * 3
    assert seen["slots"] < 60


@pytest.mark.parametrize("on_each", [2, 1])
@pytest.mark.parametrize("kind", ["sequence", "generator"])
def test_what_reading_raises_is_raised_on_every_rank(kind, on_each, monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(on_each))

    def read(rank, options):
        data = Counted(fault=2)
        rows_of(data if kind == "sequence" else data.generate(), rank, options, epochs=1)

    results, _ = on_ranks(2, read)
    assert [str(error) for error in results] == ["no item 2", "no item 2"]
    assert all(type(error) is OSError for error in results)
    if kind == "generator" or on_each == 2:
        assert results[0].__cause__ is None and isinstance(results[1].__cause__, DataWorkerError)
        assert "in __getitem__" in str(results[1].__cause__)


class OddError(Exception):
    def __init__(self, one, two):
        super().__init__(one + two)


def test_exceptions_that_cannot_be_sent_come_as_text():
    def broken():
        raise OddError("odd", "ities")
        yield

    results, _ = on_ranks(2, lambda rank, options: rows_of(broken(), rank, options))
    assert isinstance(results[0], OddError) and isinstance(results[1], DataWorkerError)
    assert "OddError: oddities" in str(results[1])


def test_items_that_cannot_be_handed_over():
    batches = [(np.ones((2, 3)), threading.Lock())]
    results, _ = on_ranks(2, lambda rank, options: rows_of(iter(batches), rank, options))
    assert all("cannot be handed to the other ranks of this node: cannot pickle" in str(error) for error in results)


def test_a_reader_that_is_gone_is_named():
    def read(rank, options):
        reader = NodeReader(options)
        if rank == 0:
            return reader.close()
        next(reader.items(None))

    results, _ = on_ranks(2, read)
    assert isinstance(results[1], DataWorkerError) and "which reads data for this node, has ended" in str(results[1])


def test_processes_that_may_not_open_each_others_files_read_for_themselves(monkeypatch):
    def refused(*args):
        raise PermissionError("no")

    monkeypatch.setattr(announcing, "_open_file_of", refused)
    copies = [Counted(), Counted()]
    with nothing_is_left():
        results, _ = on_ranks(2, lambda rank, options: rows_of(copies[rank], rank, options))
        assert_whole(results)
    assert [len(copy.reads) for copy in copies] == [8, 8]
    results, _ = on_ranks(2, lambda rank, options: rows_of(Counted().generate(), rank, options, epochs=1))
    assert_whole(results, epochs=1)
    gc.collect()
