"""Processes that read batches: order, faults, ends. Nothing may be left over, whoever dies."""

import contextlib
import os
import pickle
import resource
import sys
import threading

import h5py
import numpy as np
import pytest

import distkeras as tf
from distkeras._errors import DataWorkerError
from distkeras.data import pool as pools
from distkeras.data.adapter import DataOptions
from distkeras.data.handler import open_data
from distkeras.data.packing import pack, unpack
from distkeras.data.pool import WorkerPool
from distkeras.data.ring import Slot, anonymous_file
from distkeras.keras.utils import HDF5Matrix
from tests.data import worker_cases as cases
from tests.data.leftovers import nothing_is_left

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def leftovers():
    with nothing_is_left():
        yield


def processes(data, workers=2, depth=4, **options):
    options = DataOptions(workers=workers, use_multiprocessing=True, max_queue_size=depth, **options)
    return contextlib.closing(open_data(data, options=options))


def values(handler, epoch=0):
    return [batch.data[0].ravel().tolist() for batch in handler.epoch(epoch)]


# --- order


@pytest.mark.parametrize("workers", [1, 3])
def test_items_come_once_each_in_the_order_of_the_epoch(workers):
    options = {"shuffle": True, "order_key": lambda epoch: (1, epoch)}
    expected = open_data(cases.Numbers(9), options=DataOptions(workers=0, **options))
    with processes(cases.Numbers(9), workers, depth=2, **options) as handler:
        for epoch in range(3):
            assert values(handler, epoch) == values(expected, epoch)


def test_the_end_of_an_epoch_is_told_once_and_workers_go_on_with_what_it_made():
    sequence = cases.Shuffled()
    seen = set()
    with processes(sequence) as handler:
        for epoch in range(4):
            batches = [batch.data for batch in handler.epoch(epoch)]
            assert sorted(x[0, 0] for x, _, _ in batches) == list(range(6))
            assert {y[0, 1] for _, y, _ in batches} == {epoch}
            seen |= {y[0, 0] for _, y, _ in batches}
            assert sequence.passes == epoch + 1
    assert os.getpid() not in seen and 1 <= len(seen) <= 2


def test_batches_may_change_in_size():
    with processes(cases.Growing(), depth=3) as handler:
        for _ in range(2):
            batches = [batch.data for batch in handler.epoch()]
            assert [len(x) for x, _, _ in batches] == list(cases.Growing.sizes)
            assert all((x == index).all() for index, (x, _, _) in enumerate(batches))
            assert batches[2][1]["y"].shape == (40000, 0)


def test_items_that_are_kept_stay_as_they_are():
    pool = WorkerPool(cases.Growing(), workers=2, depth=2)
    kept = [x for _ in range(3) for x, _ in pool.map(range(8))]
    pool.close()
    assert [int(x[0, 0]) for x in kept] == 3 * list(range(8))
    assert all((x == x[0, 0]).all() for x in kept)
    kept[0][:] = 7.0  # they may be written to


def test_no_more_slots_than_are_read_ahead():
    pool = WorkerPool(cases.Numbers(50), workers=2, depth=3)
    for _ in pool.map(range(50)):
        pass
    assert len(pool._ring.slots) <= 5
    pool.close()


def test_a_pass_that_is_left_early_does_not_disturb_the_next():
    pool = WorkerPool(cases.Numbers(40), workers=2, depth=8)
    for _ in range(5):
        items = pool.map(range(40))
        assert [next(items)[0][0] for _ in range(3)] == [0, 3, 6]
        items.close()
    assert [x[0] for x, _ in pool.map(range(40))] == [3.0 * index for index in range(40)]
    assert not pool._abandoned and not pool._jobs
    pool.close()


def test_more_may_be_read_ahead_than_a_socket_holds():
    pool = WorkerPool(cases.Numbers(900), workers=1, depth=900)
    assert [x[0] for x, _ in pool.map(range(900))] == [3.0 * index for index in range(900)]
    pool.close()


def test_no_more_is_read_ahead_than_files_may_be_open(monkeypatch):
    limits = {64: 8, 4: 0, resource.RLIM_INFINITY: sys.maxsize}
    for files, expected in limits.items():
        monkeypatch.setattr(resource, "getrlimit", lambda kind, files=files: (files, files))
        assert pools._most_ahead() == expected


def test_items_of_any_kind():
    pool = WorkerPool(cases.Anything(), workers=1, depth=2)
    text, ragged, mapping, scalar = pool.map(range(4))
    pool.close()
    assert text == "text" and [part.tolist() for part in ragged] == [[0, 1], [0.0, 2.0]]
    assert mapping["a"] is None and mapping["b"].tolist() == ["x", None] and scalar.shape == ()


def test_random_items_depend_on_seed_epoch_and_item_alone():
    def read(pool, key):
        return np.array(list(pool.map(range(6), key)))

    one, two = WorkerPool(cases.Noisy(), 1, depth=3), WorkerPool(cases.Noisy(), 2, depth=3)
    items = read(one, (3, 0))
    np.testing.assert_array_equal(read(two, (3, 0)), items)
    assert len(np.unique(items)) == 12
    assert not np.isin(read(one, (3, 1)), items).any()
    one.close()
    two.close()


def test_draws_of_this_library_depend_on_the_same():
    def read(pool, key, seed=5):
        tf.random.set_seed(seed)
        return np.array(list(pool.map(range(4), key)))

    one, two = WorkerPool(cases.Augmented(), 1, depth=3), WorkerPool(cases.Augmented(), 2, depth=3)
    items = read(one, (3, 0))
    np.testing.assert_array_equal(read(two, (3, 0)), items)
    assert len(np.unique(items[:, :2])) == 8
    assert not np.isin(read(one, (3, 1))[:, :2], items).any()
    other = read(one, (3, 0), seed=6)
    assert not np.isin(other[:, :2], items).any() and (other[:, 2] != items[:, 2]).any()
    one.close()
    two.close()


# --- what iterates


def test_an_iterable_is_read_by_one_process_and_starts_anew():
    with processes(cases.Countdown(), workers=1) as handler:
        for epoch in range(2):
            batches = [batch.data for batch in handler.epoch(epoch)]
            assert [x[0, 0] for x, _, _ in batches] == [0, 1, 2, 3]
            assert len({y[0] for _, y, _ in batches} - {os.getpid()}) == 1


def test_an_iterator_is_one_stream():
    with processes(iter(cases.Numbers(6).__getitem__(i) for i in range(6)), workers=0, steps=2) as handler:
        assert [len(values(handler, epoch)) for epoch in range(3)] == [2, 2, 2]
    with processes(iter([np.full(2, number) for number in range(6)]), workers=1, steps=2) as handler:
        assert [values(handler, epoch) for epoch in range(3)] == [
            [[2.0 * epoch] * 2, [2.0 * epoch + 1] * 2] for epoch in range(3)
        ]


def test_generators_are_read_by_a_thread_and_that_is_said():
    with processes((np.ones(2) for _ in range(3)), workers=1) as handler:
        with pytest.warns(UserWarning, match="data is a generator; a thread of this process reads it"):
            assert len(values(handler)) == 3
    with processes(cases.Countdown(), workers=2) as handler:
        with pytest.warns(UserWarning, match="workers=2, .*data is a Countdown; one process reads it"):
            assert len(values(handler)) == 4


def test_objects_used_like_sequences():
    for workers in (0, 1):
        with processes(cases.ByIndex(), workers) as handler:
            assert values(handler) == values(handler, 1) == [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]


# --- what data holds


def test_files_are_opened_anew_by_each_process(tmp_path):
    rows = np.arange(8.0).reshape(4, 2)
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["rows"] = rows
    np.save(tmp_path / "rows.npy", np.concatenate([rows, rows]))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    with h5py.File(tmp_path / "rows.h5", "r") as file:
        matrix = HDF5Matrix(tmp_path / "rows.h5", "rows")
        held = (file["rows"], matrix, mapped, mapped[4:], mapped[::2], np.asfortranarray(rows))
        pool = WorkerPool(cases.Holding(*held), workers=2, depth=2)
        assert sum(map(len, pool._shipped[0].read())) < 5000
        for whole, *parts in zip(held, *pool.map([0, 1]), strict=True):
            np.testing.assert_array_equal(np.concatenate(parts), np.asarray(whole[:4]))
        pool.close()


def test_workers_have_one_thread_and_no_launcher(monkeypatch):
    for name in ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE"):
        monkeypatch.setenv(name, "2")
    pool = WorkerPool(cases.Environment(), workers=1, depth=1)
    assert list(pool.map([0])) == [([], False, "1", "none")]
    pool.close()


def test_what_cannot_be_pickled():
    class Local(cases.Numbers):
        pass

    held = cases.Holding(threading.Lock())
    for data in (Local(), held, cases.Holding(lambda: 0)):
        with processes(data) as handler, pytest.raises(pickle.PicklingError, match="use_multiprocessing=False"):
            values(handler)


# --- faults


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("raises", OSError, "disk on fire"),
        ("raises_oddly", DataWorkerError, r"(?s)reading item 3 of the Sequence.*OddError: this and that"),
        (
            "is_killed",
            DataWorkerError,
            r"Data worker \d \(process \d+\) was killed by SIGKILL \(signal 9\)",
        ),
        ("crashes", DataWorkerError, r"was killed by SIGSEGV \(signal 11\) while reading item 3 of the Sequence"),
        ("exits", DataWorkerError, "ended with exit status 7 while reading item 3 of the Sequence"),
    ],
)
def test_faults_in_workers_are_raised_where_the_data_is_used(what, error, message):
    with processes(cases.Failing(what), depth=6) as handler, pytest.raises(error, match=message) as caught:
        values(handler)
    if error is OSError:
        cause = caught.value.__cause__
        assert isinstance(cause, DataWorkerError)
        for text in (
            "Data worker",
            "while reading item 3 of the Sequence",
            "worker_cases.py",
            "in raises",
            "Traceback",
        ):
            assert text in str(cause)


def test_faults_do_not_wait_for_the_items_before_them():
    pool = WorkerPool(cases.FirstIsSlow(), workers=2, depth=3)
    with pytest.raises(OSError, match="disk on fire"):
        next(pool.map([0, 1, 2]))
    pool.close()


def test_a_death_does_not_wait_either():
    pool = WorkerPool(cases.Endless(in_c=False), workers=1, depth=3)
    items = pool.map([0, 1, 2])
    threading.Timer(0.3, pool._workers[0]._process.kill).start()
    with pytest.raises(DataWorkerError, match="SIGKILL"):
        next(items)
    with pytest.raises(DataWorkerError, match="SIGKILL"):
        next(pool.map([0]))
    pool.close()


def test_items_that_cannot_be_handed_over():
    pool = WorkerPool(cases.GivesALock(), workers=1, depth=1)
    with pytest.raises(TypeError, match="lock"):
        next(pool.map([0]))
    pool.share(cases.Failing("stops"))
    with pytest.raises(DataWorkerError, match="(?s)item 3 of The data.*StopIteration"):
        next(pool.map([3]))
    pool.close()


# --- slots


def test_a_slot_grows_and_keeps_what_was_read_before():
    writer = Slot(anonymous_file())
    reader = Slot(os.dup(writer.descriptor))
    for value in (np.arange(3), np.arange(100000.0), np.zeros((0, 2)), np.asfortranarray(np.ones((3, 2)))):
        read = unpack(reader.read(writer.write(pack({"value": value}))))["value"]
        assert read.dtype == value.dtype and read.shape == value.shape and (read == value).all()
        assert read.ctypes.data % 64 == 0 or not read.size
        kept = read
    writer.close(), reader.close()
    assert kept.sum() == 6


def test_a_sequence_that_is_shorter_than_it_says_is_told_by_processes_too():
    with processes(cases.Shorter()) as handler, pytest.raises(IndexError, match="__len__ is 6") as caught:
        values(handler)
    assert "item 4 of the Sequence" in str(caught.value.__cause__)
    del caught
