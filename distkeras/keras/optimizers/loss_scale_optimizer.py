"""LossScaleOptimizer: an optimizer whose gradients come of a loss that was scaled up, so that float16 can hold them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from distkeras import ops
from distkeras.core.indexed_slices import IndexedSlices
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import to_tensor
from distkeras.core.variable import Variable
from distkeras.keras.mixed_precision import loss_scale as loss_scales
from distkeras.keras.mixed_precision.loss_scale import LossScale
from distkeras.keras.optimizers import lookup
from distkeras.keras.optimizers.base import Optimizer


class LossScaleOptimizer(Optimizer):
    """An optimizer that scales losses, and leaves out steps whose gradients are not finite.

    `fit` and `minimize` scale by themselves. A loop of one's own differentiates `get_scaled_loss(loss)` and applies
    `get_unscaled_gradients(gradients)`. Whether gradients are finite is asked of their sums over the ranks, so that all
    ranks do the same; a step that is left out is not counted in `iterations`.

    Everything else, such as `learning_rate`, `weights` and slots, is the optimizer's inside.

    Args:
        optimizer: The optimizer that updates; one that clips by `clipnorm` or `clipvalue` is not accepted.
        loss_scale: A number, 'dynamic', or a `tf.train.experimental.FixedLossScale` or `DynamicLossScale`. A fixed one
            leaves no steps out.

    Raises:
        ValueError: The optimizer is none, clips, or updates variable by variable; or there is no loss scale.

    >>> import distkeras as tf
    >>> optimizer = tf.keras.mixed_precision.experimental.LossScaleOptimizer(tf.keras.optimizers.SGD(0.5), "dynamic")
    >>> x = tf.Variable(1.0)
    >>> with tf.GradientTape() as tape:
    ...     loss = optimizer.get_scaled_loss(x * x)
    >>> gradients = optimizer.get_unscaled_gradients(tape.gradient(loss, [x]))
    >>> _ = optimizer.apply_gradients(zip(gradients, [x]))
    >>> float(x), float(optimizer.loss_scale())
    (0.0, 32768.0)
    >>> _ = optimizer.apply_gradients([(float("nan"), x)])
    >>> float(x), float(optimizer.loss_scale()), int(optimizer.iterations)
    (0.0, 16384.0, 1)
    """

    def __init__(self, optimizer: Optimizer, loss_scale: Any) -> None:
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, LossScaleOptimizer):
            raise ValueError(f'"optimizer" must be one of tf.keras.optimizers, not scaled yet; received {optimizer!r}.')
        for limit in ("clipnorm", "clipvalue"):
            if getattr(optimizer, limit) is not None:
                raise ValueError(
                    f"LossScaleOptimizer does not support wrapping optimizers with a {limit}: {optimizer.name} has "
                    f"{limit}={getattr(optimizer, limit)}. Use global_clipnorm, or clip the unscaled gradients."
                )
        if optimizer.is_by_variable:
            raise ValueError(
                f"LossScaleOptimizer needs an optimizer that defines `update`; {type(optimizer).__name__} updates "
                "variable by variable, with `_resource_apply_dense`."
            )
        scale = loss_scales.get(loss_scale)
        if scale is None:
            raise ValueError("loss_scale cannot be None: give a number, 'dynamic' or a LossScale.")
        vars(self).update(_optimizer=optimizer, _loss_scale=scale)

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN or name.startswith("__"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_optimizer"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._optimizer, name, value)

    @property
    def loss_scale(self) -> LossScale:
        """The loss scale; calling it gives the factor."""
        return self._loss_scale

    @property
    def replicated_weights(self) -> list[Variable]:
        """What every rank keeps the whole of: of the optimizer inside, and of the loss scale."""
        return [*self._optimizer.replicated_weights, *self._loss_scale.weights]

    # --- scaling

    def get_scaled_loss(self, loss: Any) -> Any:
        """The loss to be differentiated.

        Args:
            loss: A tensor, or a function without arguments that gives one.

        Returns:
            The scaled tensor, or a function that gives it.
        """
        if callable(loss):
            return lambda: self.get_scaled_loss(loss())
        loss = to_tensor(loss)
        return loss * ops.cast(self._loss_scale(), loss.dtype)

    def get_unscaled_gradients(self, grads: Iterable[Any]) -> list[Any]:
        """Gradients of the loss, from those of the scaled one; None stays None."""
        factor = 1.0 / self._loss_scale()
        return [None if gradient is None else _times(gradient, factor) for gradient in grads]

    def _compute_gradients(
        self, loss: Any, var_list: Any, grad_loss: Any = None, tape: GradientTape | None = None
    ) -> list[tuple[Any, Variable]]:
        """Scales where the differentiation begins, which comes to the same as scaling the loss."""
        scale = self._loss_scale()
        if grad_loss is None:
            start: Callable | Any = lambda loss: ops.cast(scale, loss.dtype)  # noqa: E731
        else:
            grad_loss = to_tensor(grad_loss)
            start = grad_loss * ops.cast(scale, grad_loss.dtype)
        pairs = self._optimizer._compute_gradients(loss, var_list, start, tape)
        gradients = self.get_unscaled_gradients(gradient for gradient, _ in pairs)
        return [(gradient, variable) for gradient, (_, variable) in zip(gradients, pairs, strict=True)]

    minimize = Optimizer.minimize

    def apply_gradients(
        self, grads_and_vars: Iterable[tuple[Any, Variable]], name: str | None = None, **kwargs: Any
    ) -> Variable:
        """Update variables by gradients that are no longer scaled, if all are finite; see `Optimizer`.

        Raises:
            ValueError: The strategy takes local steps: each rank would judge its own gradients.
        """
        steps = self._optimizer._strategy_of_step.local_steps
        if steps > 1:
            raise ValueError(
                f"local_steps={steps} does not go with a LossScaleOptimizer: some ranks would skip steps that others "
                "take. Leave local_steps out, or train in float32."
            )
        self._optimizer.loss_scale = self._loss_scale
        try:
            return self._optimizer.apply_gradients(grads_and_vars, name=name, **kwargs)
        finally:
            self._optimizer.loss_scale = None

    # --- configs and checkpoints

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "optimizer": lookup.serialize(self._optimizer),
            "loss_scale": loss_scales.serialize(self._loss_scale),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The inverse of `get_config`; also of that of later Keras versions."""
        if "inner_optimizer" in config:
            return cls(lookup.deserialize(config["inner_optimizer"], custom_objects), _later_scale(config))
        return cls(lookup.deserialize(config["optimizer"], custom_objects), loss_scales.get(config["loss_scale"]))

    def _checkpoint_children(self, wanted: Collection[str] = ()) -> dict[str, Any]:
        return {**self._optimizer._checkpoint_children(wanted), "loss_scale": self._loss_scale}


_OWN = frozenset(vars(LossScaleOptimizer)) | {"_optimizer", "_loss_scale"}


def _times(gradient: Any, factor: Any) -> Any:
    if isinstance(gradient, IndexedSlices):
        return IndexedSlices(_times(gradient.values, factor), gradient.indices, gradient.dense_shape)
    gradient = to_tensor(gradient)
    return gradient * ops.cast(factor, gradient.dtype)


def _later_scale(config: Mapping[str, Any]) -> LossScale:
    """The loss scale that later Keras versions write as arguments of the optimizer."""
    if config.get("dynamic", True):
        return loss_scales.DynamicLossScale(config["initial_scale"], config["dynamic_growth_steps"])
    return loss_scales.FixedLossScale(config["initial_scale"])
