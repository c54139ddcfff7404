"""Batch normalisation."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.core.variable import Variable
from distkeras.keras import constraints, initializers, regularizers
from distkeras.keras.layers.arguments import axis_or_axes
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.call_context import is_training
from distkeras.keras.layers.described_weights import DescribedWeights
from distkeras.keras.layers.input_spec import InputSpec


@LAYERS.register(aliases=("BatchNormalizationV2", "BatchNormalizationV1"))
class BatchNormalization(DescribedWeights):
    """Each channel scaled to mean beta and deviation gamma: by the batch's moments in training, by running ones else.

    The batch is the global one: ranks merge their moments. A layer with `trainable = False` uses the running moments
    and leaves them as they are.

    Args:
        axis: The axis of the channels, or several, each combination of whose positions is a channel.
        momentum: How much of the running moments each batch keeps.
        epsilon: Added to the variance.
        center, scale: Whether there is a beta, a gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: First values.
        beta_regularizer, gamma_regularizer: Losses for beta and gamma.
        beta_constraint, gamma_constraint: Applied to beta and gamma after each update.
        renorm: Whether training normalises by running moments as well, so that it does what inference will do.
        renorm_clipping: Limits of the correction that leads from the batch's moments to the running ones: a dict with
            some of 'rmin' and 'rmax', for the ratio of deviations, and 'dmax', for the difference of means.
        renorm_momentum: How much of the running moments that renorm uses each batch keeps.
        fused: For images (rank 4) TensorFlow's fused kernel puts the unbiased variance into the running moments; so it
            is here, unless `fused=False` or renorm.
        virtual_batch_size, adjustment: Not supported: they depend on how a batch is divided.
        synchronized: Whether ranks merge their moments; False keeps each rank's own.

    Raises:
        ValueError: Something unsupported was asked for.

    Source: Ioffe and Szegedy, "Batch normalization", 2015; Ioffe, "Batch renormalization", 2017.

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
        if virtual_batch_size is not None or adjustment is not None:
            raise ValueError(
                "virtual_batch_size and adjustment are not supported, because results would depend on how a batch is "
                "divided among processes: leave them out, or use `renorm=True` for small batches."
            )
        self.axis = axis_or_axes(axis)
        if renorm and fused:
            raise ValueError("Passing both `fused=True` and `renorm=True` is unsupported: leave `fused` out.")
        unknown = set(renorm_clipping or {}) - {"rmax", "rmin", "dmax"}
        if unknown:
            raise ValueError(
                f"renorm_clipping may have the keys 'rmax', 'rmin' and 'dmax', received {renorm_clipping}."
            )
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self._describe_weight("beta", beta_initializer, beta_regularizer, beta_constraint)
        self._describe_weight("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm = renorm
        self.renorm_clipping = dict(renorm_clipping or {})
        self.renorm_momentum = renorm_momentum
        self.fused = fused
        self.synchronized = synchronized
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        if rank < 2 or any(not -rank <= axis < rank for axis in axes):
            raise ValueError(f"Invalid axis: {self.axis} of layer {self.name} for an input of shape {input_shape}.")
        self.axis = [axis % rank for axis in axes]
        if len(set(self.axis)) < len(self.axis):
            raise ValueError(f"Duplicate axis: {axes} of layer {self.name}.")
        sizes = {axis: input_shape[axis] for axis in self.axis}
        if None in sizes.values():
            raise ValueError(
                f"There is a dimension of unknown size along axis {axes}. Received input shape {input_shape}."
            )
        if self.fused and rank != 4:
            raise ValueError(
                f"Batch normalization layers with fused=True only support 4D input tensors, received {input_shape}: "
                "leave `fused` out."
            )
        images = rank == 4 and self.axis in ([1], [3])
        self._unbiased = images and self.fused is not False and not self.renorm
        shape = tuple(sizes.values()) if len(sizes) == 1 else tuple(sizes.get(axis, 1) for axis in range(rank))
        self._add_weights(shape)
        self.input_spec = InputSpec(ndim=rank, axes=sizes)
        super().build(input_shape)

    def _add_weights(self, shape: tuple[int, ...]) -> None:
        kind = "float32" if self.dtype == "float16" else self.dtype
        options = {"shape": shape, "dtype": kind, "experimental_autocast": False}
        add = functools.partial(self.add_weight, **options)
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self._make_weight("gamma", **options)
        if self.center:
            self.beta = self._make_weight("beta", **options)
        mean, variance = self.moving_mean_initializer, self.moving_variance_initializer
        self.moving_mean = add("moving_mean", initializer=mean, trainable=False)
        self.moving_variance = add("moving_variance", initializer=variance, trainable=False)
        if self.renorm:
            # Where the average of deviations begins: at the root of the first variance.
            def deviation(shape: Any, dtype: Any = None) -> Tensor:
                return ops.sqrt(variance(shape, dtype=dtype))

            self.moving_stddev = add("moving_stddev", initializer=deviation, trainable=False)
            self.renorm_mean = add("renorm_mean", initializer=mean, trainable=False)
            self.renorm_stddev = add("renorm_stddev", initializer=deviation, trainable=False)

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        """The axes of the channels are moved to the end, and made one."""
        axes = sorted(self.axis)
        order = [axis for axis in range(inputs.ndim) if axis not in axes] + axes
        if inputs.dtype == "float16":  # moments and what is made of them are float32
            return ops.cast(self.call(ops.cast(inputs, "float32"), training), "float16")
        moved = inputs if order == sorted(order) else ops.transpose(inputs, order)
        flat = moved if len(axes) == 1 else ops.reshape(moved, (*moved.shape[: -len(axes)], self._channels))
        outputs = self._normalize(flat, training)
        outputs = outputs if flat is moved else ops.reshape(outputs, moved.shape)
        return outputs if moved is inputs else ops.transpose(outputs, [order.index(axis) for axis in sorted(order)])

    @property
    def _channels(self) -> int:
        return self.moving_mean.shape.num_elements()

    def _flat(self, weight: Variable | None) -> Any:
        return weight if weight is None or len(self.axis) == 1 else ops.reshape(weight, (self._channels,))

    def _normalize(self, inputs: Tensor, training: Any) -> Tensor:
        gamma, beta = self._flat(self.gamma), self._flat(self.beta)
        if not (self.trainable and is_training(training)):
            mean, variance = self._flat(self.moving_mean), self._flat(self.moving_variance)
            return ops.batch_normalization_inference(inputs, mean, variance, gamma, beta, self.epsilon)
        ones, zeros = ops.ones((self._channels,), inputs.dtype), ops.zeros((self._channels,), inputs.dtype)
        gamma, beta = ones if gamma is None else gamma, zeros if beta is None else beta
        outputs, mean, variance = ops.batch_normalization_training(
            inputs,
            ones if self.renorm else gamma,
            zeros if self.renorm else beta,
            self.epsilon,
            synchronized=self.synchronized,
            unbiased=self._unbiased,
        )
        if self.renorm:
            return self._renormalize(outputs, mean, variance) * gamma + beta
        _keep(self.moving_mean, mean, self.momentum)
        _keep(self.moving_variance, variance, self.momentum)
        return outputs

    def _renormalize(self, normalized: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """From the batch's moments to running ones: normalized * ratio + difference, both taken for constants."""
        mean, stddev = ops.stop_gradient(mean), ops.sqrt(ops.stop_gradient(variance) + self.epsilon)
        running = ops.maximum(self._flat(self.renorm_stddev.value()), self.epsilon**0.5)
        ratio, difference = stddev / running, (mean - self._flat(self.renorm_mean.value())) / running
        limits = self.renorm_clipping
        if limits.get("rmin") is not None:
            ratio = ops.maximum(ratio, limits["rmin"])
        if limits.get("rmax") is not None:
            ratio = ops.minimum(ratio, limits["rmax"])
        if limits.get("dmax") is not None:
            difference = ops.clip_by_value(difference, -limits["dmax"], limits["dmax"])
        _keep(self.renorm_mean, mean, self.renorm_momentum)
        _keep(self.renorm_stddev, stddev, self.renorm_momentum)
        _keep(self.moving_mean, mean, self.momentum)
        _keep(self.moving_stddev, stddev, self.momentum)
        self.moving_variance.assign(ops.relu(ops.square(self.moving_stddev.value()) - self.epsilon))
        return normalized * ratio + difference

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
            **self._renorm_config(),
        }

    def _renorm_config(self) -> dict[str, Any]:
        if not self.renorm:
            return {}
        return {
            "renorm": True,
            "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
        }


@LAYERS.register()
class SyncBatchNormalization(BatchNormalization):
    """Batch normalisation whose moments are those of the global batch, over all ranks: as `BatchNormalization` here is.

    Args:
        axis, momentum, epsilon, center, scale: As for BatchNormalization, and so are initializers, regularizers and
            constraints. The running variance is the biased one, for images too.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(axis, momentum, epsilon, center, scale, fused=False, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {key: value for key, value in super().get_config().items() if key != "fused"}


def _keep(running: Variable, value: Tensor, momentum: float) -> None:
    value = ops.reshape(ops.stop_gradient(value), running.shape)
    running.assign_sub((running.value() - value) * (1.0 - momentum))
