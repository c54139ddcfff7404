"""Models that are exported: every layer, functions on tensors, and what has open sizes."""

from __future__ import annotations

import numpy as np

import distkeras as tf
from distkeras.keras.layers.base import LAYERS
from tests.keras.layers.cases import CASES, arguments_of

layers = tf.keras.layers

FIRST_CASES = {case.layer: case for case in reversed(CASES)}


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype("float32")


def of_layer(name: str) -> tuple[tf.keras.Model, list[np.ndarray]]:
    case, random = FIRST_CASES[name], np.random.default_rng(0)
    if case.integers:
        data = [random.integers(0, case.integers, shape).astype("int32") for shape in case.shapes]
    else:
        data = [random.standard_normal(shape).astype("float32") for shape in case.shapes]
    inputs = [tf.keras.Input(array.shape[1:], dtype=array.dtype) for array in data]
    return tf.keras.Model(inputs, LAYERS[name].from_config(case.arguments)(*arguments_of(case, inputs))), data


FUNCTIONS = {
    "parts of numbers": lambda x: tf.math.floordiv(x, 0.7) + tf.math.floormod(x, 0.7) + tf.math.log1p(tf.abs(x)),
    "whole numbers": lambda x: tf.cast(tf.cast(x * 9, "int32") // 4 + tf.cast(x * 9, "int32") % 4, "float32"),
    "nothing over nothing": lambda x: tf.math.divide_no_nan(x, tf.nn.relu(x)) + tf.math.xlogy(tf.nn.relu(x), 2 + x * x),
    "comparing": lambda x: tf.where(tf.math.is_finite(x / 0.0) | (x > 0.3), x, tf.sign(x)),
    "sorting": lambda x: tf.cast(tf.argsort(x, direction="DESCENDING"), "float32") + tf.sort(x),
    "slicing": lambda x: tf.concat([x[:, ::-2], x[:, 1:2], tf.reverse(x, [1])], 1),
    "folding": lambda x: tf.cumsum(x, 1) + tf.reduce_prod(x, 1, keepdims=True) + tf.reduce_logsumexp(x),
    "joining": lambda x: tf.stack(tf.unstack(x, axis=1), 2 - 1) + tf.tile(x, [1, 2])[:, :6],
    "every or any": lambda x: tf.cast(tf.reduce_any(x > 1, 1) | tf.reduce_all(x < 1, 1), "float32"),
    "positions": lambda x: x + tf.cast(tf.range(x.shape[0]), "float32")[:, None] * [[1, 2, 0, 4, 5, 6]],
    "of the batch": lambda x: x - tf.reduce_mean(x, 0) + tf.reshape(tf.ones_like(x) * 2, (-1, 6)),
    "errors": lambda x: tf.math.erf(x) + tf.math.erfc(x) + tf.math.expm1(x) + tf.math.rsqrt(x * x + 1),
}


def of_function(name: str) -> tuple[tf.keras.Model, list[np.ndarray]]:
    inputs = tf.keras.Input((6,))
    return tf.keras.Model(inputs, layers.Lambda(FUNCTIONS[name])(inputs)), [normal(5, 6)]


def two_inputs() -> tuple[tf.keras.Model, list[np.ndarray]]:
    first, second = tf.keras.Input((4,), name="first"), tf.keras.Input((None, 4), name="second")
    x = layers.Concatenate(axis=1)([layers.Reshape((1, 4))(first), second])
    model = tf.keras.Model([first, second], [layers.Dense(2, name="head")(x), layers.Dot(2, name="dot")([x, x])])
    return model, [normal(3, 4), normal(3, 5, 4)]


def images_of_open_sizes() -> tuple[tf.keras.Model, list[np.ndarray]]:
    model = tf.keras.Sequential(
        [
            layers.Conv2D(3, 3, padding="same", activation="relu", input_shape=(None, None, 2)),
            layers.ZeroPadding2D(((1, 2), (0, 3))),
            layers.BatchNormalization(),
            layers.Conv2D(2, 3),
            layers.GlobalMaxPooling2D(),
        ]
    )
    return model, [normal(2, 9, 7, 2)]


def odd_paddings() -> tuple[tf.keras.Model, list[np.ndarray]]:
    model = tf.keras.Sequential(
        [
            layers.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1, input_shape=(5, 5, 2)),
            layers.DepthwiseConv2D(3, strides=2, padding="same"),
            layers.MaxPooling2D(3, 2, padding="same"),
            layers.UpSampling2D(3, interpolation="bilinear"),
            layers.AveragePooling2D(2, padding="same"),
        ]
    )
    return model, [normal(2, 5, 5, 2)]


def masked_sequences() -> tuple[tf.keras.Model, list[np.ndarray]]:
    model = tf.keras.Sequential(
        [
            layers.Embedding(10, 4, mask_zero=True, batch_input_shape=(None, None)),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
            layers.GRU(3, return_sequences=True),
            layers.SimpleRNN(3),
        ]
    )
    return model, [np.array([[1, 2, 3, 0, 0, 0], [4, 0, 5, 6, 7, 0]], "float32")]


def resized_images() -> tuple[tf.keras.Model, list[np.ndarray]]:
    inputs = tf.keras.Input((5, 6, 2))
    return tf.keras.Model(inputs, tf.image.resize(inputs, (9, 4), "bicubic")), [normal(2, 5, 6, 2)]


MODELS = {
    **{name: (lambda name=name: of_layer(name)) for name in FIRST_CASES},
    **{name: (lambda name=name: of_function(name)) for name in FUNCTIONS},
    "two inputs": two_inputs,
    "images of open sizes": images_of_open_sizes,
    "odd paddings": odd_paddings,
    "masked sequences": masked_sequences,
    "resized images": resized_images,
}


def build(name: str) -> tuple[tf.keras.Model, list[np.ndarray], dict[str, np.ndarray]]:
    """A model that is the same whenever it is built, inputs, and what it makes of them by name."""
    tf.keras.backend.clear_session()
    tf.random.set_seed(5)
    model, inputs = MODELS[name]()
    outputs = tf.nest.flatten(model(inputs if len(inputs) > 1 else inputs[0], training=False))
    return model, inputs, {key: value.numpy() for key, value in zip(model.output_names, outputs, strict=True)}
