"""Layer normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.arguments import axis_or_axes
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.described_weights import DescribedWeights


@LAYERS.register()
class LayerNormalization(DescribedWeights):
    """Each sample scaled to mean beta and deviation gamma by its own moments, in training as at any other time.

    Args:
        axis: The axis, or axes, that the moments are taken over; gamma and beta have their sizes.
        epsilon: Added to the variance.
        center, scale: Whether there is a beta, a gamma.
        beta_initializer, gamma_initializer: First values.
        beta_regularizer, gamma_regularizer: Losses for beta and gamma.
        beta_constraint, gamma_constraint: Applied to beta and gamma after each update.

    Raises:
        TypeError: An axis is no int.

    Source: Ba, Kiros, Hinton, "Layer normalization", 2016.

    >>> import distkeras as tf
    >>> tf.keras.layers.LayerNormalization(epsilon=0.0)(tf.constant([[1.0, 3.0]])).numpy().tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, trainable=trainable, **kwargs)
        self.axis = axis_or_axes(axis)
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self._describe_weight("beta", beta_initializer, beta_regularizer, beta_constraint)
        self._describe_weight("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        if any(not -rank <= axis < rank for axis in axes):
            raise ValueError(f"Invalid axis: {self.axis} of layer {self.name} for an input of shape {input_shape}.")
        self.axis = [axis % rank for axis in axes]
        if len(set(self.axis)) < len(self.axis):
            raise ValueError(f"Duplicate axis: {axes} of layer {self.name}.")
        sizes = [input_shape[axis] for axis in self.axis]
        if None in sizes:
            raise ValueError(f"The sizes along axis {self.axis} must be known. Received input shape {input_shape}.")
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self._make_weight("gamma", sizes, experimental_autocast=False)
        if self.center:
            self.beta = self._make_weight("beta", sizes, experimental_autocast=False)
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Whatever the axes, the moments are taken along one: the axes moved to the end, and made one."""
        axes = sorted(self.axis)
        order = [axis for axis in range(inputs.ndim) if axis not in axes] + axes
        moved = inputs if order == sorted(order) else ops.transpose(inputs, order)
        size = math.prod(inputs.shape[axis] for axis in axes)
        outputs = ops.layer_normalization(
            ops.reshape(moved, (*moved.shape[: -len(axes)], size)),
            ops.reshape(self.gamma, (size,)) if self.scale else ops.ones((size,), inputs.dtype),
            ops.reshape(self.beta, (size,)) if self.center else ops.zeros((size,), inputs.dtype),
            self.epsilon,
        )
        outputs = ops.reshape(outputs, moved.shape)
        return outputs if moved is inputs else ops.transpose(outputs, [order.index(axis) for axis in sorted(order)])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **self._weight_config("beta", "gamma"),
        }
