"""`tf.linalg`: matrix products and norms."""

from distkeras.ops import (
    eye,
    global_norm,
    l2_normalize,
    matmul,
    norm,
    tensordot,
)

__all__ = [
    "eye",
    "global_norm",
    "l2_normalize",
    "matmul",
    "norm",
    "tensordot",
]
