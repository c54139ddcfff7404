"""`tf.keras.backend`: random tensors, dropout, and variables of random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras._config import floatx
from distkeras.core.random_state import next_numpy_generator
from distkeras.core.tensor import Tensor
from distkeras.core.variable import Variable


def dropout(x: Any, level: float, noise_shape: Any = None, seed: int | None = None) -> Tensor:
    """x with a fraction `level` of its elements set to zero and the others scaled up."""
    return ops.dropout(x, level, noise_shape, seed)


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: int | None = None
) -> Tensor:
    """Normal numbers."""
    return ops.random_normal(shape, mean, stddev, dtype or floatx(), seed)


def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: int | None = None
) -> Tensor:
    """Numbers uniform over [minval, maxval)."""
    return ops.random_uniform(shape, minval, maxval, dtype or floatx(), seed)


def random_binomial(shape: Any, p: float = 0.0, dtype: Any = None, seed: int | None = None) -> Tensor:
    """1 with probability p, else 0."""
    return ops.cast(ops.random_uniform(shape, 0.0, 1.0, floatx(), seed) < p, dtype or floatx())


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: int | None = None
) -> Tensor:
    """Normal numbers no more than two standard deviations from the mean."""
    return ops.truncated_normal(shape, mean, stddev, dtype or floatx(), seed)


def random_normal_variable(
    shape: Sequence[int], mean: float, scale: float, dtype: Any = None, name: str | None = None, seed: int | None = None
) -> Variable:
    """A variable of normal numbers with standard deviation `scale`."""
    numbers = next_numpy_generator(seed).normal(mean, scale, tuple(shape))
    return Variable(numbers, dtype=dtype or floatx(), name=name)


def random_uniform_variable(
    shape: Sequence[int], low: float, high: float, dtype: Any = None, name: str | None = None, seed: int | None = None
) -> Variable:
    """A variable of numbers uniform over [low, high)."""
    numbers = next_numpy_generator(seed).uniform(low, high, tuple(shape))
    return Variable(numbers, dtype=dtype or floatx(), name=name)
