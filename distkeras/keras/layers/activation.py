"""Layers that apply an activation function."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras import _config, ops
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.tensor import Tensor
from distkeras.keras import activations
from distkeras.keras.layers.arguments import axis_or_axes, entries
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.described_weights import DescribedWeights
from distkeras.keras.layers.input_spec import InputSpec
from distkeras.ops.ragged import map_flat_values


def _rounded(value: Any, name: str, least: float = -math.inf) -> float:
    """A number as the default float type holds it, which is what configs say.

    Raises:
        ValueError: It is no number, or smaller than `least`.
    """
    number = getattr(value, "item", lambda: value)()
    if not isinstance(number, numbers.Real) or not number >= least:
        limit = "" if least == -math.inf else f" of at least {least:g}"
        raise ValueError(f"{name} must be a number{limit}, received {value!r}.")
    return float(np.dtype(_config.floatx()).type(value))


class _Elementwise(Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@LAYERS.register()
class Activation(_Elementwise):
    """An activation function as a layer.

    Args:
        activation: The function or its name.

    >>> import distkeras as tf
    >>> tf.keras.layers.Activation("relu")(tf.constant([-1.0, 2.0])).numpy().tolist()
    [0.0, 2.0]
    """

    _supports_ragged_inputs = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Tensor | RaggedTensor) -> Tensor | RaggedTensor:
        return map_flat_values(self.activation, inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


@LAYERS.register()
class ReLU(_Elementwise):
    """x above the threshold, at most max_value; negative_slope * (x - threshold) below it.

    Args:
        max_value: The largest output, None for no limit.
        negative_slope: The slope below the threshold.
        threshold: Where the slope begins.

    Raises:
        ValueError: max_value or negative_slope is negative.
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0, threshold: float = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else _rounded(max_value, "max_value of a ReLU layer", least=0)
        self.negative_slope = _rounded(negative_slope, "negative_slope of a ReLU layer", least=0)
        self.threshold = _rounded(threshold, "threshold of a ReLU layer")

    def call(self, inputs: Tensor) -> Tensor:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        own = {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}
        return {**super().get_config(), **own}


@LAYERS.register()
class LeakyReLU(_Elementwise):
    """x for x >= 0, alpha * x below.

    Args:
        alpha: The slope below 0.
    """

    def __init__(self, alpha: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = _rounded(alpha, "alpha of a LeakyReLU layer")

    def call(self, inputs: Tensor) -> Tensor:
        return ops.leaky_relu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


@LAYERS.register()
class ELU(_Elementwise):
    """x for x > 0, alpha * (exp(x) - 1) below.

    Args:
        alpha: The limit for x -> -infinity, negated.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = _rounded(alpha, "alpha of an ELU layer")

    def call(self, inputs: Tensor) -> Tensor:
        return activations.elu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


@LAYERS.register()
class ThresholdedReLU(_Elementwise):
    """x for x > theta, 0 elsewhere.

    Args:
        theta: The threshold.

    Raises:
        ValueError: theta is negative.
    """

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.theta = _rounded(theta, "theta of a ThresholdedReLU layer", least=0)

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * ops.cast(inputs > self.theta, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "theta": self.theta}


@LAYERS.register()
class Softmax(_Elementwise):
    """exp(x) / sum(exp(x)) along an axis.

    Args:
        axis: The axis that sums to 1, or several, which do so together.
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis_or_axes(axis)

    def call(self, inputs: Tensor) -> Tensor:
        if isinstance(self.axis, list) and len(self.axis) > 1:
            return ops.exp(inputs - ops.reduce_logsumexp(inputs, axis=self.axis, keepdims=True))
        return activations.softmax(inputs, axis=self.axis if isinstance(self.axis, int) else self.axis[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


@LAYERS.register()
class PReLU(_Elementwise, DescribedWeights):
    """x for x >= 0, alpha * x below, with a learned alpha for each element of a sample.

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: For alpha.
        shared_axes: Axes along which alpha is the same, such as [1, 2] for one alpha a channel.

    Source: He et al., "Delving deep into rectifiers", 2015.
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._describe_weight("alpha", alpha_initializer, alpha_regularizer, alpha_constraint)
        # TensorFlow counts these axes with the batch, as 0.
        self.shared_axes = shared_axes if shared_axes is None else [int(axis) for axis in entries(shared_axes, 1)]

    def build(self, input_shape: Any) -> None:
        sizes = list(input_shape)
        if any(not 0 < axis < len(sizes) for axis in self.shared_axes or ()):
            raise ValueError(
                f"shared_axes of layer {self.name} must be axes from 1 to {len(sizes) - 1} of the input, of shape "
                f"{input_shape}; received {self.shared_axes}."
            )
        for axis in self.shared_axes or ():
            sizes[axis] = 1
        self.alpha = self._make_weight("alpha", sizes[1:])
        fixed = {axis: size for axis, size in enumerate(input_shape) if axis and axis not in (self.shared_axes or ())}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=fixed)
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self._weight_config("alpha"),
            "shared_axes": self.shared_axes,
        }
