"""Whole trainings give the numbers that tf_keras gives, compiled and step by step."""

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from tests.keras.training.cases import CASES

RECORDED = np.load(Path(__file__).parent / "data" / "training.npz")


@pytest.mark.parametrize("run_eagerly", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("case", CASES)
def test_numbers(case, run_eagerly, monkeypatch):
    compile_model = tf.keras.Model.compile
    monkeypatch.setattr(
        tf.keras.Model,
        "compile",
        lambda self, *args, **kwargs: compile_model(self, *args, run_eagerly=run_eagerly, **kwargs),
    )
    results = CASES[case](tf.keras)
    expected = {key: RECORDED[key] for key in RECORDED.files if key.startswith(f"{case}/")}
    assert len(expected) == len(results)
    for key, value in expected.items():
        result = results[key.split("/")[1]]
        np.testing.assert_allclose(np.asarray(result, "float64"), value, rtol=2e-5, atol=2e-6, err_msg=key)
