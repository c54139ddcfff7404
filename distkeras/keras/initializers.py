"""Initializers: the first values of weights.

Each is called with a shape and an element type. One that was given a seed draws the same values whenever it is called
with the same shape; one without draws new ones, which `tf.random.set_seed` makes repeatable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distkeras import _config
from distkeras._registry import Registry
from distkeras.core.random_state import next_numpy_generator
from distkeras.core.spec import DType, as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object

INITIALIZERS = Registry("initializer")

# The standard deviation of a normal distribution cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """A function (shape, dtype) -> tensor; subclasses define `__call__` and `get_config`."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, shape, dtype).")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Initializer:
        """The inverse of `get_config`; a 'dtype' that older configs hold is not needed."""
        return cls(**{key: value for key, value in config.items() if key != "dtype"})


def _type(dtype: Any) -> DType:
    return as_dtype(_config.floatx() if dtype is None else dtype)


def _floating(initializer: Initializer, dtype: Any) -> DType:
    dtype = _type(dtype)
    if not dtype.is_floating:
        raise ValueError(f"{type(initializer).__name__}: expected a floating point dtype, received {dtype.name}.")
    return dtype


def _tensor(array: Any, dtype: DType) -> Tensor:
    return to_tensor(np.asarray(array).astype(dtype.numpy))


@INITIALIZERS.register(aliases=("zeros", "zero"))
class Zeros(Initializer):
    """All zeros.

    >>> from distkeras.keras import initializers
    >>> initializers.Zeros()((2,)).numpy().tolist()
    [0.0, 0.0]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        return _tensor(np.zeros(tuple(shape)), _type(dtype))


@INITIALIZERS.register(aliases=("ones", "one"))
class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        return _tensor(np.ones(tuple(shape)), _type(dtype))


@INITIALIZERS.register(aliases=("constant",))
class Constant(Initializer):
    """One value everywhere, or the values of a list that has as many elements as the weight.

    Args:
        value: A number, or a list or array of numbers.

    Raises:
        ValueError: (when called) The number of values is neither one nor that of the shape's elements.
    """

    def __init__(self, value: Any = 0) -> None:
        if not (np.isscalar(value) or isinstance(value, (list, tuple, np.ndarray))):
            raise TypeError(f"Constant: expected a number or a list or array of numbers, received {value!r}.")
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        values, shape = np.asarray(self.value), tuple(shape)
        if values.size not in (1, math.prod(shape)):
            raise ValueError(
                f"Constant: expected one value or {math.prod(shape)} for the shape {shape}, received {values.size}."
            )
        return _tensor(np.full(shape, values) if values.size == 1 else values.reshape(shape), _type(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


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
        dtype, shape = _type(dtype), tuple(shape)
        generator = next_numpy_generator(self.seed)
        if dtype.is_integer:
            if self.maxval is None:
                raise ValueError(f"RandomUniform: maxval must be given to draw {dtype.name}.")
            return _tensor(generator.integers(int(self.minval), int(self.maxval), shape), dtype)
        if not dtype.is_floating:
            raise ValueError(f"RandomUniform: expected a floating point or integer dtype, received {dtype.name}.")
        return _tensor(generator.uniform(self.minval, 1.0 if self.maxval is None else self.maxval, shape), dtype)

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
        dtype = _floating(self, dtype)
        return _tensor(next_numpy_generator(self.seed).normal(self.mean, self.stddev, tuple(shape)), dtype)


@INITIALIZERS.register(aliases=("truncated_normal",))
class TruncatedNormal(_Normal):
    """Normal, values further than two standard deviations from the mean being drawn again.

    Args:
        mean: The mean.
        stddev: The standard deviation before truncation.
        seed: An int that fixes the values.
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        dtype = _floating(self, dtype)
        values = _truncated_normal(next_numpy_generator(self.seed), tuple(shape))
        return _tensor(self.mean + self.stddev * values, dtype)


def _truncated_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal values in [-2, 2]."""
    values = generator.standard_normal(shape)
    outside = np.abs(values) > 2
    while outside.any():
        values[outside] = generator.standard_normal(np.count_nonzero(outside))
        outside = np.abs(values) > 2
    return values


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
        dtype, shape = _floating(self, dtype), tuple(shape)
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        generator = next_numpy_generator(self.seed)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            return _tensor(generator.uniform(-limit, limit, shape), dtype)
        if self.distribution == "untruncated_normal":
            return _tensor(stddev * generator.standard_normal(shape), dtype)
        return _tensor(stddev / _TRUNCATED_STDDEV * _truncated_normal(generator, shape), dtype)

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
        dtype, shape = _floating(self, dtype), tuple(shape)
        if len(shape) < 2:
            raise ValueError(
                f"Orthogonal: the tensor to initialize must be at least two-dimensional, received {shape}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        normal = next_numpy_generator(self.seed).standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(normal)
        q = q * np.sign(np.diag(r))  # makes the distribution uniform over orthogonal matrices
        return _tensor(self.gain * (q if rows >= columns else q.T).reshape(shape), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}


@INITIALIZERS.register(aliases=("identity", "eye"))
class Identity(Initializer):
    """The identity matrix times `gain`; only for matrices.

    Args:
        gain: A factor.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        dtype, shape = _floating(self, dtype), tuple(shape)
        if len(shape) != 2:
            raise ValueError(f"Identity matrix initializer can only be used for 2D matrices, received shape {shape}.")
        return _tensor(self.gain * np.eye(*shape), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


def serialize(initializer: Any) -> Any:
    """What stands for an initializer in a config."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer that a config stands for."""
    return deserialize_keras_object(config, INITIALIZERS, custom_objects, "initializer")


def get(identifier: Any) -> Any:
    """The initializer meant by a name, a config, a class, a function or an initializer itself, or None.

    Raises:
        ValueError: There is no such initializer.

    >>> from distkeras.keras import initializers
    >>> initializers.get("he_normal").get_config()["scale"]
    2.0
    """
    if isinstance(identifier, str):  # a config without settings: `he_normal` is a function that makes the initializer
        found = deserialize(identifier)
        custom = INITIALIZERS.get(identifier) is None
        return found if custom or isinstance(found, Initializer) else found()
    return identifier() if isinstance(identifier, type) else deserialize(identifier)


zeros = Zeros
ones = Ones
constant = Constant
random_uniform = RandomUniform
random_normal = RandomNormal
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform = GlorotUniform
glorot_normal = GlorotNormal
HeNormal = he_normal
HeUniform = he_uniform
LecunNormal = lecun_normal
LecunUniform = lecun_uniform
orthogonal = Orthogonal
identity = Identity
