"""`tf.random`: random tensors, and the global seed."""

from distkeras.core.random_state import set_seed
from distkeras.ops import (
    log_uniform_candidate_sampler,
    stateless_categorical,
    stateless_normal,
    stateless_truncated_normal,
    stateless_uniform,
    truncated_normal,
    uniform_candidate_sampler,
)
from distkeras.ops import random_categorical as categorical
from distkeras.ops import random_gamma as gamma
from distkeras.ops import random_normal as normal
from distkeras.ops import random_poisson as poisson
from distkeras.ops import random_shuffle as shuffle
from distkeras.ops import random_uniform as uniform
