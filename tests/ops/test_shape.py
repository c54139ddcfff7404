from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras._errors import InvalidArgumentError
from distkeras.graph.function import Function
from distkeras.testing import check_grads
from tests.ops.compare import check, gradient

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

MOVES = {
    "reshape": (lambda x: ops.reshape(x, [4, -1]), lambda x: x.reshape(4, -1)),
    "reshape to a vector": (lambda x: ops.reshape(x, -1), lambda x: x.reshape(-1)),
    "expand_dims": (lambda x: ops.expand_dims(x, 1), lambda x: x[:, None]),
    "expand_dims at the end": (lambda x: ops.expand_dims(x, -1), lambda x: x[..., None]),
    "squeeze": (lambda x: ops.squeeze(x[:, :1]), lambda x: x[:, 0]),
    "squeeze an axis": (lambda x: ops.squeeze(x[:1, :1], [-2]), lambda x: x[:1, 0]),
    "transpose": (ops.transpose, np.transpose),
    "transpose by perm": (lambda x: ops.transpose(x, [0, -1, 1]), lambda x: x.transpose(0, 2, 1)),
    "broadcast_to": (lambda x: ops.broadcast_to(x, (5, 2, 3, 4)), lambda x: np.broadcast_to(x, (5, 2, 3, 4))),
    "concat": (lambda x: ops.concat([x, x + 1, x[:, :1]], 1), lambda x: np.concatenate([x, x + 1, x[:, :1]], 1)),
    "concat, negative": (lambda x: ops.concat([x, x], -1), lambda x: np.concatenate([x, x], -1)),
    "concat with numbers": (
        lambda x: ops.concat([x[0, 0], [1, 2]], 0),
        lambda x: np.append(x[0, 0], np.float32([1, 2])),
    ),
    "stack": (lambda x: ops.stack([x, x + 1], -1), lambda x: np.stack([x, x + 1], -1)),
    "stack of scalars": (lambda x: ops.stack([x[0, 0, 0], x[1, 2, 3]]), lambda x: x[[0, 1], [0, 2], [0, 3]]),
    "unstack": (lambda x: ops.unstack(x, axis=-1)[3], lambda x: x[..., 3]),
    "unstack a vector": (lambda x: ops.unstack(x[0, 0])[2], lambda x: x[0, 0, 2]),
    "split": (lambda x: ops.split(x, 2, axis=-1)[1], lambda x: x[..., 2:]),
    "split by sizes": (lambda x: ops.split(x, [1, -1], axis=1)[1], lambda x: x[:, 1:]),
    "tile": (lambda x: ops.tile(x, [1, 2, 3]), lambda x: np.tile(x, [1, 2, 3])),
    "repeat": (lambda x: ops.repeat(x, 2, axis=1), lambda x: np.repeat(x, 2, 1)),
    "repeat each": (lambda x: ops.repeat(x, [2, 0, 1], axis=1), lambda x: np.repeat(x, [2, 0, 1], 1)),
    "repeat flat": (lambda x: ops.repeat(x, 2), lambda x: np.repeat(x, 2)),
    "reverse": (lambda x: ops.reverse(x, [0, -1]), lambda x: x[::-1, :, ::-1]),
    "pad": (lambda x: ops.pad(x, [[1, 0], [0, 2], [1, 1]]), lambda x: np.pad(x, [[1, 0], [0, 2], [1, 1]])),
    "pad with -inf": (
        lambda x: ops.pad(x, [[1, 0], [0, 2], [0, 0]], constant_values=-np.inf),
        lambda x: np.pad(x, [[1, 0], [0, 2], [0, 0]], constant_values=-np.inf),
    ),
    "pad reflect": (
        lambda x: ops.pad(x, [[0, 1], [2, 1], [0, 3]], "REFLECT"),
        lambda x: np.pad(x, [[0, 1], [2, 1], [0, 3]], "reflect"),
    ),
    "pad symmetric": (
        lambda x: ops.pad(x, tf.constant([[2, 1], [0, 0], [4, 0]]), "symmetric"),
        lambda x: np.pad(x, [[2, 1], [0, 0], [4, 0]], "symmetric"),
    ),
}
INDICES = {
    "int": np.s_[1], "negative int": np.s_[-1], "all ints": np.s_[1, -1, 2], "slice": np.s_[:, 1:],
    "step": np.s_[..., ::2],
    "negative step": np.s_[::-1, ::-2], "negative bounds": np.s_[:, -2:-1], "past the end": np.s_[:, 1:99],
    "backwards to the start": np.s_[:, 1::-1], "newaxis": np.s_[:, None, 1],
    "newaxis at the ends": np.s_[None, ..., None],
    "ellipsis": np.s_[0, ..., 1], "empty": np.s_[:, 2:1], "empty backwards": np.s_[:, 0:2:-1], "everything": np.s_[:],
    "only ellipsis": np.s_[...], "numpy ints": (np.int64(1), np.int32(-1)), "numpy bounds": np.s_[:, np.int64(1) :],
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_moves_are_numpys(name):
    move, numpy = MOVES[name]
    check(move(ops.constant(X)), numpy(X))


def test_moves_are_the_same_compiled():
    compiled = Function(lambda x: {name: move(x) for name, (move, _) in MOVES.items()})
    for offset in (0, 100):  # twice: what was read when the plan was made must not stay
        results = compiled(X + offset)
        for name, (_, numpy) in MOVES.items():
            np.testing.assert_array_equal(results[name].numpy(), numpy(X + offset), name)


@pytest.mark.parametrize("name", MOVES)
def test_derivatives_of_moves(name):
    check_grads(MOVES[name][0] if "inf" not in name else lambda x: ops.pad(x, [[1, 0]] * 3, constant_values=2.0), X)


@pytest.mark.parametrize("name", INDICES)
def test_indexing_is_numpys(name):
    check(ops.constant(X)[INDICES[name]], X[INDICES[name]])


def test_indexing_is_the_same_compiled_and_has_derivatives():
    def function(x):
        return {name: x[index] for name, index in INDICES.items()}

    compiled = Function(function)
    for offset in (0, 100):
        for name, result in compiled(X + offset).items():
            np.testing.assert_array_equal(result.numpy(), (X + offset)[INDICES[name]], name)
    check_grads(lambda x: list(function(x * x).values()), X[:, :, :] / 10)


def test_indexing_by_tensors():
    x = ops.constant(X)
    check(x[ops.constant(1)], X[1])
    check(x[:, ops.constant(-1), 1:], X[:, -1, 1:])
    check(x[ops.constant(X > 20)], X[X > 20])
    check(x[X[:, :, 0] > 7], X[X[:, :, 0] > 7])
    compiled = Function(lambda x, i: (x[i], x[:, i, 1:], x[0, i, None, -1]))
    for i in (np.int32(1), np.int64(-1), np.int32(0)):
        for got, want in zip(compiled(X, i), (X[i], X[:, i, 1:], X[0, i, None, -1]), strict=True):
            check(got, want)


@pytest.mark.parametrize(
    "index, error, match",
    [
        (np.s_[2], InvalidArgumentError, r"slice index 2 of dimension 0 out of bounds for shape \(2, 3, 4\)"),
        (np.s_[0, 0, 0, 0], InvalidArgumentError, "Too many indices: 4"),
        (np.s_[..., 0, ...], InvalidArgumentError, "single ellipsis"),
        (np.s_[1.5], TypeError, "Only integers, slices .* received 1.5"),
        (np.s_[[0, 1]], TypeError, "use tf.gather"),
        (np.s_[np.array([0, 1])], TypeError, "use tf.gather"),
        (np.array([True, False, True]), InvalidArgumentError, "expected a bool mask"),
    ],
)
def test_bad_indices(index, error, match):
    with pytest.raises(error, match=match):
        ops.constant(X)[index]


def test_iteration_and_length():
    assert [row.numpy().tolist() for row in ops.constant(X[0])] == X[0].tolist()
    assert len(ops.constant(X)) == 2
    with pytest.raises(TypeError, match="Scalar tensor has no `len"):
        len(ops.constant(1.0))
    with pytest.raises(TypeError, match="Cannot iterate over a scalar"):
        iter(ops.constant(1.0))


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda x: ops.reshape(x, [5, -1]), "24 values"),
        (lambda x: ops.reshape(x, [-1, -1]), "Only one size"),
        (lambda x: ops.expand_dims(x, 4), "Axis 4 is out of range"),
        (lambda x: ops.squeeze(x, 0), r"Can not squeeze dim\[0\]"),
        (lambda x: ops.transpose(x, [0, 0, 1]), "not a permutation"),
        (lambda x: ops.broadcast_to(x, (2, 2, 4)), "cannot be broadcast"),
        (lambda x: ops.concat([x, x[:, :, :2]], 1), "concat along axis 1"),
        (lambda x: ops.concat([x, ops.cast(x, "int32")], 1), "one element type"),
        (lambda x: ops.concat([1.0, 2.0], 0), "scalars cannot be concatenated"),
        (lambda x: ops.stack([x, x[:1]]), "shapes must be equal"),
        (lambda x: ops.unstack(x, num=5), "num is 5"),
        (lambda x: ops.split(x, 5, axis=1), "not divisible into 5"),
        (lambda x: ops.split(x, [1, 1], axis=1), "do not add up to 3"),
        (lambda x: ops.tile(x, [2]), "expected 3 multiples"),
        (lambda x: ops.pad(x, [[1, 1]]), "expected 3 pairs"),
        (lambda x: ops.pad(x, [[1, 1]] * 3, "WRAP"), "mode must be"),
        (lambda x: ops.reverse(x, [3]), "Axis 3 is out of range"),
        (lambda x: ops.reverse(x, [0, -3]), "given twice"),
    ],
)
def test_bad_arguments(make, match):
    with pytest.raises(ValueError, match=match):
        make(ops.constant(X))


def test_empty_tensors():
    empty = ops.zeros((0, 3))
    check(ops.reshape(empty, [3, -1]), np.zeros((3, 0), np.float32))
    check(ops.concat([empty, empty + 1, ops.ones((1, 3))], 0), np.ones((1, 3), np.float32))
    check(ops.transpose(empty), np.zeros((3, 0), np.float32))
    check(ops.tile(empty, [2, 2]), np.zeros((0, 6), np.float32))
    check(ops.pad(empty, [[1, 1], [0, 0]], constant_values=2), np.full((2, 3), 2, np.float32))
    check(empty[:, 1], np.zeros(0, np.float32))
    assert gradient(lambda x: ops.reduce_sum(x[:0]), [1.0, 2.0]) == [[0.0, 0.0]]


def test_a_list_with_tensors_in_it_is_differentiable():
    assert gradient(lambda x: ops.reduce_sum(ops.convert_to_tensor([[x * x, 1.0], [2.0, x]])), 3.0) == [7.0]
    compiled = Function(lambda x: ops.convert_to_tensor([[x, 1.0], [2.0, x]]))
    check(compiled(np.float64(5.0)), np.float64([[5, 1], [2, 5]]))
