"""`tf.metrics`: the same as `tf.keras.metrics`."""

from distkeras.keras.metrics import *  # noqa: F403
