"""Write a model of attention layers with Keras 2, and what it predicts.

Run where tensorflow and tf_keras are installed:
    TF_USE_LEGACY_KERAS=1 python -m tests.keras.layers.record_attention_model
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

DATA = Path(__file__).parent / "data"


def main():
    tf.random.set_seed(0)
    layers = tf.keras.layers
    words = tf.keras.Input((5,), dtype="int32")
    hidden = layers.TimeDistributed(layers.Dense(4, activation="tanh"))(layers.Embedding(7, 3, mask_zero=True)(words))
    hidden = layers.add([hidden, layers.MultiHeadAttention(2, 3)(hidden, hidden)])
    hidden = layers.AlphaDropout(0.1)(layers.LayerNormalization()(hidden))
    hidden = layers.AdditiveAttention()([hidden, layers.Attention(use_scale=True)([hidden, hidden])])
    model = tf.keras.Model(words, layers.Dense(2)(layers.GlobalAveragePooling1D()(hidden)))
    model.compile("sgd", "mse")
    x = np.random.RandomState(0).randint(0, 7, (4, 5)).astype("int32")
    model.save(DATA / "attention.keras")
    np.savez(DATA / "attention.npz", x=x, p=model.predict(x, verbose=0))


if __name__ == "__main__":
    main()
