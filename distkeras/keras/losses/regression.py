"""Losses between numbers: how far predictions are from targets."""

from __future__ import annotations

import math
from typing import Any

from distkeras import _config, ops
from distkeras.core.tensor import Tensor
from distkeras.keras.losses.base import LOSSES, LossFunctionWrapper
from distkeras.keras.losses.weighting import Reduction, floating, mean
from distkeras.ops._op import op


@LOSSES.register(aliases=("mse", "MSE"))
@op
def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((y_pred - y_true)^2) over the last axis.

    >>> from distkeras.keras import losses
    >>> losses.mean_squared_error([[0.0, 1.0]], [[1.0, 3.0]]).numpy().tolist()
    [2.5]
    """
    y_true, y_pred = floating(y_true, y_pred)
    return mean(ops.squared_difference(y_pred, y_true))


@LOSSES.register(aliases=("mae", "MAE"))
@op
def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean(|y_pred - y_true|) over the last axis."""
    y_true, y_pred = floating(y_true, y_pred)
    return mean(ops.abs(y_pred - y_true))


@LOSSES.register(aliases=("mape", "MAPE"))
@op
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """100 * mean(|y_true - y_pred| / |y_true|) over the last axis; targets count as at least epsilon."""
    y_true, y_pred = floating(y_true, y_pred)
    return 100.0 * mean(ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), _config.epsilon())))


@LOSSES.register(aliases=("msle", "MSLE"))
@op
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((log(y_true + 1) - log(y_pred + 1))^2) over the last axis; negative values count as epsilon."""
    y_true, y_pred = floating(y_true, y_pred)
    epsilon = _config.epsilon()
    difference = ops.log(ops.maximum(y_pred, epsilon) + 1.0) - ops.log(ops.maximum(y_true, epsilon) + 1.0)
    return mean(ops.square(difference))


@LOSSES.register(aliases=("log_cosh",))
@op
def logcosh(y_true: Any, y_pred: Any) -> Tensor:
    """mean(log(cosh(y_pred - y_true))) over the last axis: d^2 / 2 for small d, |d| - log 2 for large d."""
    y_true, y_pred = floating(y_true, y_pred)
    difference = y_pred - y_true
    return mean(difference + ops.softplus(-2.0 * difference) - math.log(2.0))


@LOSSES.register(aliases=("huber",))
@op
def huber_loss(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """The mean over the last axis of d^2 / 2 where |d| <= delta, delta * |d| - delta^2 / 2 beyond.

    Raises:
        ValueError: delta is not positive.

    Source: Huber, "Robust estimation of a location parameter", 1964.
    """
    y_true, y_pred = floating(y_true, y_pred)
    error, delta = ops.abs(y_pred - y_true), _positive(delta)
    quadratic = ops.minimum(error, delta)
    return mean(0.5 * ops.square(quadratic) + delta * (error - quadratic))


def _positive(delta: Any) -> float:
    if not float(delta) > 0:
        raise ValueError(f"Huber: delta must be positive, received {delta!r}.")
    return float(delta)


@LOSSES.register(aliases=("cosine_proximity",))
@op
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """-sum(l2_normalize(y_true) * l2_normalize(y_pred)) along an axis: -1 for vectors of one direction."""
    y_true, y_pred = floating(y_true, y_pred)
    return -ops.reduce_sum(ops.l2_normalize(y_true, axis=axis) * ops.l2_normalize(y_pred, axis=axis), axis=axis)


@LOSSES.register()
class MeanSquaredError(LossFunctionWrapper):
    """Mean squared error.

    Args:
        reduction: One of `Reduction`.
        name: The name of the loss.

    >>> from distkeras.keras import losses
    >>> float(losses.MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]]))
    0.5
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str = "mean_squared_error") -> None:
        super().__init__(mean_squared_error, reduction, name)


@LOSSES.register()
class MeanAbsoluteError(LossFunctionWrapper):
    """Mean absolute error.

    Args:
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str = "mean_absolute_error") -> None:
        super().__init__(mean_absolute_error, reduction, name)


@LOSSES.register()
class MeanAbsolutePercentageError(LossFunctionWrapper):
    """Mean absolute error in per cent of the targets.

    Args:
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str = "mean_absolute_percentage_error") -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name)


@LOSSES.register()
class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """Mean squared difference of logarithms.

    Args:
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str = "mean_squared_logarithmic_error") -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name)


@LOSSES.register()
class LogCosh(LossFunctionWrapper):
    """Logarithm of the hyperbolic cosine of the error.

    Args:
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str = "logcosh") -> None:
        super().__init__(logcosh, reduction, name)


@LOSSES.register()
class Huber(LossFunctionWrapper):
    """Quadratic for small errors, linear for large ones.

    Args:
        delta: Where the one becomes the other.
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(self, delta: float = 1.0, reduction: str = Reduction.AUTO, name: str = "huber_loss") -> None:
        super().__init__(huber_loss, reduction, name, delta=_positive(delta))


@LOSSES.register()
class CosineSimilarity(LossFunctionWrapper):
    """The negative cosine of the angle between targets and predictions.

    Args:
        axis: The axis of the vectors.
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(self, axis: int = -1, reduction: str = Reduction.AUTO, name: str = "cosine_similarity") -> None:
        super().__init__(cosine_similarity, reduction, name, axis=axis)
