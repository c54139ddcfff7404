"""Images changed at random are the same for any number of ranks: in generators, in datasets and in the model."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

X = np.random.default_rng(3).random((13, 6, 5, 3)).astype("float32")
Y = np.random.default_rng(4).random(13).astype("float32")


def augmented(x):
    x = tf.image.random_flip_left_right(x)
    x = tf.image.random_brightness(x, 0.4)
    return tf.image.random_contrast(x, 0.5, 1.5)


def flow(**options):
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=40, channel_shift_range=0.3, horizontal_flip=True
    )
    return generator.flow(X, Y, batch_size=5, **options)


def pipeline():
    dataset = tf.data.Dataset.from_tensor_slices((X, Y))
    return dataset.map(lambda x, y: (tf.image.resize(augmented(x), (6, 5)), y)).batch(5)


SOURCES = {
    "flow": (flow, False),
    "seeded_flow": (lambda: flow(seed=8), False),
    "dataset": (pipeline, False),
    "model": (lambda: tf.data.Dataset.from_tensor_slices((X, Y)).batch(5), True),
}


def train(strategy, source):
    make, augments = SOURCES[source]
    tf.keras.backend.clear_session()
    tf.random.set_seed(3)
    with strategy.scope():
        layers = [tf.keras.layers.Lambda(augmented)] if augments else []
        layers += [tf.keras.layers.Flatten(), tf.keras.layers.Dense(1)]
        model = tf.keras.Sequential([tf.keras.Input((6, 5, 3)), *layers])
        model.compile(tf.keras.optimizers.SGD(0.01), "mse")
    history = model.fit(make(), epochs=3, verbose=0).history["loss"]
    return history, model.get_weights()


@pytest.mark.parametrize("source", SOURCES)
def test_training_is_that_of_one_process(source):
    together, weights = train(tf.distribute.MirroredStrategy(), source)
    alone, expected = train(tf.distribute.OneDeviceStrategy("/cpu:0"), source)
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    for mine, theirs in zip(weights, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
