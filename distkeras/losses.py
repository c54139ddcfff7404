"""`tf.losses`: the same as `tf.keras.losses`."""

from distkeras.keras.losses import *  # noqa: F403
