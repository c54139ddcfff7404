"""`tf.initializers`: the same as `tf.keras.initializers`."""

from distkeras.keras.initializers import *  # noqa: F403
