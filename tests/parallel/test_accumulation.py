"""Gradients of several small batches on all ranks are those of a large one in one process."""

import numpy as np
import pytest

import distkeras as tf

RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 6)).astype("float32")
WORDS = RNG.integers(0, 12, (80, 5)).astype("float32")
CLASSES = RNG.integers(0, 4, 80)
layers = tf.keras.layers


def mlp():
    regularizer = tf.keras.regularizers.l2(0.01)
    hidden = layers.Dense(16, activation="tanh", input_shape=(6,), kernel_regularizer=regularizer)
    return tf.keras.Sequential([hidden, layers.Dense(4, activation="softmax")])


def embedding():
    words = tf.keras.Input((5,))
    x = layers.GlobalAveragePooling1D()(layers.Embedding(12, 6)(words))
    return tf.keras.Model(words, layers.Dense(4, activation="softmax")(x))


optimizers = tf.keras.optimizers
CASES = {
    "sgd": (mlp, X, lambda **options: optimizers.SGD(0.1, momentum=0.9, **options)),
    "adam": (mlp, X, lambda **options: optimizers.Adam(0.01, **options)),
    "clipped": (mlp, X, lambda **options: optimizers.SGD(0.5, global_clipnorm=0.1, **options)),
    "rows": (embedding, WORDS, lambda **options: optimizers.SGD(0.5, **options)),
    "rows of Adam": (embedding, WORDS, lambda **options: optimizers.Adam(0.02, **options)),
}


def train(strategy, make, x, optimizer, batch_size, eager=False):
    tf.keras.backend.clear_session()
    tf.random.set_seed(3)
    with strategy.scope():
        model = make()
        model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=eager)
    losses = model.fit(x, CLASSES, batch_size=batch_size, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert int(optimizer.iterations) == 4
    return losses, model.get_weights()


def assert_alike(mine, theirs):
    np.testing.assert_allclose(mine[0], theirs[0], rtol=2e-5)
    for one, other in zip(mine[1], theirs[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("case", CASES)
def test_four_batches_are_one_of_four_times_the_size(case, communicator):
    make, x, optimizer = CASES[case]
    everyone = tf.distribute.MirroredStrategy()
    planned = train(everyone, make, x, optimizer(gradient_accumulation_steps=4), 10)
    assert_alike(planned, train(tf.distribute.OneDeviceStrategy(), make, x, optimizer(), 40))
    assert_alike(planned, train(everyone, make, x, optimizer(gradient_accumulation_steps=4), 10, eager=True))
    flat = np.concatenate([weight.ravel() for weight in planned[1]])
    assert all(np.array_equal(flat, other) for other in communicator.allgather(flat))


@pytest.mark.mpi(min_size=2)
def test_ranks_exchange_gradients_once_for_an_update(sums):
    strategy = tf.distribute.MirroredStrategy()
    train(strategy, mlp, X, optimizers.SGD(0.1, gradient_accumulation_steps=4), 10)
    assert sums.count("gradients") == 4  # of 16 batches
