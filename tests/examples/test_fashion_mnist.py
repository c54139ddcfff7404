"""The example runs from end to end, whatever data this machine has."""

from __future__ import annotations

import importlib.util
import re
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


def test_from_data_to_curves_with_any_number_of_ranks(tmp_path):
    """The last of the batches is short, there is dropout, and 3 ranks cannot share a batch evenly."""
    said, weights = {}, {}
    for ranks in (1, 2, 3):
        output = tmp_path / str(ranks)
        result = run_ranks(
            ranks, PATH, "--samples", 250, "--epochs", 2, "--output", output, timeout=240, variables=QUIET
        ).check()
        assert result.stdout.count("data: ") == 1 and result.stdout.count("test accuracy ") == 1
        assert "loaded again it predicts the same" in result.stdout
        assert (output / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
        said[ranks] = re.findall(r"(?:loss|accuracy):? [0-9.]+", result.stdout)
        with h5py.File(output / "model.h5") as file:
            arrays = []
            file["model_weights"].visititems(
                lambda _, item, to=arrays: to.append(item[()]) if hasattr(item, "shape") else None
            )
        weights[ranks] = arrays
    assert len(said[1]) == 2 * 4 + 2 and len(weights[1]) == 8
    for ranks in (2, 3):
        assert said[ranks] == said[1]
        assert all(np.array_equal(one, other) for one, other in zip(weights[1], weights[ranks], strict=True))


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
