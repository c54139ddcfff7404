"""One history, whatever the data comes from, whoever reads it, and however many ranks train.

Some cells of the matrix ranks x workers x kinds of data are tried by default; DISTKERAS_WHOLE_MATRIX=1 tries all of
them, as `for n in 1 2 3 4; do DISTKERAS_WHOLE_MATRIX=1 distkeras run -n $n -m pytest --with-mpi
tests/parallel/test_data_matrix.py; done` does for all numbers of ranks.
"""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.utils import HDF5Matrix

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore:Epoch .* waited", "ignore:workers=")]

ROWS, BATCH = 26, 6
RANDOM = np.random.RandomState(3)
X = RANDOM.normal(size=(ROWS, 4)).astype("float32")
Y = (X @ np.arange(4.0)).astype("float32")
D = tf.data.Dataset


class Batches(tf.keras.utils.Sequence):
    def __len__(self):
        return -(-ROWS // BATCH)

    def __getitem__(self, index):
        rows = slice(BATCH * index, BATCH * (index + 1))
        return X[rows], Y[rows]


class Loader:
    """Used by index or iterated over anew; no Sequence."""

    def __iter__(self):
        return (Batches()[index] for index in range(len(Batches())))

    def __len__(self):
        return len(Batches())


def endless():
    while True:
        yield from Loader()


def rows():
    return zip(X, Y, strict=True)


def looked_at(x, y):
    return (x if np.isfinite(x.numpy()).all() else -x), y


def hdf5(folder):
    path = os.path.join(folder, "rows.h5")
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = X, Y
    return HDF5Matrix(path, "x"), HDF5Matrix(path, "y")


def records(folder):
    path = os.path.join(folder, "rows")
    with tf.io.TFRecordWriter(path) as writer:
        for row in np.concatenate([X, Y[:, None]], axis=1):
            writer.write(row.tobytes())
    parsed = tf.data.TFRecordDataset(path).map(lambda record: tf.io.decode_raw(record, tf.float32))
    return (parsed.map(lambda row: (row[:4], row[4])).batch(BATCH),)


# Each gives x, perhaps y, for `fit`.
KINDS = {
    "arrays": lambda folder: (X, Y),
    "tensors": lambda folder: (tf.constant(X), tf.constant(Y)),
    "hdf5": hdf5,
    "sequence": lambda folder: (Batches(),),
    "iterable": lambda folder: (Loader(),),
    "generator": lambda folder: (endless(),),
    "dataset": lambda folder: (D.from_tensor_slices((X, Y)).batch(BATCH),),
    "dataset of python": lambda folder: (
        D.from_generator(lambda: zip(X, Y, strict=True), (tf.float32,) * 2).batch(BATCH),
    ),
    "dataset of functions": lambda folder: (D.from_tensor_slices((X, Y)).map(looked_at, 2).batch(BATCH),),
    "dataset of records": records,
}
WORKERS = [(0, False), (1, False), (3, False), (1, True), (3, True)]
CELLS = [(kind, *workers) for kind in KINDS for workers in WORKERS]
if not os.environ.get("DISTKERAS_WHOLE_MATRIX"):
    CELLS = [("hdf5", 1, False), ("sequence", 3, True), ("iterable", 1, True), ("generator", 0, False)]
    CELLS += [("dataset of records", 1, False), ("dataset of functions", 3, True)]  # others are elsewhere


def history_of(strategy, data, **options):
    tf.keras.backend.clear_session()
    tf.random.set_seed(5)
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(3, "tanh", input_shape=(4,)), tf.keras.layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
    if len(data) == 2:
        options["batch_size"] = BATCH
    history = model.fit(*data, epochs=2, shuffle=False, verbose=0, **options).history
    return [*history["loss"], *history["mae"]]


@pytest.fixture(scope="module")
def expected():
    return history_of(tf.distribute.OneDeviceStrategy(), (X, Y))


@pytest.mark.parametrize(("kind", "workers", "processes"), CELLS)
def test_the_history_is_that_of_arrays_on_one_rank(kind, workers, processes, expected, tmp_path):
    options = {"workers": workers, "use_multiprocessing": processes}
    if kind == "generator":
        options["steps_per_epoch"] = len(Batches())
    found = history_of(tf.distribute.MirroredStrategy(), KINDS[kind](tmp_path), **options)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
