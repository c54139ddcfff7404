from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras._errors import InvalidArgumentError
from distkeras.graph.function import Function
from distkeras.testing import check_grads
from tests.ops.compare import check

TABLE = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
COMPILE = pytest.mark.parametrize("compile", [False, True])


def _maybe(function, compile):
    return Function(function) if compile else function


@COMPILE
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_gather(compile, dtype):
    ids = np.array([[3, 0], [1, 1]], dtype)

    def pick(table, ids):
        return [ops.gather(table, ids), ops.gather(table, ids[1], axis=1), ops.gather(table, ids[1, 0], axis=-1)]

    expected = [TABLE[ids], TABLE[:, ids[1]], TABLE[..., ids[1, 0]]]
    for got, want in zip(_maybe(pick, compile)(TABLE, ids), expected, strict=True):
        check(got, want)


@COMPILE
def test_gather_with_batch_dimensions(compile):
    ids = np.int32([[2, 0], [1, 1], [0, 2], [2, 2]])

    def pick(table, ids):
        return [ops.gather(table, ids, batch_dims=1), ops.gather(table, ids[:, 0], axis=1, batch_dims=1),
                ops.gather(table, ids, batch_dims=-1)]  # fmt: skip

    rows = np.arange(4)[:, None]
    expected = [TABLE[rows, ids], TABLE[rows[:, 0], ids[:, 0]], TABLE[rows, ids]]
    for got, want in zip(_maybe(pick, compile)(TABLE, ids), expected, strict=True):
        check(got, want)


@COMPILE
def test_gather_nd(compile):
    ids = np.int32([[0, 2], [3, 1]])

    def pick(table, ids):
        return [
            ops.gather_nd(table, ids), ops.gather_nd(table, ids[:, :1]), ops.gather_nd(table[..., 0], ids),
            ops.gather_nd(table[:2], ids[:, 1:], batch_dims=1),
        ]  # fmt: skip

    expected = [
        TABLE[ids[:, 0], ids[:, 1]], TABLE[ids[:, 0]], TABLE[ids[:, 0], ids[:, 1], 0], TABLE[[0, 1], ids[:, 1]],
    ]  # fmt: skip
    for got, want in zip(_maybe(pick, compile)(TABLE, ids), expected, strict=True):
        check(got, want)


@COMPILE
@pytest.mark.parametrize(
    "function, ids, match",
    [
        (ops.gather, np.int32([0, 4]), r"indices\[1\] = 4 is not in \[0, "),
        (ops.gather, np.int32([-1]), r"indices\[0\] = -1 is not in"),
        (lambda table, ids: ops.gather(table, ids, batch_dims=1), np.int32([[3], [0], [0], [0]]), "index 3 is not in"),
        (ops.gather_nd, np.int32([[0, 3]]), "index 3 is not in"),
    ],
)
def test_indices_out_of_range_are_refused(compile, function, ids, match):
    with pytest.raises(InvalidArgumentError, match=match):
        _maybe(function, compile)(TABLE, ids)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: ops.gather(TABLE, [0.5]), "indices must be integers, received dtype float32"),
        (lambda: ops.gather(TABLE, [[0]] * 3, batch_dims=1), "the batch dimensions of"),
        (lambda: ops.gather(TABLE, [[0]] * 4, axis=2, batch_dims=1), "axis must be 1, received 2"),
        (lambda: ops.gather_nd(TABLE, [[0, 0, 0, 0]]), "4 coordinates"),
        (lambda: ops.boolean_mask(TABLE, [True, False]), r"expected a bool mask .* received bool \(2,\)"),
        (lambda: ops.slice_(TABLE, [0], [1]), "one entry for each dimension"),
    ],
)
def test_bad_arguments(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_derivatives_add_up_where_a_row_is_taken_twice():
    check_grads(lambda table: ops.gather(table * table, [[3, 0], [3, 3]]), TABLE / 10)
    check_grads(lambda table: ops.gather(table * table, [1, 1], axis=2), TABLE / 10)
    check_grads(lambda table: ops.gather_nd(table * table, [[1, 1], [1, 1]]), TABLE / 10)


def test_no_indices():
    check(ops.gather(TABLE, np.zeros((0, 2), np.int32)), np.zeros((0, 2, 3, 2), np.float32))


def test_slice_and_boolean_mask():
    check(ops.slice_(TABLE, [1, 0, 1], [2, -1, 1]), TABLE[1:3, :, 1:2])
    mask = np.array([[True, False, True], [False] * 3, [False] * 3, [False, True, False]])
    check(ops.boolean_mask(TABLE, mask), TABLE[mask])
    check(ops.boolean_mask(TABLE, [True, False, True], axis=1), TABLE[:, [0, 2]])


def test_embedding_lookup():
    table = tf.Variable(TABLE[:, 0])
    check(ops.embedding_lookup(table, [3, 0]), TABLE[[3, 0], 0])
    lengths = np.linalg.norm(TABLE[[3, 0], 0], axis=-1, keepdims=True)
    check(ops.embedding_lookup(table, [3, 0], max_norm=2.0), TABLE[[3, 0], 0] * (2 / np.maximum(lengths, 2)))


def test_sequence_mask():
    check(ops.sequence_mask([1, 3, 0]), np.arange(3) < np.array([[1], [3], [0]]))
    check(ops.sequence_mask([[1], [2]], 2, "float32"), np.float32([[[1, 0]], [[1, 1]]]))
