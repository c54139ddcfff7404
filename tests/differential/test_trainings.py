"""Trainings from the same weights on the same data give what tf_keras gives: outputs, losses, metrics and weights."""

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from tests.differential.cases import CASES

RECORDED = np.load(Path(__file__).parent / "data" / "trainings.npz")
OUTPUTS, TRAINED = {"rtol": 1e-5, "atol": 1e-6}, {"rtol": 1e-4, "atol": 1e-5}


def test_there_are_enough():
    assert len(CASES) >= 120
    assert {name.split("/")[0] for name in RECORDED.files} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_training(name):
    results = CASES[name](tf.keras, tf.keras.optimizers)
    assert {f"{name}/{key}" for key in results} == {key for key in RECORDED.files if key.startswith(f"{name}/")}
    for key, value in results.items():
        tolerance = OUTPUTS if key == "before" else TRAINED
        np.testing.assert_allclose(value, RECORDED[f"{name}/{key}"], **tolerance, err_msg=key)
