"""Sequences: padding, word pairs, windows of time series."""

from __future__ import annotations

import json

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.preprocessing.sequence import (
    TimeseriesGenerator,
    make_sampling_table,
    pad_sequences,
    skipgrams,
)

A = [[1], [1, 2], [1, 2, 3]]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, [[0, 0, 1], [0, 1, 2], [1, 2, 3]]),
        ({"maxlen": 2}, [[0, 1], [1, 2], [2, 3]]),
        ({"maxlen": 2, "truncating": "post", "padding": "post", "value": 9}, [[1, 9], [1, 2], [1, 2]]),
        ({"maxlen": 0}, [[], [], []]),
    ],
)
def test_pad_sequences(options, expected):
    padded = pad_sequences(A, **options)
    assert padded.dtype == np.int32 and padded.tolist() == expected


def test_pad_sequences_of_vectors_text_and_nothing():
    vectors = [[[1, 2]], [[3, 4], [5, 6]], []]
    padded = pad_sequences(vectors, dtype=tf.float32, padding="post")
    assert padded.shape == (3, 2, 2) and padded.dtype == np.float32 and padded[1].tolist() == [[3, 4], [5, 6]]
    assert pad_sequences([["a"], ["b", "c"]], dtype=object, value="-").tolist() == [["-", "a"], ["b", "c"]]
    assert pad_sequences([]).shape == (0, 0)
    with pytest.raises(ValueError, match=r"elements of shape \(3,\), others of shape \(2,\)"):
        pad_sequences([np.ones((1, 2)), np.ones((1, 3))])


def test_sampling_table():
    """Values of TensorFlow 2."""
    expected = [0.00315225, 0.00315225, 0.00547597, 0.00741556, 0.00912817, 0.01068435, 0.01212381]
    np.testing.assert_allclose(make_sampling_table(7), expected, rtol=1e-5)


def test_skipgrams():
    couples, labels = skipgrams(range(5), 5, window_size=1, negative_samples=0, shuffle=False)
    assert couples == [[1, 2], [2, 1], [2, 3], [3, 2], [3, 4], [4, 3]] and labels == [1] * 6
    couples, labels = skipgrams(range(9), 9, window_size=2, negative_samples=1.5, categorical=True, seed=3)
    assert (couples, labels) == skipgrams(range(9), 9, 2, 1.5, True, True, seed=3)
    positives = labels.count([0, 1])
    assert labels.count([1, 0]) == int(positives * 1.5) and all(0 < word < 9 for pair in couples for word in pair)
    assert skipgrams(range(9), 9, sampling_table=np.zeros(9), seed=1) == ([], [])


def test_windows_of_a_series():
    data = np.arange(50)[:, None]
    windows = TimeseriesGenerator(data, data * 10, length=10, sampling_rate=2, batch_size=2)
    x, y = windows[0]
    assert (
        len(windows) == 20 and x[..., 0].tolist() == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]] and y.tolist() == [[100], [110]]
    )
    reverse = TimeseriesGenerator(data, data, 4, stride=3, reverse=True, start_index=5, end_index=20, batch_size=3)
    x, y = reverse[0]
    assert x[..., 0].tolist() == [[8, 7, 6, 5], [11, 10, 9, 8], [14, 13, 12, 11]] and y.ravel().tolist() == [9, 12, 15]
    assert [len(reverse[i][0]) for i in range(len(reverse))] == [3, 1]
    assert json.loads(windows.to_json())["config"]["length"] == 10


def test_shuffled_windows_are_a_function_of_seed_epoch_and_batch():
    data = np.arange(100)
    tf.random.set_seed(3)
    windows = TimeseriesGenerator(data, data, 5, shuffle=True, batch_size=8)
    first = [windows[i][1].tolist() for i in range(2)]
    assert first == [windows[i][1].tolist() for i in range(2)] and first[0] != first[1]
    assert all(5 <= target < 100 for target in first[0])
    windows.on_epoch_end()
    assert windows[0][1].tolist() != first[0]
    tf.random.set_seed(3)
    assert TimeseriesGenerator(data, data, 5, shuffle=True, batch_size=8)[0][1].tolist() == first[0]
