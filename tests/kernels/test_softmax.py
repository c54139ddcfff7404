import numpy as np
import pytest

from distkeras.kernels import softmax as kernels
from tests.kernels import naive_softmax as naive
from tests.kernels.assembly import assert_vectorised

SHAPES = [(0, 5), (1, 1), (3, 7), (5, 10), (4, 16), (2, 17), (3, 100), (2, 1000)]
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-13}


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def _normal(shape, dtype, scale=3.0, seed=0):
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(dtype)


def _close(actual, expected, dtype):
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE[dtype] * 4, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_forward(name, shape, dtype):
    x = _normal(shape, dtype)
    out = np.full_like(x, 9)
    getattr(kernels, name)[dtype](x, out)
    _close(out, getattr(naive, name)(x), dtype)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_gradient(name, shape, dtype):
    y = getattr(naive, name)(_normal(shape, dtype)).astype(dtype)
    dy, out = _normal(shape, dtype, seed=1), np.full(shape, 9, dtype)
    getattr(kernels, f"{name}_gradient")[dtype](y, dy, out)
    _close(out, getattr(naive, f"{name}_gradient")(y, dy), dtype)


def test_sparse_cross_entropy(shape, dtype):
    logits = _normal(shape, dtype)
    labels = np.random.default_rng(2).integers(0, shape[1], shape[0])
    losses, probabilities, dlogits = np.empty(shape[0], dtype), np.empty_like(logits), np.empty_like(logits)
    kernels.sparse_softmax_cross_entropy[dtype](logits, labels, losses, probabilities)
    targets = naive.one_hot(labels, shape[1])
    _close(losses, naive.cross_entropy(logits, targets), dtype)
    _close(probabilities, naive.softmax(logits), dtype)
    dlosses = _normal(shape[0], dtype, seed=3)
    kernels.sparse_softmax_cross_entropy_gradient[dtype](probabilities, labels, dlosses, dlogits)
    _close(dlogits, naive.cross_entropy_gradient(naive.softmax(logits), targets, dlosses), dtype)


def test_cross_entropy_of_probabilities(shape, dtype):
    probabilities = np.random.default_rng(8).uniform(0.01, 0.99, shape).astype(dtype)
    labels, limits = np.random.default_rng(2).integers(0, shape[1], shape[0]), (dtype(0.1), dtype(0.9))
    losses, dprobabilities = np.empty(shape[0], dtype), np.empty_like(probabilities)
    kernels.sparse_cross_entropy[dtype](probabilities, labels, *limits, losses)
    _close(losses, naive.kept_cross_entropy(probabilities, labels, *limits), dtype)
    dlosses = _normal(shape[0], dtype, seed=3)
    kernels.sparse_cross_entropy_gradient[dtype](probabilities, labels, dlosses, *limits, dprobabilities)
    _close(dprobabilities, naive.kept_cross_entropy_gradient(probabilities, labels, dlosses, *limits), dtype)


def test_cross_entropy_of_probabilities_that_are_none(dtype):
    probabilities = np.array([[0.5, np.nan, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], dtype)
    labels, limits = np.array([0, 3, 2]), (dtype(0.1), dtype(0.9))
    losses, dprobabilities = np.empty(3, dtype), np.empty_like(probabilities)
    kernels.sparse_cross_entropy[dtype](probabilities, labels, *limits, losses)
    kernels.sparse_cross_entropy_gradient[dtype](probabilities, labels, np.ones(3, dtype), *limits, dprobabilities)
    assert list(np.isnan(losses)) == [True, True, False]
    assert list(np.isnan(dprobabilities).any(axis=1)) == [True, True, False]


def test_dense_cross_entropy(shape, dtype):
    logits, targets = _normal(shape, dtype), abs(_normal(shape, dtype, 1.0, seed=4))
    losses, probabilities, dlogits = np.empty(shape[0], dtype), np.empty_like(logits), np.empty_like(logits)
    kernels.softmax_cross_entropy[dtype](logits, targets, losses, probabilities)
    np.testing.assert_allclose(losses, naive.cross_entropy(logits, targets), rtol=TOLERANCE[dtype] * 4, atol=1e-5)
    _close(probabilities, naive.softmax(logits), dtype)
    dlosses = _normal(shape[0], dtype, seed=5)
    kernels.softmax_cross_entropy_gradient[dtype](probabilities, targets, dlosses, dlogits)
    expected = naive.cross_entropy_gradient(naive.softmax(logits), targets, dlosses)
    np.testing.assert_allclose(dlogits, expected, rtol=TOLERANCE[dtype] * 50, atol=TOLERANCE[dtype] * 50)


@pytest.mark.parametrize("gradient", ["sparse", "dense"])
def test_gradient_is_the_slope_of_the_loss(gradient):
    logits, step = _normal((6, 9), np.float64), 1e-6
    targets = abs(_normal((6, 9), np.float64, seed=6))
    labels = np.arange(6)
    dlogits, probabilities = np.empty_like(logits), np.empty_like(logits)

    def losses_at(x):
        losses = np.empty(6)
        if gradient == "sparse":
            kernels.sparse_softmax_cross_entropy[np.float64](x, labels, losses, probabilities)
        else:
            kernels.softmax_cross_entropy[np.float64](x, targets, losses, probabilities)
        return losses

    direction = _normal((6, 9), np.float64, seed=7)
    slope = (losses_at(logits + step * direction) - losses_at(logits - step * direction)) / (2 * step)
    losses_at(logits)
    if gradient == "sparse":
        kernels.sparse_softmax_cross_entropy_gradient[np.float64](probabilities, labels, np.ones(6), dlogits)
    else:
        kernels.softmax_cross_entropy_gradient[np.float64](probabilities, targets, np.ones(6), dlogits)
    np.testing.assert_allclose((dlogits * direction).sum(axis=1), slope, rtol=1e-6)


def test_large_logits_do_not_overflow(dtype):
    x = np.array([[1e4, 1e4 - 1, -1e4], [-1e9, -1e9, 0]], dtype)
    out = np.empty_like(x)
    kernels.softmax[dtype](x, out)
    _close(out, naive.softmax(x), dtype)
    assert out[1, 0] == 0


@pytest.mark.parametrize("nan", [np.nan, -np.nan])
@pytest.mark.parametrize("column", [0, 5, 39])
def test_nan_spoils_its_row_and_no_other(nan, column, dtype):
    x = _normal((3, 40), dtype)
    x[1, column] = nan
    out, losses = np.empty_like(x), np.empty(3, dtype)
    kernels.softmax[dtype](x, out)
    assert np.isnan(out[1]).all() and not np.isnan(out[[0, 2]]).any()
    kernels.sparse_softmax_cross_entropy[dtype](x, np.array([3, 3, 3]), losses, out)
    assert list(np.isnan(losses)) == [False, True, False]


def test_losses_of_large_logits_keep_their_digits(dtype):
    logits = np.array([[4096.0, 4096.0, 4097.0]], dtype)
    losses, out = np.empty(1, dtype), np.empty_like(logits)
    expected = pytest.approx(np.log(2 + np.e), rel=1e-6)
    kernels.sparse_softmax_cross_entropy[dtype](logits, np.array([1]), losses, out)
    assert losses[0] == expected
    kernels.softmax_cross_entropy[dtype](logits, np.array([[0, 1, 0]], dtype), losses, out)
    assert losses[0] == expected
    kernels.log_softmax[dtype](logits, out)
    assert -out[0, 1] == expected


def test_a_label_out_of_range_gives_nan(dtype):
    logits = _normal((4, 3), dtype)
    labels = np.array([-1, 3, 2**62, 0])
    losses, probabilities, dlogits = np.empty(4, dtype), np.empty_like(logits), np.empty_like(logits)
    kernels.sparse_softmax_cross_entropy[dtype](logits, labels, losses, probabilities)
    kernels.sparse_softmax_cross_entropy_gradient[dtype](probabilities, labels, np.ones(4, dtype), dlogits)
    assert list(np.isnan(losses)) == [True, True, True, False]
    assert list(np.isnan(dlogits).all(axis=1)) == [True, True, True, False]


def test_masked_logits_with_zero_targets_have_a_finite_loss(dtype):
    logits = np.array([[0.0, 1.0, -np.inf]], dtype)
    targets = np.array([[0.25, 0.75, 0.0]], dtype)
    losses, probabilities = np.empty(1, dtype), np.empty_like(logits)
    kernels.softmax_cross_entropy[dtype](logits, targets, losses, probabilities)
    assert losses[0] == pytest.approx(0.25 * np.log1p(np.e) + 0.75 * (np.log1p(np.e) - 1), rel=1e-6)


@pytest.mark.parametrize("instruction", ["vfmadd", "vpmaxsd", "vmulps"])
def test_softmax_is_vectorised(instruction):
    assert_vectorised(kernels.softmax, instruction)
