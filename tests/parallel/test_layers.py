"""N ranks are one process, and plans are eager, for layers with statistics, masks and noise of their own."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from tests.parallel.test_n_ranks_equal_one import CLASSES, FROM_LOGITS, ROWS, assert_alike, strategies, train

layers = tf.keras.layers
RNG = np.random.default_rng(5)
WORDS = RNG.integers(0, 7, (ROWS, 5)).astype("int32")
STEPS = RNG.standard_normal((ROWS, 5, 1)).astype("float32")


def attentive():
    words = tf.keras.Input((5,), dtype="int32")
    embedded = layers.Embedding(7, 6, mask_zero=True)(words)
    hidden = layers.TimeDistributed(layers.Dense(6, activity_regularizer="l2", activation="selu"))(embedded)
    # No biases: that of the keys has no derivative, and Adam would make steps of its rounding errors.
    attended = layers.MultiHeadAttention(2, 3, dropout=0.2, use_bias=False)(hidden, hidden, use_causal_mask=True)
    hidden = layers.LayerNormalization()(layers.add([hidden, attended]))
    hidden = layers.AlphaDropout(0.1)(hidden)
    hidden = layers.AdditiveAttention(causal=True)([hidden, layers.Attention(use_scale=True)([hidden, hidden])])
    return tf.keras.Model(words, layers.Dense(4)(layers.GlobalAveragePooling1D()(hidden)))


def renormalised():
    return tf.keras.Sequential(
        [
            layers.Embedding(7, 6, mask_zero=True, input_length=5),
            layers.BatchNormalization(renorm=True, renorm_momentum=0.9, renorm_clipping={"rmax": 2.0, "dmax": 1.0}),
            layers.Dense(4, activation="tanh"),
            layers.BatchNormalization(axis=[1, 2]),
            layers.SpatialDropout1D(0.2),
            layers.Dense(1),
        ]
    )


CASES = {
    "attention": (attentive, FROM_LOGITS, WORDS, CLASSES, {"batch_size": 10}),
    "renorm and masked steps": (renormalised, {"loss": "mse", "metrics": ["mae"]}, WORDS, STEPS, {"batch_size": 9}),
}


@pytest.mark.parametrize("case", CASES)
def test_n_ranks_equal_one(case):
    everyone, alone = strategies()
    assert_alike(train(everyone, *CASES[case]), train(alone, *CASES[case]))


@pytest.mark.parametrize("case", CASES)
def test_the_plan_equals_eager(case):
    everyone, _ = strategies()
    assert_alike(train(everyone, *CASES[case]), train(everyone, *CASES[case], eager=True))
