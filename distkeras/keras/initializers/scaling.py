"""Random initializers whose variance goes by the number of a unit's inputs and outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from distkeras.core.random_state import next_numpy_generator
from distkeras.core.tensor import Tensor
from distkeras.keras.initializers.base import INITIALIZERS, Initializer, floating, tensor_of
from distkeras.keras.initializers.random import TRUNCATED_STDDEV, truncated_normal_values


@INITIALIZERS.register(aliases=("variance_scaling",))
class VarianceScaling(Initializer):
    """Random values whose variance is scale / n, n being the number of a unit's inputs, outputs, or their mean.

    Args:
        scale: A positive factor.
        mode: 'fan_in', 'fan_out' or 'fan_avg': what n is.
        distribution: 'truncated_normal' (also called 'normal'), 'untruncated_normal' or 'uniform'.
        seed: An int that fixes the values.

    Raises:
        ValueError: An argument is none of these.

    >>> from distkeras.keras import initializers
    >>> values = initializers.VarianceScaling(2.0, "fan_in", "uniform", seed=1)((100, 50)).numpy()
    >>> bool(abs(values.var() - 2 / 100) < 1e-3)
    True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        if scale <= 0.0:
            raise ValueError(f"VarianceScaling: `scale` must be a positive float, received {scale!r}.")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"VarianceScaling: expected mode 'fan_in', 'fan_out' or 'fan_avg', received {mode!r}.")
        distribution = distribution.lower()
        if distribution not in ("normal", "uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                "VarianceScaling: expected distribution 'truncated_normal', 'untruncated_normal' or 'uniform', "
                f"received {distribution!r}."
            )
        self.scale = scale
        self.mode = mode
        self.distribution = "truncated_normal" if distribution == "normal" else distribution
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        dtype, shape = floating(self, dtype), tuple(shape)
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        generator = next_numpy_generator(self.seed)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            return tensor_of(generator.uniform(-limit, limit, shape), dtype)
        if self.distribution == "untruncated_normal":
            return tensor_of(stddev * generator.standard_normal(shape), dtype)
        return tensor_of(stddev / TRUNCATED_STDDEV * truncated_normal_values(generator, shape), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """The numbers of inputs and outputs of one unit of a weight: (in, out) matrices, (..., in, out) filters."""
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


@INITIALIZERS.register(aliases=("glorot_uniform",))
class GlorotUniform(VarianceScaling):
    """Uniform with variance 2 / (inputs + outputs): Keras' default for kernels.

    Args:
        seed: An int that fixes the values.

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


@INITIALIZERS.register(aliases=("glorot_normal",))
class GlorotNormal(VarianceScaling):
    """Truncated normal with variance 2 / (inputs + outputs).

    Args:
        seed: An int that fixes the values.

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


# As in TensorFlow 2.0 the next four are functions, and configs spell the VarianceScaling out: every reader knows it.


def he_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal with variance 2 / inputs. Source: He et al., "Delving deep into rectifiers", 2015."""
    return VarianceScaling(2.0, "fan_in", "truncated_normal", seed)


def he_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform with variance 2 / inputs. Source: He et al., "Delving deep into rectifiers", 2015."""
    return VarianceScaling(2.0, "fan_in", "uniform", seed)


def lecun_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal with variance 1 / inputs. Source: LeCun et al., "Efficient backprop", 1998."""
    return VarianceScaling(1.0, "fan_in", "truncated_normal", seed)


def lecun_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform with variance 1 / inputs. Source: LeCun et al., "Efficient backprop", 1998."""
    return VarianceScaling(1.0, "fan_in", "uniform", seed)


INITIALIZERS.add("he_normal", he_normal, aliases=("HeNormal",))
INITIALIZERS.add("he_uniform", he_uniform, aliases=("HeUniform",))
INITIALIZERS.add("lecun_normal", lecun_normal, aliases=("LecunNormal",))
INITIALIZERS.add("lecun_uniform", lecun_uniform, aliases=("LecunUniform",))
