"""Convolution and pooling as they are called: padding by name, data formats, errors, rewrites. The kernels have their
own tests."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras._errors import InvalidArgumentError
from distkeras.graph.function import Function
from distkeras.testing import check_compiled, check_grads
from tests.ops.compare import check

_rng = np.random.default_rng(9)
X = _rng.standard_normal((2, 5, 6, 3)).astype(np.float32)
W = _rng.standard_normal((3, 2, 3, 4)).astype(np.float32)


def _windows(x, size, strides, dilations=(1, 1)):
    """[n, p, q, c, size[0], size[1]]"""
    span = [(s - 1) * d + 1 for s, d in zip(size, dilations, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(x, span, (1, 2))
    return view[:, :: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]


def _conv(x, w, strides=(1, 1), dilations=(1, 1)):
    return np.einsum("npqcij,ijco->npqo", _windows(x, w.shape[:2], strides, dilations), w)


def _padded(x, rows, columns, value=0.0):
    return np.pad(x, ((0, 0), rows, columns, (0, 0)), constant_values=value)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({}, _conv(X, W)),
        ({"strides": 2}, _conv(X, W, (2, 2))),
        ({"strides": [1, 2, 1, 1], "padding": "VALID"}, _conv(X, W, (2, 1))),
        ({"padding": "same"}, _conv(_padded(X, (1, 1), (0, 1)), W)),
        ({"padding": "SAME", "strides": (2, 3)}, _conv(_padded(X, (1, 1), (0, 0)), W, (2, 3))),
        ({"padding": [[0, 0], [2, 0], [1, 1], [0, 0]]}, _conv(_padded(X, (2, 0), (1, 1)), W)),
        ({"dilations": (2, 1)}, _conv(X, W, (1, 1), (2, 1))),
    ],
)
def test_conv2d(arguments, expected):
    check(ops.conv2d(X, W, **arguments), expected.astype(np.float32), rtol=1e-4, atol=1e-4)
    channels_first = ops.conv2d(X.transpose(0, 3, 1, 2), W, **{**arguments, **_swapped(arguments)}, data_format="NCHW")
    check(channels_first, expected.astype(np.float32).transpose(0, 3, 1, 2), rtol=1e-4, atol=1e-4)


def _swapped(arguments):
    """TensorFlow's entries for all dimensions, as 'NCHW' orders them."""
    return {key: [value[i] for i in (0, 3, 1, 2)] for key, value in arguments.items() if isinstance(value, list)}


def test_derivatives_of_conv2d():
    check_grads(lambda x, w: ops.conv2d(x, w, (2, 1), "SAME"), X[:, :4, :3, :2], W[:2, :, :2, :2])


def test_no_images():
    check(ops.conv2d(X[:0], W), np.zeros((0, 3, 5, 4), np.float32))
    check(ops.max_pool2d(X[:0], 2), np.zeros((0, 2, 3, 3), np.float32))
    check(ops.avg_pool2d(X[:0], 2), np.zeros((0, 2, 3, 3), np.float32))


def test_pooling():
    check(ops.max_pool2d(X, 2), _windows(X, (2, 2), (2, 2)).max((-2, -1)))
    same = _padded(X, (0, 1), (0, 0), -np.inf)
    check(ops.max_pool2d(X, [1, 2, 2, 1], (2, 2), "SAME"), _windows(same, (2, 2), (2, 2)).max((-2, -1)))
    check(ops.avg_pool2d(X, (3, 2), 1), _windows(X, (3, 2), (1, 1)).mean((-2, -1)), rtol=1e-5, atol=1e-6)
    counted = _padded(X, (0, 1), (0, 0), np.nan)
    check(
        ops.avg_pool2d(X, 2, 2, "SAME"), np.nanmean(_windows(counted, (2, 2), (2, 2)), (-2, -1)), rtol=1e-5, atol=1e-6
    )
    for pool in (ops.max_pool2d, ops.avg_pool2d):
        swapped = pool(X.transpose(0, 3, 1, 2), (2, 3), data_format="NCHW")
        check(swapped, pool(X, (2, 3)).numpy().transpose(0, 3, 1, 2))


def test_relu_and_bias_gradients_are_taken_before_the_pools_gradient_is_spread():
    """The compiled gradient of pool(relu(conv + bias)) is that of eager mode, though it is computed otherwise."""

    def loss(x, w, bias):
        return ops.max_pool2d(ops.relu(ops.conv2d(x, w, padding="SAME") + bias), 2)

    bias = np.float32([0.1, -0.2, 0.3, 0.0])
    check_compiled(loss, X, W, bias, rtol=1e-4, atol=1e-4, batched=[0])

    def gradients(x, w, bias):
        with tf.GradientTape() as tape:
            tape.watch([w, bias])
            target = loss(x, w, bias)
        return tape.gradient(target, [w, bias])

    graph = Function(gradients).get_concrete_function(*map(ops.constant, (X, W, bias))).plan.graph
    masks = [equation for equation in graph.equations if equation.primitive.name == "relu_gradient"]
    assert [tuple(equation.outputs[0].spec.shape) for equation in masks] == [(2, 2, 3, 4)]


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: ops.conv2d(X, W[:, :, :2]), "whose channels are those of the inputs, 3, or divide them"),
        (lambda: ops.conv2d(X[0], W), "expected images"),
        (lambda: ops.conv2d(X, W, 0), "strides: expected a positive integer or 2 of them"),
        (lambda: ops.conv2d(X, W, [2, 1, 1, 1]), "only the entries of the 2 directions"),
        (lambda: ops.conv2d(X, W, padding="full"), "padding must be 'same', 'valid'"),
        (lambda: ops.conv2d(X[:, :2], W), "Negative dimension size"),
        (lambda: ops.conv2d(X, W, data_format="NHCW"), "data_format must be"),
        (lambda: ops.max_pool2d(X, 7), "Negative dimension size"),
        (lambda: ops.max_pool2d(X[0], 2), "max_pool2d: expected images"),
        (lambda: ops.avg_pool2d(X, 2, data_format="CHW"), "data_format must be"),
    ],
)
def test_bad_arguments(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_errors_of_shapes_are_invalid_argument_errors():
    with pytest.raises(InvalidArgumentError):
        ops.conv2d(X, W[:, :, :2])
