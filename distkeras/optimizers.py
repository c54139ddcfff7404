"""`tf.optimizers`: the same as `tf.keras.optimizers`."""

from distkeras.keras.optimizers import *  # noqa: F403
