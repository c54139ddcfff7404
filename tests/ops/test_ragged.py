"""RaggedTensor: the same lines give the same rows and types as in TensorFlow, and what else it promises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from tests.ops.ragged_cases import CASES, names, stored

RECORDED = json.loads((Path(__file__).parent / "data" / "ragged.json").read_text())
NAMES = names(tf)


def assert_alike(found, expected, place=""):
    if isinstance(expected, list):
        assert len(found) == len(expected), place
        for i, pair in enumerate(zip(found, expected, strict=True)):
            assert_alike(*pair, f"{place}[{i}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, 2e-5, 2e-6, nan_ok=True), place
    else:
        assert found == expected and type(found) is type(expected), place


@pytest.mark.parametrize("name", CASES)
def test_as_in_tensorflow(name):
    assert_alike(stored(tf, eval(CASES[name], NAMES)), RECORDED[name])


def test_what_they_are():
    rows = tf.ragged.constant([[[1.0, 2.0], [3.0]], []])
    assert (rows.shape, rows.ragged_rank, rows.ndim, rows.dtype, len(rows)) == ((2, None, None), 2, 3, tf.float32, 2)
    assert repr(rows) == str(rows) == "<tf.RaggedTensor [[[1.0, 2.0], [3.0]], []]>"
    assert [row.to_list() for row in rows] == rows.to_list() == [[[1.0, 2.0], [3.0]], []]
    assert [row.tolist() for row in tf.ragged.constant([[1, 2], [3]]).numpy()] == [[1, 2], [3]]
    assert tf.ragged.constant([[1, 2], [3, 4]]).numpy().tolist() == [[1, 2], [3, 4]]
    assert (np.array([[1], [2]]) + tf.ragged.constant([[1, 2], [3]])).to_list() == [[2, 3], [5]]
    assert len({rows, rows}) == 1 and (rows != None) is True  # noqa: E711


def test_specs():
    rows = tf.ragged.constant([[1, 2], [3]])
    spec = tf.RaggedTensorSpec.from_value(rows)
    assert spec == tf.RaggedTensorSpec([2, None], tf.int32) and hash(spec) == hash(
        tf.RaggedTensorSpec([2, None], "int32")
    )
    assert repr(spec) == "RaggedTensorSpec(TensorShape([2, None]), tf.int32, 1, tf.int64)"
    assert tf.RaggedTensorSpec([None, None], tf.int32).is_compatible_with(rows)
    for other in (
        tf.RaggedTensorSpec([3, None], tf.int32),
        tf.RaggedTensorSpec([2, None], tf.int64),
        tf.RaggedTensorSpec([2, None], tf.int32, row_splits_dtype=tf.int32),
        tf.RaggedTensorSpec([2, None, None], tf.int32),
    ):
        assert not other.is_compatible_with(rows)
    assert tf.RaggedTensorSpec.value_type is tf.RaggedTensor is tf.ragged.RaggedTensor


ROWS = tf.ragged.constant([[1, 2], [3]])


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: tf.RaggedTensor([1], [0, 1]), ValueError, "from_row_splits"),
        (lambda: tf.RaggedTensor.from_row_splits([1, 2], [0, 1]), ValueError, "from 0 to 2"),
        (lambda: tf.RaggedTensor.from_row_splits([1, 2], [0, 2, 1, 2]), ValueError, "never down"),
        (lambda: tf.RaggedTensor.from_row_splits([1, 2], [0.0, 2.0]), ValueError, "vector of integers"),
        (lambda: tf.RaggedTensor.from_row_splits(1, [0, 2]), ValueError, "at least one dimension"),
        (lambda: tf.RaggedTensor.from_row_lengths([1, 2], [3, -1]), ValueError, "must be >= 0"),
        (lambda: tf.RaggedTensor.from_value_rowids([1, 2], [1, 0]), ValueError, "never go down"),
        (lambda: tf.RaggedTensor.from_value_rowids([1, 2], [0, 2], nrows=2), ValueError, r"in \[0, 2\)"),
        (lambda: tf.RaggedTensor.from_nested_row_splits([1], 3), TypeError, "each ragged dimension"),
        (lambda: tf.RaggedTensor.from_tensor([[1]], lengths=[1], padding=0), ValueError, "not both"),
        (lambda: tf.RaggedTensor.from_tensor([1]), ValueError, "ragged_rank"),
        (lambda: tf.RaggedTensor.from_sparse(tf.sparse.from_dense([[0, 1]])), ValueError, "not right-ragged"),
        (lambda: tf.ragged.constant([1, [2]]), ValueError, "same nesting depth"),
        (lambda: tf.ragged.constant([[[]], 1]), ValueError, "nesting"),
        (lambda: tf.ragged.constant([[[1, 2], [3]]], ragged_rank=1), ValueError, "one shape"),
        (lambda: tf.ragged.constant([[1]], ragged_rank=2), ValueError, "ragged_rank must be"),
        (lambda: tf.ragged.constant([[1]], row_splits_dtype=tf.float32), ValueError, "int32 or int64"),
        (lambda: tf.ragged.range([1], deltas=0), ValueError, "must not be 0"),
        (lambda: tf.ragged.range([1, 2], [1, 2, 3]), ValueError, "broadcast|one length"),
        (lambda: ROWS + tf.ragged.constant([[1], [2]]), ValueError, "cannot be broadcast"),
        (lambda: ROWS + tf.constant([[1, 2, 3]]), ValueError, "cannot be broadcast"),
        (lambda: ROWS + tf.constant([[1], [2], [3]]), ValueError, "cannot be broadcast"),
        (lambda: ROWS[2], ValueError, "out of range"),
        (lambda: ROWS[:, 0], ValueError, "inner ragged dimension"),
        (lambda: ROWS[0, 0, 0], ValueError, "Too many indices"),
        (lambda: ROWS.with_values([1]), ValueError, "expected 3 values"),
        (lambda: ROWS.to_tensor([1, 2]), ValueError, "default_value must have shape"),
        (lambda: tf.concat([ROWS, [[1]]], 1), ValueError, "as many rows"),
        (lambda: tf.gather(ROWS, [2]), ValueError, "row of number 2"),
        (lambda: tf.tile(ROWS, [2]), ValueError, "expected 2 multiples"),
        (lambda: tf.ragged.boolean_mask(ROWS, [[True], [True]]), ValueError, "lengths of the data's rows"),
        (lambda: tf.ragged.map_flat_values(tf.add, ROWS, ROWS[:1]), ValueError, "same lengths"),
        (lambda: tf.ragged.map_flat_values(tf.reduce_sum, ROWS), ValueError, "at least one dimension"),
        (lambda: tf.matmul(ROWS, ROWS), TypeError, r"matmul does not take ragged .* ragged.to_tensor\(\)"),
        (lambda: tf.constant(ROWS), TypeError, r"ragged.to_tensor\(\)"),
        (lambda: np.array(ROWS), TypeError, r"ragged.to_tensor\(\)"),
        (lambda: bool(ROWS), TypeError, "as a boolean"),
        (lambda: tf.RaggedTensorSpec(), ValueError, "give ragged_rank"),
        (lambda: tf.ragged.stack_dynamic_partitions(ROWS, [0, 2], 2), ValueError, r"in \[0, 2\)"),
        (lambda: tf.ragged.stack_dynamic_partitions(ROWS, [[0], [1]], 2), ValueError, "differ in length"),
    ],
)
def test_what_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_tapes_take_ragged_tensors():
    rows = tf.ragged.constant([[1.0, 2.0], [], [3.0]])
    with tf.GradientTape() as tape:
        tape.watch(rows)
        cubes = rows * rows * rows
    assert tape.gradient(cubes, rows, output_gradients=rows).to_list() == [[3.0, 24.0], [], [81.0]]
    v = tf.Variable([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        squares = tf.RaggedTensor.from_row_splits(v * v, [0, 2, 3])
    assert tape.gradient(squares, v).numpy().tolist() == [2.0, 4.0, 6.0]


def test_tables_look_up_ragged_keys():
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], np.array([1, 2])), -1)
    assert table.lookup(tf.strings.split(["a b", "c"])).to_list() == [[1, 2], [-1]]


def test_signatures_of_functions():
    function = tf.function(lambda rows: rows + 1, input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    with pytest.warns(UserWarning, match="runs step by step"):
        assert function(ROWS).to_list() == (ROWS + 1).to_list()
    other = tf.function(lambda rows: rows, input_signature=[tf.RaggedTensorSpec([None, None], tf.float32)])
    with pytest.raises(ValueError, match="incompatible with input_signature"):
        other(ROWS)
    assert tf.is_tensor(ROWS)


def test_values_may_be_symbols_of_a_function_where_rows_are_known():
    splits = np.array([0, 2, 2, 3])

    def total(values):
        rows = tf.RaggedTensor.from_row_splits(values, splits)
        return tf.reduce_max(rows * rows, 1), (rows + rows[::-1][::-1]).to_tensor(-1.0)[:, 1:]

    values = tf.constant([1.0, -3.0, 2.0])
    compiled = tf.function(total)
    for found, expected in zip(compiled(values), total(values), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not compiled.runs_eagerly
