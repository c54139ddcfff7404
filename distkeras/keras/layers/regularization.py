"""Layers that disturb training, or penalise outputs, so that a model generalises better."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.core.random_state import new_stream
from distkeras.core.tensor import Tensor
from distkeras.keras import regularizers
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.call_context import is_training
from distkeras.keras.layers.input_spec import InputSpec

_SELU_LIMIT = -1.7580993408473766  # -scale * alpha of selu


def _check_rate(rate: float) -> float:
    if not isinstance(rate, numbers.Real) or not 0 <= rate < 1:
        raise ValueError(f"The rate, a fraction of what is dropped, must be in the range [0, 1), received {rate!r}.")
    return rate


class Noise(Layer):
    """Base of layers that draw random numbers in training: each has a stream of its own."""

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self._stream = new_stream(seed)
        self.supports_masking = True

    def _seed_config(self) -> dict[str, Any]:
        return {} if self.seed is None else {"seed": self.seed}


@LAYERS.register()
class Dropout(Noise):
    """In training, a fraction of the elements is set to zero and the others are scaled up to keep the sum.

    Args:
        rate: The fraction, in [0, 1).
        noise_shape: Axes of size 1 are dropped as a whole; None in it means the input's size.
        seed: Makes the draws the same in every run.

    Raises:
        ValueError: The rate is out of range.

    Source: Srivastava et al., "Dropout", 2014.

    >>> import distkeras as tf
    >>> x = tf.ones((2, 3))
    >>> tf.keras.layers.Dropout(0.5)(x) is x
    True
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.rate = _check_rate(rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        if not is_training(training):
            return inputs
        return ops.dropout(inputs, self.rate, noise_shape=self._noise_shape(inputs), stream=self._stream)

    def _noise_shape(self, inputs: Tensor) -> Any:
        return self.noise_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape, "seed": self.seed}


class _SpatialDropout(Dropout):
    """Base of dropping whole channels."""

    rank: int

    def __init__(self, rate: float, data_format: str = "channels_last", **kwargs: Any) -> None:
        super().__init__(rate, **kwargs)
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(f"data_format must be 'channels_last' or 'channels_first', received {data_format!r}.")
        self.data_format = data_format
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _noise_shape(self, inputs: Tensor) -> tuple[int | None, ...]:
        ones = (1,) * self.rank
        return (None, *ones, None) if self.data_format == "channels_last" else (None, None, *ones)

    def get_config(self) -> dict[str, Any]:
        layout = {} if self.data_format == "channels_last" else {"data_format": self.data_format}
        return {**super().get_config(), **layout}


@LAYERS.register()
class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of sequences.

    Args:
        rate: The fraction of the channels dropped.
    """

    rank = 1


@LAYERS.register()
class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of images.

    Args:
        rate: The fraction of the channels dropped.
        data_format: 'channels_last' or 'channels_first'.
    """

    rank = 2


@LAYERS.register()
class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole channels of volumes.

    Args:
        rate: The fraction of the channels dropped.
        data_format: 'channels_last' or 'channels_first'.
    """

    rank = 3


@LAYERS.register()
class GaussianNoise(Noise):
    """In training, normal noise is added.

    Args:
        stddev: The noise's standard deviation.
    """

    def __init__(self, stddev: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(stddev, numbers.Real) or stddev < 0:
            raise ValueError(f"stddev must be a number that is not negative, received {stddev!r}.")
        self.stddev = stddev

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        if not is_training(training):
            return inputs
        return inputs + ops.random_normal(inputs.shape, 0.0, self.stddev, inputs.dtype, stream=self._stream)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, **self._seed_config()}


@LAYERS.register()
class GaussianDropout(Noise):
    """In training, elements are multiplied by normal numbers around 1 with deviation sqrt(rate / (1 - rate)).

    Args:
        rate: As for Dropout, in [0, 1).

    Raises:
        ValueError: The rate is out of range.
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = _check_rate(rate)

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        if not is_training(training) or self.rate == 0:
            return inputs
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        return inputs * ops.random_normal(inputs.shape, 1.0, stddev, inputs.dtype, stream=self._stream)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, **self._seed_config()}


@LAYERS.register()
class AlphaDropout(Noise):
    """Dropout that keeps mean and variance, for networks of `selu`.

    In training, a fraction of the elements is set to the value that selu approaches far below zero, and the result is
    scaled and shifted to the mean and variance of the input.

    Args:
        rate: The fraction, in [0, 1).
        noise_shape: Axes of size 1 are dropped as a whole; None in it means the input's size.
        seed: Makes the draws the same in every run.

    Raises:
        ValueError: The rate is out of range.

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.rate = _check_rate(rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        if not is_training(training) or self.rate == 0:
            return inputs
        kept = ops.dropout(ops.ones_like(inputs), self.rate, noise_shape=self.noise_shape, stream=self._stream)
        kept = ops.cast(kept > 0, inputs.dtype)
        scale = ((1 - self.rate) * (1 + self.rate * _SELU_LIMIT**2)) ** -0.5
        return (inputs * kept + _SELU_LIMIT * (1 - kept)) * scale - scale * _SELU_LIMIT * self.rate

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@LAYERS.register()
class ActivityRegularization(Layer):
    """Adds a loss for the size of its inputs, which it passes on.

    Args:
        l1: Factor of the sum of absolute values.
        l2: Factor of the sum of squares.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l1": self.l1, "l2": self.l2}
