"""Rows of HDF5 files as data."""

import h5py
import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.utils import HDF5Matrix

X = np.arange(30.0, dtype="float32").reshape(10, 3)


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"], file["y"] = X, X.sum(1)
    return tmp_path / "data.h5"


@pytest.mark.parametrize(
    "key",
    [0, -1, slice(2, 5), slice(None), slice(1, None, 2), slice(-3, None), slice(5, 2), [4, 1, 1], np.array([-1, 0])],
)
@pytest.mark.parametrize(("start", "end"), [(0, None), (2, 8)])
def test_rows_are_those_of_the_array(path, key, start, end):
    rows = HDF5Matrix(path, "x", start, end)
    expected = X[start:end]
    np.testing.assert_array_equal(rows[key], expected[key])
    assert (len(rows), rows.shape, rows.dtype, rows.ndim, rows.size) == (
        len(expected),
        expected.shape,
        X.dtype,
        2,
        expected.size,
    )
    np.testing.assert_array_equal(np.asarray(rows), expected)


def test_the_normalizer_changes_values_shape_and_type(path):
    rows = HDF5Matrix(path, "x", normalizer=lambda x: x[:, :2].astype("float64") / 2 if x.ndim == 2 else x / 2)
    assert rows.shape == (10, 2) and rows.dtype == np.float64
    np.testing.assert_array_equal(rows[1:3], X[1:3, :2] / 2)


def test_training_on_a_file_is_training_on_its_arrays(path):
    def train(x, y):
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,), kernel_initializer="zeros")])
        model.compile(tf.keras.optimizers.SGD(1e-4), "mse")
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, validation_split=0.2)
        return model.get_weights()[0], model.predict(x)

    for found, expected in zip(train(HDF5Matrix(path, "x"), HDF5Matrix(path, "y")), train(X, X.sum(1)), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda path: HDF5Matrix(path, "z"), KeyError, r"has no dataset 'z'; there are \['x', 'y'\]"),
        (lambda path: HDF5Matrix(path, "x", 4, 20), ValueError, "Rows 4 to 20 were asked for, but 'x' has 10 rows"),
        (lambda path: HDF5Matrix(path, "x")[10], IndexError, "Row 10 was asked for, but there are 10 rows"),
        (lambda path: HDF5Matrix(path.with_name("none.h5"), "x"), OSError, "none.h5"),
    ],
)
def test_what_is_not_there(path, call, error, message):
    with pytest.raises(error, match=message):
        call(path)


def test_a_file_of_rows_may_hold_a_model_too(tmp_path):
    """What is open already can be opened in one way only: with a lock, with none, or with one where there are any."""
    path = str(tmp_path / "both.h5")
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    model.save(path)
    with h5py.File(path, "a") as file:
        file["rows"] = np.ones((3, 2), "float32")
    for locking in (True, False, "best-effort"):
        with h5py.File(path, "r", locking=locking):
            rows = HDF5Matrix(path, "rows")
            loaded = tf.keras.models.load_model(path, compile=False)
            np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows[:]))
        rows.data.file.close()


def test_what_is_refused_is_not_left_open(path):
    with pytest.raises(KeyError) as caught:
        HDF5Matrix(path, "nothing")
    with h5py.File(path, "a"):  # refused while it is open to read
        assert caught.value is not None
