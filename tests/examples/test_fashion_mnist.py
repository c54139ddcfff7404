"""The example runs from end to end, whatever data this machine has."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from distkeras.testing import run_ranks

PATH = Path(__file__).resolve().parents[2] / "examples" / "fashion_mnist.py"
# No package is installed for a test, and nothing is waited for that is not there.
QUIET = {"PATH": str(Path(sys.executable).parent), "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("fashion_mnist_example", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("ranks", [1, 2])
def test_from_data_to_curves(tmp_path, ranks):
    arguments = ["--samples", 256, "--epochs", 2, "--output", tmp_path]
    result = run_ranks(ranks, PATH, *arguments, timeout=240, variables=QUIET).check()
    assert result.stdout.count("data: ") == 1 and result.stdout.count("test accuracy ") == 1
    assert "loaded again it predicts the same" in result.stdout
    assert h5py.is_hdf5(tmp_path / "model.h5")
    assert (tmp_path / "learning_curves.png").read_bytes().startswith(b"\x89PNG")


def test_digits_are_learnt(example):
    """What is trained on where Fashion-MNIST is not to be had."""
    data = example.load_digits(None)
    assert data.x_train.shape[1:] == (16, 16, 1) and len(data.x_train) + len(data.x_test) == 1797
    assert data.x_train.min() == 0 and data.x_train.max() == 1 and data.x_train.dtype == np.float32
    example.tf.random.set_seed(1)
    model = example.build_model((16, 16, 1), filters=16)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data.x_train, data.y_train, batch_size=64, epochs=3, verbose=0)
    assert model.evaluate(data.x_test, data.y_test, verbose=0)[1] > 0.9
