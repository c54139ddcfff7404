"""Functions and models in SavedModels that TensorFlow has written: see record_saved_models.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.graph.function import run_functions_eagerly
from distkeras.keras.saving import saved_model_files
from distkeras.keras.saving.exporting.tensorflow.operators import _OF_ONE, _OF_TWO
from distkeras.keras.saving.exporting.tensorflow.readers import READERS

RECORDED = Path(__file__).parent / "data" / "tfk_saved_models.npz"
with np.load(RECORDED) as arrays:
    ARRAYS = dict(arrays)
NAMES = sorted({key.split(":")[1] for key in ARRAYS if key.startswith("operations:")})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The folders `operations` and `net` as TensorFlow has written them."""
    root = tmp_path_factory.mktemp("saved")
    for key, content in ARRAYS.items():
        if ":" not in key:
            path = root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.tobytes())
    return root


@pytest.fixture(scope="module")
def operations(folder):
    return tf.saved_model.load(folder / "operations")


@pytest.mark.parametrize("eagerly", [True, False], ids=["step by step", "compiled"])
@pytest.mark.parametrize("name", NAMES)
def test_operations(operations, name, eagerly):
    try:
        run_functions_eagerly(eagerly)
        results = tf.nest.flatten(getattr(operations, name)(ARRAYS[f"operations:{name}:in0"]))
    finally:
        run_functions_eagerly(False)
    for place, value in enumerate(results):
        expected = ARRAYS[f"operations:{name}:out{place}"]
        assert value.dtype == expected.dtype
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


def test_every_operation_that_is_read_is_in_a_file_of_tensorflow(folder):
    """But for those that are the same here, and are written: test_saved_functions.py reads them back."""
    seen = set()
    for name in ("operations", "net"):
        library = saved_model_files.read_functions(str(folder / name)).library
        seen |= {node.operation for function in library.values() for node in function.nodes.values()}
    assert set(READERS) - seen - set(_OF_ONE.values()) - set(_OF_TWO.values()) == set()
    assert {"If", "StatelessIf", "While", "StatelessWhile", "Case", "StatelessCase"} <= seen


def test_variables_are_read_and_written_in_order(operations):
    before = operations.total.numpy()
    results = operations.update([2.0, 4.0], np.int32([3, 0]))
    np.testing.assert_array_equal(results["total"], 2 * (before + [1.0, 2.0]))
    np.testing.assert_array_equal(results["rows"], operations.table.numpy()[[3, 0]])
    served = operations.signatures["update"](x=tf.constant([2.0, 4.0]), rows=tf.constant([1]))
    np.testing.assert_array_equal(served["total"], 2 * operations.total.numpy())
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(operations.update([0.0, 0.0], np.int32([1, 1]))["rows"])
    assert tf.convert_to_tensor(tape.gradient(y, operations.table)).numpy().tolist() == [[0, 0], [2, 2], [0, 0], [0, 0]]


@pytest.mark.parametrize("eagerly", [True, False], ids=["step by step", "compiled"])
def test_variables_are_written_in_branches_and_loops(operations, eagerly):
    operations.total.assign([0.0, 0.0])
    try:
        run_functions_eagerly(eagerly)
        rounds, is_ready, shape, total = tf.nest.flatten(operations.update_in_branches_and_loops(1.0))
    finally:
        run_functions_eagerly(False)
    assert (rounds.numpy(), bool(is_ready), shape.numpy().tolist()) == (3.0, True, [2])
    assert total.numpy().tolist() == operations.total.numpy().tolist() == [221.0, 221.0]


def test_arguments_that_are_no_tensors(operations):
    assert operations.optional([1.0]).numpy().tolist() == [3.0]
    assert operations.optional([1.0], flag=True).numpy().tolist() == [2.0]
    with pytest.raises(ValueError, match="Could not find matching function to call"):
        operations.optional([1.0], 3.0)


def test_what_is_found_by_values_runs_step_by_step(operations):
    with pytest.warns(UserWarning, match="cannot be compiled and runs step by step"):
        assert operations.places([1.0, -1.0, 2.0]).numpy().tolist() == [[0], [2]]


def test_an_operation_that_is_not_here(operations):
    with pytest.raises(NotImplementedError, match="applies the operation 'FFT'.*not available here"):
        operations.unknown([[1.0]])


def test_models_by_subclassing(folder, tmp_path):
    x, y = ARRAYS["net:x"], ARRAYS["net:y"]
    model = tf.keras.models.load_model(folder / "net")
    np.testing.assert_allclose(model.predict(x), ARRAYS["net:p"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), ARRAYS["net:e"], rtol=1e-4)
    assert len(model.weights) == 11 and len(model.trainable_weights) == 9 and int(model.optimizer.iterations) == 2
    before = model.get_weights()
    history = model.fit(x, y, epochs=30, verbose=0).history["loss"]
    assert history[-1] < history[0] and all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "again")
    again = tf.keras.models.load_model(tmp_path / "again")
    np.testing.assert_allclose(again.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)
    assert int(again.optimizer.iterations) == 32
