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
