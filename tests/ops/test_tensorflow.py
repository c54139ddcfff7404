"""The same lines give the same values, types and shapes as in TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from tests.ops.tensorflow_cases import CASES, stored

RECORDED = np.load(Path(__file__).parent / "data" / "tensorflow.npz")


@pytest.mark.parametrize("name", CASES)
def test_as_in_tensorflow(name):
    results = [stored(tf.convert_to_tensor(result)) for result in CASES[name](tf)]
    assert len(results) == sum(key.rsplit(" ", 1)[0] == name for key in RECORDED)
    for i, result in enumerate(results):
        expected = RECORDED[f"{name} {i}"]
        assert (result.dtype, result.shape) == (expected.dtype, expected.shape), i
        if result.dtype.kind == "S":
            assert result.tolist() == expected.tolist()
            continue
        tolerance = 1e-9 if result.dtype == np.float64 else 2e-5
        np.testing.assert_allclose(result, expected, tolerance, tolerance, err_msg=str(i))
