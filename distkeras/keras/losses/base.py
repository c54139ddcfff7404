"""What a loss is: a function of targets and predictions, weighted and reduced; and how losses are found by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from distkeras._registry import Registry
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.distribute.strategies import has_strategy
from distkeras.keras.losses.weighting import Reduction, match_ranks, weighted_loss
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object

LOSSES = Registry("loss function")

# What later Keras versions write beside TensorFlow 2.0's settings, where it only states what is the case here anyway.
_LATER_SETTINGS = {"axis": -1, "ignore_class": None}


class Loss:
    """Base of loss classes; subclasses define `call`.

    Args:
        reduction: One of `Reduction`: how the losses of the elements become one number.
        name: The name of the loss.

    Raises:
        ValueError: The reduction is none; or, when called in a strategy's scope other than by `fit` and `evaluate`, it
            is a mean: a rank knows its own samples only, and cannot divide by the size of the global batch.

    >>> import distkeras as tf
    >>> class MeanCubedError(tf.keras.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return tf.reduce_mean(tf.abs(y_pred - y_true) ** 3, axis=-1)
    >>> float(MeanCubedError()(tf.constant([[0.0]]), tf.constant([[2.0]])))
    8.0
    """

    is_compiled = False  # set by a model, which divides by the global batch itself

    def __init__(self, reduction: str = Reduction.AUTO, name: str | None = None) -> None:
        Reduction.validate(reduction)
        self.reduction = reduction
        self.name = name

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch.

        Args:
            y_true: Targets, of shape [batch size, ...].
            y_pred: Predictions, of shape [batch size, ...].
            sample_weight: A factor for each sample, or for each element of the losses.

        Returns:
            A scalar; for Reduction.NONE the loss of each element.
        """
        if not self.is_compiled and has_strategy():
            self._refuse_local_mean()
        y_pred = to_tensor(y_pred)
        losses = self.call(to_tensor(y_true), y_pred)
        if losses is None:
            raise TypeError(
                f"The loss {self.name or type(self).__name__} gave None for predictions of shape "
                f"{tuple(y_pred.shape)}: its function must return a tensor, a loss for each sample."
            )
        return weighted_loss(losses, sample_weight, self.reduction)

    def _refuse_local_mean(self) -> None:
        if self.reduction in (Reduction.AUTO, Reduction.SUM_OVER_BATCH_SIZE):
            raise ValueError(
                f"{self.name or type(self).__name__}: please use tf.keras.losses.Reduction.SUM or Reduction.NONE when "
                f"losses are used with tf.distribute.Strategy outside of fit and evaluate, not {self.reduction!r}: a "
                "rank's mean is not its part of the global batch's. For that pass reduction='none' and call "
                "tf.nn.compute_average_loss(loss_of(y_true, y_pred), global_batch_size=...)."
            )

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of each element: subclasses define it in tensor operations."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, y_true, y_pred).")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"reduction": self.reduction, "name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Loss:
        """The inverse of `get_config`."""
        return cls(**known_settings(cls, config))


def known_settings(cls: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what only later Keras versions know, if it states what is the case here anyway."""
    parameters = inspect.signature(cls.__init__).parameters
    return {
        key: value
        for key, value in config.items()
        if key in parameters or key not in _LATER_SETTINGS or value != _LATER_SETTINGS[key]
    }


class LossFunctionWrapper(Loss):
    """A loss made of a function.

    Args:
        fn: (y_true, y_pred, **kwargs) -> the loss of each element.
        reduction: One of `Reduction`.
        name: The name of the loss.
        **kwargs: Passed to the function.
    """

    def __init__(
        self, fn: Callable[..., Tensor], reduction: str = Reduction.AUTO, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        y_true, y_pred = match_ranks(to_tensor(y_true), to_tensor(y_pred))
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        own = {"fn": serialize(self.fn)} if type(self) is LossFunctionWrapper else {}
        return {**super().get_config(), **self._fn_kwargs, **own}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LossFunctionWrapper:
        """The inverse of `get_config`; a subclass has its function without being told."""
        settings = known_settings(cls, config)
        fn = settings.pop("fn", None)
        return cls(fn=get(fn), **settings) if cls is LossFunctionWrapper else cls(**settings)


def serialize(loss: Any) -> Any:
    """What stands for a loss in a config: its function's name, or class name and config."""
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss that a config calls `name`."""
    return deserialize_keras_object(name, LOSSES, custom_objects, "loss function")


def get(identifier: Any) -> Any:
    """The loss meant by a name, a config, a function or a Loss itself, or None.

    Raises:
        ValueError: There is no such loss.

    >>> from distkeras.keras import losses
    >>> losses.get("mse").__name__
    'mean_squared_error'
    """
    return deserialize(identifier)
