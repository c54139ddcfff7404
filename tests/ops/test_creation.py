from __future__ import annotations

import numpy as np
import pytest

from distkeras import ops
from distkeras._errors import InvalidArgumentError
from distkeras.graph.function import Function
from tests.ops.compare import check


@pytest.mark.parametrize(
    "result, expected",
    [
        (lambda: ops.constant(2), np.int32(2)),
        (lambda: ops.constant(2.5), np.float32(2.5)),
        (lambda: ops.constant(2**40), np.int64(2**40)),
        (lambda: ops.constant(True), np.bool_(True)),
        (lambda: ops.constant(np.float64([1, 2])), np.float64([1, 2])),
        (lambda: ops.constant(np.arange(3, dtype=">f4")), np.arange(3, dtype="<f4")),
        (lambda: ops.constant(1, "float64", (2, 2)), np.ones((2, 2))),
        (lambda: ops.constant([1, 2, 3, 4], shape=(2, 2)), np.int32([[1, 2], [3, 4]])),
        (lambda: ops.zeros([2, 3]), np.zeros((2, 3), np.float32)),
        (lambda: ops.ones((), "int64"), np.int64(1)),
        (lambda: ops.ones(ops.constant([2, 1])), np.ones((2, 1), np.float32)),
        (lambda: ops.fill([2, 2], 3), np.full((2, 2), 3, np.int32)),
        (lambda: ops.zeros_like(np.int32([1, 2])), np.zeros(2, np.int32)),
        (lambda: ops.ones_like([1, 2], "float32"), np.ones(2, np.float32)),
        (lambda: ops.shape(np.zeros((2, 3))), np.int32([2, 3])),
        (lambda: ops.size(np.zeros((2, 3)), "int64"), np.int64(6)),
        (lambda: ops.rank(np.zeros((2, 3))), np.int32(2)),
        (lambda: ops.range(4), np.arange(4, dtype=np.int32)),
        (lambda: ops.range(2, 8, 3), np.int32([2, 5])),
        (lambda: ops.range(3, 0, -1), np.int32([3, 2, 1])),
        (lambda: ops.range(0, 1.0, 0.25), np.float32([0, 0.25, 0.5, 0.75])),
        (lambda: ops.range(3, dtype="float64"), np.arange(3.0)),
        (lambda: ops.linspace(0.0, 1.0, 5), np.linspace(0, 1, 5, dtype=np.float32)),
        (lambda: ops.linspace(0, 1, 5), np.linspace(0, 1, 5)),
        (lambda: ops.meshgrid([1, 2, 3], [4, 5])[0], np.int32([[1, 2, 3]] * 2)),
        (lambda: ops.meshgrid([1, 2], [4, 5, 6], [7])[1], np.int32(np.meshgrid([1, 2], [4, 5, 6], [7])[1])),
        (lambda: ops.meshgrid([1, 2], [4, 5, 6], indexing="ij")[0], np.int32([[1] * 3, [2] * 3])),
        (lambda: ops.ensure_shape(np.ones((2, 3)), (None, 3)), np.ones((2, 3))),
        (lambda: ops.stack([1, 2.5]), np.float32([1, 2.5])),
        (lambda: ops.concat(ops.ones((2, 3)), 0), np.ones((2, 3), np.float32)),
        (lambda: ops.eye(2, 3), np.eye(2, 3, dtype=np.float32)),
        (lambda: ops.eye(2, batch_shape=[3], dtype="int32"), np.stack([np.eye(2, dtype=np.int32)] * 3)),
    ],
)
def test_values_and_types(result, expected):
    check(result(), expected)


@pytest.mark.parametrize("compile", [False, True])
def test_one_hot(compile):
    def hot(ids):
        return [
            ops.one_hot(ids, 3), ops.one_hot(ids, 3, axis=0), ops.one_hot(ids, 3, axis=1, dtype="float64"),
            ops.one_hot(ids, 3, 5, -1), ops.one_hot(ids, 3, off_value=-1.0), ops.one_hot(ids, 3, on_value=5),
        ]  # fmt: skip

    ids = np.int32([[0, 2], [7, -1]])
    rows = (ids[..., None] == np.arange(3)).astype(np.float32)
    expected = [
        rows, np.moveaxis(rows, -1, 0), np.moveaxis(rows, -1, 1).astype(np.float64),
        np.where(rows == 1, 5, -1).astype(np.int32), np.where(rows == 1, 1, -1).astype(np.float32),
        (rows * 5).astype(np.int32),
    ]  # fmt: skip
    for got, want in zip((Function(hot) if compile else hot)(ids), expected, strict=True):
        check(got, want)


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: ops.constant([1, 2, 3], shape=(2, 2)), TypeError, r"3 values do not fill the shape \(2, 2\)"),
        (lambda: ops.constant([[1], [2, 3]]), ValueError, "non-rectangular"),
        (lambda: ops.constant(1.5, "int32"), TypeError, "Cannot convert 1.5 to a tensor of type int32"),
        (lambda: ops.constant(object()), TypeError, "Expected numbers, booleans or strings"),
        (lambda: ops.constant(1, "float31"), TypeError, "Expected an element type, .* received 'float31'"),
        (lambda: ops.one_hot([0.5], 3), InvalidArgumentError, "indices must be integers"),
        (lambda: ops.range(0, 3, 0), InvalidArgumentError, "delta must not be 0"),
        (lambda: ops.meshgrid([1], indexing="yx"), ValueError, "indexing must be 'xy' or 'ij', received 'yx'"),
        (lambda: ops.ensure_shape(ops.ones((2, 3)), (2, 2)), InvalidArgumentError, r"expected the shape \(2, 2\)"),
        (lambda: ops.range(3, 0), InvalidArgumentError, "0 is not reached from 3 by steps of 1"),
        (lambda: ops.zeros([None, 2]), TypeError, "Expected an integer for each entry of a shape"),
        (lambda: ops.convert_to_tensor(ops.ones(2), "float64"), ValueError, "cast it first with tf.cast"),
    ],
)
def test_bad_arguments(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_a_tensor_does_not_change_with_the_array_it_was_made_of():
    array = np.zeros(3, np.float32)
    tensors = [ops.constant(array), ops.convert_to_tensor(array), ops.identity(array)]
    array[:] = 1
    for tensor in tensors:
        check(tensor, np.zeros(3, np.float32))
    tensors[0].numpy()[:] = 5
    check(tensors[0], np.zeros(3, np.float32))


def test_convert_to_tensor_with_a_hint():
    check(ops.convert_to_tensor(1, dtype_hint="float32"), np.float32(1))
    check(ops.convert_to_tensor(1.5, dtype_hint="int32"), np.float32(1.5))
