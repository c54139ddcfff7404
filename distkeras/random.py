"""`tf.random`: random tensors, and the global seed."""

from distkeras.core.random_state import (
    set_seed,
)
from distkeras.ops import (
    random_normal as normal,
)
from distkeras.ops import (
    random_shuffle as shuffle,
)
from distkeras.ops import (
    random_uniform as uniform,
)
from distkeras.ops import (
    truncated_normal,
)

__all__ = [
    "normal",
    "set_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]
