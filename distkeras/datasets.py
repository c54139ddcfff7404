"""`distkeras.datasets`: the same as `tf.keras.datasets`."""

from distkeras.keras.datasets import *  # noqa: F403
