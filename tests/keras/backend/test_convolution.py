"""keras.backend's convolutions: those of tf.nn under Keras' names, layouts and paddings."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

K = tf.keras.backend
_rng = np.random.default_rng(4)


def normal(*shape):
    return _rng.standard_normal(shape).astype(np.float32)


def first(x):
    return np.moveaxis(np.asarray(x), -1, 1)


X1, X2, X3 = normal(2, 6, 3), normal(2, 5, 4, 3), normal(1, 3, 4, 3, 2)
W1, W2, W3 = normal(2, 3, 4), normal(2, 3, 3, 4), normal(2, 2, 2, 2, 3)
DEPTHWISE, POINTWISE = normal(2, 2, 3, 2), normal(1, 1, 6, 4)

# What is called, on what, with which arguments, and what it is in tf.nn.
CASES = [
    (K.conv1d, X1, (W1, 2, "same"), lambda: tf.nn.conv1d(X1, W1, 2, "SAME")),
    (K.conv1d, X1, (W1, 1, "valid", None, 2), lambda: tf.nn.conv1d(X1, W1, 1, "VALID", dilations=2)),
    (K.conv1d, X1, (W1, 1, "causal", None, 2), lambda: tf.nn.conv1d(np.pad(X1, ((0, 0), (2, 0), (0, 0))), W1, 1,
                                                                  "VALID", dilations=2)),
    (K.conv2d, X2, (W2, (2, 1), "same"), lambda: tf.nn.conv2d(X2, W2, [1, 2, 1, 1], "SAME")),
    (K.conv3d, X3, (W3, (1, 2, 1), "same"), lambda: tf.nn.conv3d(X3, W3, [1, 1, 2, 1, 1], "SAME")),
    (K.depthwise_conv2d, X2, (DEPTHWISE,), lambda: tf.nn.depthwise_conv2d(X2, DEPTHWISE, [1, 1, 1, 1], "VALID")),
    (K.separable_conv2d, X2, (DEPTHWISE, POINTWISE, (2, 2), "same"),
     lambda: tf.nn.separable_conv2d(X2, DEPTHWISE, POINTWISE, [1, 2, 2, 1], "SAME")),
    (K.separable_conv1d, X1, (DEPTHWISE[0], POINTWISE[0]),
     lambda: K.separable_conv2d(X1[:, None], DEPTHWISE[:1], POINTWISE)[:, 0]),
    (K.pool2d, X2, ((2, 2),), lambda: tf.nn.max_pool2d(X2, 2, 1, "VALID")),
    (K.pool2d, X2, (2, 2, "same", None, "avg"), lambda: tf.nn.avg_pool2d(X2, 2, 2, "SAME")),
    (K.pool3d, X3, ((2, 2, 1), (1, 2, 1), "same"), lambda: tf.nn.max_pool3d(X3, (2, 2, 1), (1, 2, 1), "SAME")),
    (K.pool3d, X3, (2, 1, "valid", None, "avg"), lambda: tf.nn.avg_pool3d(X3, 2, 1, "VALID")),
    (K.spatial_2d_padding, X2, (((1, 0), (2, 3)),), lambda: np.pad(X2, ((0, 0), (1, 0), (2, 3), (0, 0)))),
    (K.spatial_3d_padding, X3, (), lambda: np.pad(X3, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))),
    (K.resize_images, X2, (2, 3, None), lambda: X2.repeat(2, 1).repeat(3, 2)),
    (K.resize_images, X2, (2, 1, None, "bilinear"),
     lambda: tf.keras.layers.UpSampling2D((2, 1), interpolation="bilinear")(X2)),
    (K.resize_volumes, X3, (2, 1, 3, None), lambda: X3.repeat(2, 1).repeat(3, 3)),
    (K.bias_add, X2, (np.float32([1, 2, 3]),), lambda: X2 + np.float32([1, 2, 3])),
]  # fmt: skip


@pytest.mark.parametrize(("function", "x", "arguments", "expected"), CASES, ids=[case[0].__name__ for case in CASES])
def test_functions_are_those_of_nn_in_both_layouts(function, x, arguments, expected):
    expected = np.asarray(expected())
    np.testing.assert_allclose(function(x, *arguments).numpy(), expected, rtol=1e-5, atol=1e-5)
    K.set_image_data_format("channels_first")
    try:
        swapped = function(first(x), *arguments).numpy()
    finally:
        K.set_image_data_format("channels_last")
    np.testing.assert_allclose(swapped, first(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_transposed_convolution(layout):
    swap = first if layout == "channels_first" else np.asarray
    expected = tf.nn.conv2d_transpose(X2, W2.swapaxes(2, 3), (2, 10, 4, 4), (2, 1), "SAME")
    shape = swap(np.empty((2, 10, 4, 4))).shape
    result = K.conv2d_transpose(swap(X2), W2.swapaxes(2, 3), shape, (2, 1), "same", layout)
    np.testing.assert_allclose(result.numpy(), swap(expected), rtol=1e-5, atol=1e-5)
    expected = tf.nn.conv3d_transpose(X3, W3.swapaxes(3, 4), (1, 4, 5, 4, 3), 1, "VALID")
    shape = swap(np.empty((1, 4, 5, 4, 3))).shape
    result = K.conv3d_transpose(swap(X3), W3.swapaxes(3, 4), shape, data_format=layout)
    np.testing.assert_allclose(result.numpy(), swap(expected), rtol=1e-5, atol=1e-5)


def test_local_convolution_is_the_locally_connected_layers():
    layer = tf.keras.layers.LocallyConnected2D(3, (2, 3), (2, 1), use_bias=False)
    expected = layer(X2)
    result = K.local_conv2d(X2, layer.kernel, (2, 3), (2, 1), (2, 2))
    np.testing.assert_allclose(result.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)
    layer = tf.keras.layers.LocallyConnected1D(3, 2, use_bias=False)
    expected = layer(X1)
    np.testing.assert_allclose(K.local_conv1d(X1, layer.kernel, 2, 1).numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)


def test_temporal_padding_and_a_bias_for_each_place():
    np.testing.assert_array_equal(K.temporal_padding(X1, (2, 0)).numpy(), np.pad(X1, ((0, 0), (2, 0), (0, 0))))
    places = normal(5, 4, 3)
    np.testing.assert_allclose(K.bias_add(X2, places).numpy(), X2 + places, rtol=1e-6)
    # Keras takes the memory of the bias as it is, also for the other layout.
    expected = first(X2) + places.reshape(3, 5, 4)
    np.testing.assert_allclose(K.bias_add(first(X2), places, "channels_first").numpy(), expected, rtol=1e-6)


def test_functions_take_the_tensors_of_the_functional_api():
    inputs = tf.keras.Input((None, 4, 3))
    y = K.resize_images(K.pool2d(K.conv2d(inputs, W2, padding="same"), 2, 2), 2, 2, None)
    y = K.conv2d(K.spatial_2d_padding(y), normal(1, 1, 4, 2))
    assert y.shape.as_list() == [None, None, 6, 2]
    model = tf.keras.Model(inputs, y)
    assert model(X2[:, :4]).shape == (2, 6, 6, 2)
