"""`tf.mixed_precision`: only `experimental` is in it."""

from distkeras.mixed_precision import experimental

__all__ = ["experimental"]
