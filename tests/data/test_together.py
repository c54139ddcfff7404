"""Functions of elements are called for several at a time where these are small, and read no more than is asked for."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras.data.dataset.functions import ElementFunction


@pytest.mark.parametrize(("size", "most"), [(8, 64), (4096, 8), (100_000, 1)])
def test_as_many_elements_as_stay_in_the_cache(monkeypatch, size, most):
    sizes, call = [], ElementFunction.call_together
    monkeypatch.setattr(
        ElementFunction,
        "call_together",
        lambda self, structure, all: (sizes.append(len(all)), call(self, structure, all))[1],
    )
    x = np.arange(150 * size, dtype="float32").reshape(150, size)
    # One after the other, as lines of a file are: rows with random access are mapped by batches anyway.
    source = tf.data.Dataset.from_tensor_slices(x).flat_map(lambda row: tf.data.Dataset.from_tensors(row))
    for row, found in zip(x, source.map(lambda row: row * 2.0 + 1.0), strict=True):
        np.testing.assert_array_equal(found, row * 2 + 1)
    assert max(sizes, default=1) == most
