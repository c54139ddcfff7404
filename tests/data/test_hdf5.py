"""HDF5 files as data: locked, in any order, and gone."""

import contextlib
import dataclasses
import fcntl
import functools
import itertools
import os

import h5py
import numpy as np
import pytest

import distkeras as tf
from distkeras.data import chunks, node
from distkeras.data.adapter import DataOptions, Place, select_adapter
from distkeras.data.chunks import ChunkedRows
from distkeras.data.handler import DataHandler, open_data
from distkeras.data.pool import WorkerPool
from distkeras.keras.utils import HDF5Matrix
from tests.data import worker_cases as cases
from tests.data.rank_threads import nodes_of, on_ranks

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def path(tmp_path):
    name = tmp_path / "rows.h5"
    random = np.random.default_rng(0)
    x = random.normal(size=(4000, 8)).astype("float32")
    with h5py.File(name, "w") as file:
        file["x"] = x
        file.create_dataset("z", data=x, chunks=(100, 8), compression="gzip")
        file.create_dataset("n", data=np.arange(4000), chunks=(70,))
        file["m"] = np.arange(4000)
        file["y"] = x @ np.arange(8.0, dtype="float32")
    return str(name)


def test_a_file_that_another_program_has_locked_is_read(path):
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="lock"):
            h5py.File(path, "r", locking=True)
        assert HDF5Matrix(path, "x").shape == (4000, 8)
        pool = WorkerPool(cases.Holding(HDF5Matrix(path, "x")), workers=1, depth=1)
        (rows,) = pool.map([1])
        np.testing.assert_array_equal(rows, HDF5Matrix(path, "x")[2:4])
        pool.close()


@pytest.mark.parametrize("shuffle", ["batch", True])
def test_both_ways_to_shuffle_learn(path, shuffle):
    tf.random.set_seed(1)
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(8,))])
    model.compile("adam", "mse")
    losses = model.fit(
        HDF5Matrix(path, "x"), HDF5Matrix(path, "y"), batch_size=50, epochs=3, shuffle=shuffle, verbose=0
    ).history["loss"]
    assert losses[2] < losses[1] < losses[0]


# --- in random order


@pytest.fixture
def small_windows(monkeypatch):
    """Three chunks of 100 rows in a window."""
    monkeypatch.setattr(chunks, "WINDOW_BYTES", 300 * 40)
    monkeypatch.setattr(chunks, "_LEAST_BYTES", 1)


def numbers_of_rows(path, ranks=1, batch_size=70, start=0, read=None):
    """The numbers of the rows in each global batch of two epochs, put together from the ranks' parts."""
    whole = np.array(h5py.File(path)["z"])
    options = DataOptions(batch_size=batch_size, shuffle=True)
    found = []
    for rank in range(ranks):
        x, y = HDF5Matrix(path, "z", start=start, normalizer=read), HDF5Matrix(path, "n", start=start)
        handler = open_data(x, y, options=options, rank=rank, num_replicas=ranks)
        found.append([])
        for batch in itertools.chain(handler.epoch(0), handler.epoch(1)):
            rows, numbers, _ = batch.data
            np.testing.assert_array_equal(whole[numbers], rows)
            found[-1].append(numbers)
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


@pytest.mark.parametrize("start", [0, 130])
@pytest.mark.parametrize("batch_size", [70, 700])
def test_windows_of_chunks_give_every_row_once(path, small_windows, start, batch_size):
    batches = numbers_of_rows(path, batch_size=batch_size, start=start)
    for others in (numbers_of_rows(path, ranks, batch_size, start) for ranks in (2, 3)):
        for one, other in zip(batches, others, strict=True):
            np.testing.assert_array_equal(one, other)
    rows = np.concatenate(batches)
    first, second = np.split(rows, 2)
    expected = np.arange(start, 4000)
    np.testing.assert_array_equal(np.sort(first), expected)
    np.testing.assert_array_equal(np.sort(second), expected)
    assert (first == second).mean() < 0.01
    assert all(len(set(batch // 100)) > 1 for batch in batches)  # chunks are mixed
    assert len(set(first[:150] // 100)) <= 3  # of a window


def test_each_chunk_is_read_once_in_an_epoch(path, small_windows):
    sizes = []

    def read(rows):
        sizes.append(len(rows))
        return rows

    numbers_of_rows(path, read=read)
    assert [size for size in sizes if size] == [100] * 80


def test_a_large_file_is_read_once_in_an_epoch_whatever_lies_beside(path, small_windows, monkeypatch):
    """Targets in no chunks are read by those of the inputs."""
    read = []
    whole = ChunkedRows._read

    def counted(self, needed):
        before = set(self._chunk_in.tolist())
        whole(self, needed)
        read.append((self.dtype.kind, len(set(self._chunk_in.tolist()) - before)))

    monkeypatch.setattr(ChunkedRows, "_read", counted)
    x, y = HDF5Matrix(path, "z", start=130), HDF5Matrix(path, "m", start=130)
    for _ in open_data(x, y, options=DataOptions(batch_size=50, shuffle=True)).epoch():
        pass
    assert {kind: sum(count for other, count in read if other == kind) for kind in "fi"} == {"f": 39, "i": 39}


def test_what_fits_into_a_window_has_the_order_of_arrays_in_memory(path):
    rows = HDF5Matrix(path, "z", start=30)
    options = DataOptions(batch_size=50, shuffle=True)
    pairs = zip(open_data(rows, options=options).epoch(3), open_data(rows[:], options=options).epoch(3), strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(one.data[0], other.data[0])


def test_a_file_that_is_open_to_write_is_not_kept(path):
    with h5py.File(path, "r+") as file:
        handler = open_data(file["z"], options=DataOptions(batch_size=4000, shuffle=True))
        next(iter(handler.epoch()))
        file["z"][:] = 7
        assert (next(iter(handler.epoch())).data[0] == 7).all()


# --- on several ranks


@pytest.mark.parametrize(("ranks", "on_each_node"), [(1, 1), (2, 2), (3, 3), (4, 2)])
@pytest.mark.parametrize("shuffle", [True, "batch", False])
def test_a_chunk_is_read_once_on_a_node(path, small_windows, monkeypatch, ranks, on_each_node, shuffle):
    """And the global batches are those of one process, of what lies in chunks, in none and in memory."""
    monkeypatch.setattr(node, "_node", nodes_of(on_each_node))
    read = []

    def note(rows):
        read.extend(rows[:, 0].tolist())
        return rows

    def batches(rank, options):
        x = {"z": HDF5Matrix(path, "z", normalizer=note), "x": HDF5Matrix(path, "x")}
        options = dataclasses.replace(options, batch_size=101, shuffle=shuffle)
        handler = open_data(x, np.arange(4000), options=options, rank=rank, num_replicas=options.num_replicas)
        with contextlib.closing(handler):
            return [
                (batch.data[1].copy(), batch.data[0]["z"].copy(), batch.data[0]["x"].copy(), batch.local_size)
                for epoch in range(2)
                for batch in handler.epoch(epoch)
            ]

    results, _ = on_ranks(ranks, batches)
    for error in results:
        if isinstance(error, Exception):
            raise error
    whole = np.array(h5py.File(path)["z"])
    if ranks == on_each_node or shuffle is True:
        assert len(read) == 2 * 4000 * ranks // on_each_node
    else:  # each node reads the rows of its ranks
        assert len(read) == 2 * 4000
    (alone,), _ = on_ranks(1, batches)
    for parts, (numbers, *_) in zip(zip(*results, strict=True), alone, strict=True):
        np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), numbers)
        for _, z, x, size in parts:
            assert len(z) == len(x) == size
        for place in (1, 2):
            np.testing.assert_array_equal(np.concatenate([part[place] for part in parts]), whole[numbers])


def test_an_interrupted_epoch_is_gone_on_with_and_reads_nothing_before(path, small_windows, monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(2))
    read = []

    def numbers(rank, options, place):
        options = dataclasses.replace(options, batch_size=100, shuffle=True)
        x = HDF5Matrix(path, "n", normalizer=lambda rows: read.append(len(rows)) or rows)
        adapter = select_adapter(x)(x, None, None, options)
        handler = DataHandler(adapter, rank, 2, place=place)
        with contextlib.closing(handler):
            return [batch.data[0].tolist() for epoch in (1, 2) for batch in handler.epoch(epoch)]

    whole, _ = on_ranks(2, functools.partial(numbers, place=None))
    read.clear()
    rest, _ = on_ranks(2, functools.partial(numbers, place=Place(1, 30, 70)))
    assert rest == [steps[30:] for steps in whole]
    assert sum(read) < 4000 * 1.5


def test_a_file_that_vanishes_is_an_error_of_all_ranks(path, small_windows, monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(3))

    def batches(rank, options):
        options = dataclasses.replace(options, batch_size=100, shuffle=True)
        x = HDF5Matrix(path, "z")
        with contextlib.closing(open_data(x, options=options, rank=rank, num_replicas=3)) as handler:
            steps = handler.epoch()
            next(steps)
            if options.gather(0) and rank == 0:
                os.truncate(path, 4096)
            return list(steps)

    results, _ = on_ranks(3, batches)
    assert all(isinstance(error, OSError) and f"'/z' in {path} cannot be read" in str(error) for error in results)


# --- gone


@pytest.mark.parametrize("name", ["x", "z"])
@pytest.mark.parametrize(("end", "shuffle"), [(None, False), (3000, True)])
def test_a_file_that_vanishes_is_named(path, end, shuffle, name, small_windows):
    rows = HDF5Matrix(path, name, end=end)
    batches = open_data(rows, options=DataOptions(batch_size=100, shuffle=shuffle)).epoch()
    next(batches)
    os.truncate(path, 4096)
    with pytest.raises(OSError, match=f"Rows of '/{name}' in {path} cannot be read: "):
        list(batches)


def test_a_file_that_vanishes_before_workers_open_it_is_named(path):
    rows = HDF5Matrix(path, "x")
    os.remove(path)
    pool = WorkerPool(cases.Holding(rows), workers=1, depth=1)
    with pytest.raises(FileNotFoundError, match=path):
        list(pool.map([0]))
    pool.close()
