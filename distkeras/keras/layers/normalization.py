"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.core.variable import Variable
from distkeras.keras import constraints, initializers, regularizers
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.call_context import is_training
from distkeras.keras.layers.input_spec import InputSpec


@LAYERS.register(aliases=("BatchNormalizationV2", "BatchNormalizationV1"))
class BatchNormalization(Layer):
    """Each channel scaled to mean beta and deviation gamma: by the batch's moments in training, by running ones else.

    The batch is the global one: ranks merge their moments. A layer with `trainable = False` uses the running moments
    and leaves them as they are.

    Args:
        axis: The axis of the channels.
        momentum: How much of the running moments each batch keeps.
        epsilon: Added to the variance.
        center, scale: Whether there is a beta, a gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: First values.
        beta_regularizer, gamma_regularizer: Losses for beta and gamma.
        beta_constraint, gamma_constraint: Applied to beta and gamma after each update.
        renorm, renorm_clipping, renorm_momentum, virtual_batch_size, adjustment: Not supported.
        fused: For images (rank 4) TensorFlow's fused kernel puts the unbiased variance into the running moments; so it
            is here, unless `fused=False`.
        synchronized: Whether ranks merge their moments; False keeps each rank's own.

    Raises:
        ValueError: Something unsupported was asked for.

    Source: Ioffe and Szegedy, "Batch normalization", 2015.

    >>> import distkeras as tf
    >>> tf.keras.layers.BatchNormalization()(tf.ones((2, 3)), training=True).numpy().tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        fused: bool | None = None,
        trainable: bool = True,
        virtual_batch_size: int | None = None,
        adjustment: Any = None,
        name: str | None = None,
        synchronized: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, trainable=trainable, **kwargs)
        if renorm or renorm_clipping is not None or virtual_batch_size is not None or adjustment is not None:
            raise ValueError(
                "renorm, renorm_clipping, virtual_batch_size and adjustment are not supported: leave them out."
            )
        self.axis = axis if isinstance(axis, int) else list(axis) if isinstance(axis, (list, tuple)) else [None]
        if isinstance(self.axis, list) and (len(self.axis) != 1 or not isinstance(self.axis[0], int)):
            raise ValueError(f"axis must be one axis, received {axis!r}.")
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.renorm_momentum = renorm_momentum
        self.fused = fused
        self.synchronized = synchronized
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        axis = self.axis if isinstance(self.axis, int) else self.axis[0]
        if not -rank <= axis < rank or rank < 2:
            raise ValueError(f"Invalid axis: {axis} of layer {self.name} for an input of shape {input_shape}.")
        self.axis = [axis % rank]
        size = input_shape[self.axis[0]]
        if size is None:
            raise ValueError(
                f"There is a dimension of unknown size along axis {axis}. Received input shape {input_shape}."
            )
        self._unbiased = rank == 4 and self.fused is not False
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                "gamma", (size,), None, self.gamma_initializer, self.gamma_regularizer, True, self.gamma_constraint
            )
        if self.center:
            self.beta = self.add_weight(
                "beta", (size,), None, self.beta_initializer, self.beta_regularizer, True, self.beta_constraint
            )
        self.moving_mean = self.add_weight("moving_mean", (size,), None, self.moving_mean_initializer, trainable=False)
        self.moving_variance = self.add_weight(
            "moving_variance", (size,), None, self.moving_variance_initializer, trainable=False
        )
        self.input_spec = InputSpec(ndim=rank, axes={self.axis[0]: size})
        super().build(input_shape)

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        last = inputs.ndim - 1
        if self.axis[0] == last:
            return self._normalize(inputs, training)
        order = [axis for axis in range(inputs.ndim) if axis != self.axis[0]] + self.axis
        outputs = self._normalize(ops.transpose(inputs, order), training)
        return ops.transpose(outputs, [order.index(axis) for axis in range(inputs.ndim)])

    def _normalize(self, inputs: Tensor, training: Any) -> Tensor:
        if not (self.trainable and is_training(training)):
            return ops.batch_normalization_inference(
                inputs, self.moving_mean, self.moving_variance, self.gamma, self.beta, self.epsilon
            )
        channels = self.moving_mean.shape
        gamma = self.gamma if self.scale else ops.ones(channels, inputs.dtype)
        beta = self.beta if self.center else ops.zeros(channels, inputs.dtype)
        outputs, mean, variance = ops.batch_normalization_training(
            inputs, gamma, beta, self.epsilon, synchronized=self.synchronized, unbiased=self._unbiased
        )
        self._keep(self.moving_mean, mean)
        self._keep(self.moving_variance, variance)
        return outputs

    def _keep(self, running: Variable, value: Tensor) -> None:
        running.assign_sub((running.value() - ops.stop_gradient(value)) * (1.0 - self.momentum))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
            **({} if self.synchronized else {"synchronized": False}),
            **({} if self.fused is None else {"fused": self.fused}),
        }
