from __future__ import annotations

import numpy as np
import pytest

from distkeras import ops
from distkeras._errors import InvalidArgumentError
from distkeras.core.context import Replica, on_replica
from distkeras.distribute.moments import merge_moments
from distkeras.graph.function import function
from distkeras.testing import check_compiled, check_grads
from tests.ops.compare import check

_rng = np.random.default_rng(4)
X = _rng.standard_normal((3, 2, 2, 4)).astype(np.float32) * 3 + 100
GAMMA, BETA = _rng.standard_normal((2, 4)).astype(np.float32)


def test_training_normalises_by_the_batchs_moments():
    y, mean, variance = ops.batch_normalization_training(X, GAMMA, BETA, 1e-3)
    expected_mean, expected_variance = X.mean((0, 1, 2), np.float64), X.var((0, 1, 2), np.float64)
    check(mean, expected_mean.astype(np.float32), rtol=1e-6)
    check(variance, expected_variance.astype(np.float32), rtol=1e-5)
    expected = (X - expected_mean) / np.sqrt(expected_variance + 1e-3) * GAMMA + BETA
    check(y, expected.astype(np.float32), rtol=1e-4, atol=1e-5)
    _, _, unbiased = ops.batch_normalization_training(X, GAMMA, BETA, unbiased=True)
    check(unbiased, X.var((0, 1, 2), np.float64, ddof=1).astype(np.float32), rtol=1e-5)


def test_derivatives_to_third_order():
    check_grads(lambda x, g, b: ops.batch_normalization_training(x, g, b)[0], X[:, 0] - 100, GAMMA, BETA, order=3)


def test_inference():
    mean, variance = X.mean((0, 1, 2)), X.var((0, 1, 2))
    expected = (X - mean) / np.sqrt(variance + 0.1) * GAMMA + BETA
    check(ops.batch_normalization_inference(X, mean, variance, GAMMA, BETA, 0.1), expected, rtol=1e-4, atol=1e-4)
    bare = (X - mean) / np.sqrt(variance + 0.1)
    check(ops.batch_normalization_inference(X, mean, variance, None, None, 0.1), bare, rtol=1e-4, atol=1e-4)
    check_compiled(
        lambda x, *others: ops.batch_normalization_inference(x, *others), X, mean, variance, GAMMA, BETA, batched=[0],
        atol=1e-3,
    )  # fmt: skip


def test_an_empty_slice_of_a_batch_gives_no_nan():
    y, mean, variance = ops.batch_normalization_training(X[:0], GAMMA, BETA)
    assert y.shape == (0, 2, 2, 4)
    assert np.isfinite(mean.numpy()).all() and np.isfinite(variance.numpy()).all()


def test_a_relu_becomes_part_of_the_normalisation():
    layer = lambda *args: ops.relu(ops.batch_normalization_training(*args)[0])  # noqa: E731
    graph = function(layer).get_concrete_function(*map(ops.constant, (X, GAMMA, BETA))).plan.graph
    assert [equation.primitive.name for equation in graph.equations] == ["batch_moments", "normalization_by_moments"]
    check_compiled(layer, X, GAMMA, BETA, batched=[])
    both = lambda *args: [ops.relu(y := ops.batch_normalization_training(*args)[0]), y]  # noqa: E731
    check_compiled(both, X, GAMMA, BETA, batched=[])


class Twin(Replica):
    """Two replicas that hold the same rows: the moments stay, counts and sums double."""

    num_replicas_in_sync = 2

    def merge_moments(self, parts):
        return merge_moments(np.concatenate([parts, parts]))

    def sum_parts(self, parts):
        return parts[0] * 2, parts[0]

    def allreduce(self, array):
        array *= 2


def test_over_replicas_the_moments_are_the_global_ones():
    alone = ops.batch_normalization_training(X, GAMMA, BETA)
    with on_replica(Twin()):
        together = ops.batch_normalization_training(X, GAMMA, BETA)
        apart = ops.batch_normalization_training(X, GAMMA, BETA, synchronized=False, unbiased=True)
        unbiased = ops.batch_normalization_training(X, GAMMA, BETA, unbiased=True)[2]
    for got, want in zip(together, alone, strict=True):
        check(got, want.numpy())
    check(unbiased, alone[2].numpy() * np.float32(24 / 23), rtol=1e-6)
    check(apart[2], alone[2].numpy() * np.float32(12 / 11), rtol=1e-6)


@pytest.mark.parametrize("x, gamma", [(X[0, 0, 0], GAMMA), (X, GAMMA[:3])])
def test_shapes_that_do_not_fit_are_refused(x, gamma):
    with pytest.raises(InvalidArgumentError, match=r"expected \[..., channels\] with gamma and beta of \[channels\]"):
        ops.batch_normalization_training(x, gamma, BETA)


def test_layer_normalization_of_half_precision_is_taken_in_single():
    x = np.full((2, 5), 300, np.float16) + np.arange(5, dtype=np.float16)
    y = ops.layer_normalization(x, np.ones(5, np.float16), np.zeros(5, np.float16), 0.0)
    assert y.dtype == "float16"
    check(y, np.tile((np.arange(5) - 2) / np.sqrt(2), (2, 1)).astype(np.float16), rtol=1e-3, atol=1e-3)


def test_layer_normalization_wants_factors_for_the_last_dimension():
    with pytest.raises(InvalidArgumentError, match=r"expected \[..., n\] with gamma and beta of \[n\]"):
        ops.layer_normalization(X, GAMMA[:2], BETA)
