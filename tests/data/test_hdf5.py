"""HDF5 files as data: locked, in any order, and gone."""

import fcntl
import os

import h5py
import numpy as np
import pytest

import distkeras as tf
from distkeras.data.adapter import DataOptions
from distkeras.data.handler import open_data
from distkeras.data.pool import WorkerPool
from distkeras.keras.utils import HDF5Matrix
from tests.data import worker_cases as cases

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def path(tmp_path):
    name = tmp_path / "rows.h5"
    random = np.random.default_rng(0)
    x = random.normal(size=(4000, 8)).astype("float32")
    with h5py.File(name, "w") as file:
        file["x"] = x
        file.create_dataset("z", data=x, chunks=(100, 8), compression="gzip")
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


@pytest.mark.parametrize("name", ["x", "z"])
@pytest.mark.parametrize(("end", "shuffle"), [(None, False), (3000, True)])
def test_a_file_that_vanishes_is_named(path, end, shuffle, name):
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
