"""Symbolic tensors of unknown sizes beside constants of known ones: what is unknown becomes what is known."""

import numpy as np
import pytest

import distkeras as tf

layers = tf.keras.layers
ONES, ZEROS = np.ones((32, 3), "float32"), np.zeros((32, 4), "float32")
STEPS = np.ones((32, 7, 3), "float32")

# By name: the symbolic shape, what is made of the input, and the shape that must be known of it.
CASES = {
    "LSTM": ((None, 3), lambda x: layers.LSTM(4)(x, initial_state=[tf.constant(ZEROS)] * 2), (32, 4)),
    "GRU": ((7, 3), lambda x: layers.GRU(4)(x, initial_state=tf.constant(ZEROS)), (32, 4)),
    "sequences": (
        (None, 3),
        lambda x: layers.SimpleRNN(4, return_sequences=True)(x, initial_state=tf.constant(ZEROS)),
        (32, None, 4),
    ),
    "RNN": ((None, 3), lambda x: layers.RNN(layers.GRUCell(4))(x, initial_state=tf.constant(ZEROS)), (32, 4)),
    "Add": ((3,), lambda x: layers.Add()([x, tf.constant(ONES)]), (32, 3)),
    "Concatenate": ((3,), lambda x: layers.Concatenate()([x, tf.constant(ZEROS)]), (32, 7)),
    "Dot": ((3,), lambda x: layers.Dot(1)([x, tf.constant(ONES)]), (32, 1)),
    "Maximum": ((None, 3), lambda x: layers.Maximum()([x, tf.constant(STEPS)]), (32, 7, 3)),
    "+": ((3,), lambda x: x + ONES, (32, 3)),
    "matmul": ((7, 3), lambda x: tf.matmul(x, STEPS, transpose_b=True), (32, 7, 7)),
    "twice": ((3,), lambda x: layers.Subtract()([x, x * ONES]), (32, 3)),
    "broadcast": ((3,), lambda x: x + ONES[:1], (None, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_unknown_sizes_take_the_known_ones(name):
    shape, make, expected = CASES[name]
    x = tf.keras.Input(shape)
    y = make(x)
    assert tuple(y.shape) == expected
    model = tf.keras.Model(x, y)
    batch = np.ones((32, *(7 if size is None else size for size in shape)), "float32")
    known = tuple(size or {0: 32, 1: 7}[axis] for axis, size in enumerate(expected))
    assert tuple(model(batch).shape) == model.predict(batch, batch_size=32).shape == known
    if expected[0] is not None:
        with pytest.raises(ValueError, match="16"):
            model(batch[:16])


@pytest.mark.parametrize(
    "make",
    [
        lambda x: layers.LSTM(4)(x, initial_state=[tf.zeros((32, 5))] * 2),
        lambda x: layers.Add()([x, tf.zeros((32, 7, 4))]),
        lambda x: layers.LSTM(4)(x, initial_state=[tf.zeros((32, 4)), tf.zeros((16, 4))]),
    ],
)
def test_sizes_that_do_not_fit_are_refused_as_before(make):
    with pytest.raises(ValueError, match="expected shape|could not be broadcast"):
        make(tf.keras.Input((None, 3)))


def test_masks_of_time_distributed_layers_are_symbolic_as_well():
    x = tf.keras.Input((None, None))
    embedding = layers.TimeDistributed(layers.Embedding(5, 3, mask_zero=True))
    vectors = embedding(x)
    words = embedding.compute_mask(x)
    sentences = layers.TimeDistributed(layers.LSTM(2)).compute_mask(vectors, words)
    assert (
        tuple(words.shape) == (None, None, None) and words.dtype == tf.bool and tuple(sentences.shape) == (None, None)
    )
    numbers = np.array([[[1, 2, 0], [0, 0, 0]], [[0, 0, 0], [4, 0, 1]]])
    found = tf.keras.backend.function([x], [words, sentences])([numbers])
    np.testing.assert_array_equal(found[0], numbers > 0)
    np.testing.assert_array_equal(found[1], (numbers > 0).any(axis=-1))
    assert layers.TimeDistributed(layers.Dense(2)).compute_mask(vectors) is None
