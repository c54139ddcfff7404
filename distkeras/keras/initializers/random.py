"""Random initializers: uniform, normal, orthogonal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.core.random_state import next_numpy_generator
from distkeras.core.tensor import Tensor
from distkeras.keras.initializers.base import INITIALIZERS, Initializer, floating, tensor_of, type_of

# The standard deviation of a normal distribution cut off at two standard deviations.
TRUNCATED_STDDEV = 0.87962566103423978


@INITIALIZERS.register(aliases=("random_uniform", "uniform"))
class RandomUniform(Initializer):
    """Uniform over [minval, maxval).

    Args:
        minval: The lower bound.
        maxval: The upper bound, itself excluded; required for integers.
        seed: An int that fixes the values.

    Raises:
        ValueError: minval is greater than maxval.
    """

    def __init__(self, minval: float = -0.05, maxval: float | None = 0.05, seed: int | None = None) -> None:
        if maxval is not None and minval > maxval:
            raise ValueError(f"RandomUniform: expected minval <= maxval, received {minval!r} and {maxval!r}.")
        self.minval = minval
        self.maxval = maxval
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        dtype, shape = type_of(dtype), tuple(shape)
        generator = next_numpy_generator(self.seed)
        if dtype.is_integer:
            if self.maxval is None:
                raise ValueError(f"RandomUniform: maxval must be given to draw {dtype.name}.")
            return tensor_of(generator.integers(int(self.minval), int(self.maxval), shape), dtype)
        if not dtype.is_floating:
            raise ValueError(f"RandomUniform: expected a floating point or integer dtype, received {dtype.name}.")
        return tensor_of(generator.uniform(self.minval, 1.0 if self.maxval is None else self.maxval, shape), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class _Normal(Initializer):
    """What RandomNormal and TruncatedNormal share."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        if stddev < 0:
            raise ValueError(f"{type(self).__name__}: stddev must not be negative, received {stddev!r}.")
        self.mean = mean
        self.stddev = stddev
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


@INITIALIZERS.register(aliases=("random_normal", "normal"))
class RandomNormal(_Normal):
    """Normal with the given mean and standard deviation.

    Args:
        mean: The mean.
        stddev: The standard deviation.
        seed: An int that fixes the values.
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        dtype = floating(self, dtype)
        return tensor_of(next_numpy_generator(self.seed).normal(self.mean, self.stddev, tuple(shape)), dtype)


@INITIALIZERS.register(aliases=("truncated_normal",))
class TruncatedNormal(_Normal):
    """Normal, values further than two standard deviations from the mean being drawn again.

    Args:
        mean: The mean.
        stddev: The standard deviation before truncation.
        seed: An int that fixes the values.
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        dtype = floating(self, dtype)
        values = truncated_normal_values(next_numpy_generator(self.seed), tuple(shape))
        return tensor_of(self.mean + self.stddev * values, dtype)


def truncated_normal_values(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal values in [-2, 2]."""
    values = generator.standard_normal(shape)
    outside = np.abs(values) > 2
    while outside.any():
        values[outside] = generator.standard_normal(np.count_nonzero(outside))
        outside = np.abs(values) > 2
    return values


@INITIALIZERS.register(aliases=("orthogonal",))
class Orthogonal(Initializer):
    """A random matrix with orthogonal rows or columns, whichever are fewer; leading dimensions count as rows.

    Args:
        gain: A factor.
        seed: An int that fixes the values.

    Source: Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning", 2014.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain = gain
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        dtype, shape = floating(self, dtype), tuple(shape)
        if len(shape) < 2:
            raise ValueError(
                f"Orthogonal: the tensor to initialize must be at least two-dimensional, received {shape}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        normal = next_numpy_generator(self.seed).standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(normal)
        q = q * np.sign(np.diag(r))  # makes the distribution uniform over orthogonal matrices
        return tensor_of(self.gain * (q if rows >= columns else q.T).reshape(shape), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}
