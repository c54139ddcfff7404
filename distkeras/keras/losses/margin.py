"""Margin losses: predictions are wanted on the right side of a boundary, by a distance."""

from __future__ import annotations

from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras.losses.base import LOSSES, LossFunctionWrapper
from distkeras.keras.losses.weighting import Reduction, floating, mean
from distkeras.ops._op import op


def _signs(y_true: Tensor) -> Tensor:
    """Targets of 0 and 1 as -1 and 1; others as they are."""
    is_binary = ops.reduce_all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    return ops.where(is_binary, 2.0 * y_true - 1.0, y_true)


@LOSSES.register()
@op
def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - y_true * y_pred, 0)) over the last axis.

    Args:
        y_true: -1 or 1; if there are only 0 and 1, 0 means -1.
        y_pred: Numbers.

    >>> from distkeras.keras import losses
    >>> losses.hinge([[0.0, 1.0]], [[-0.5, 2.0]]).numpy().tolist()
    [0.25]
    """
    y_true, y_pred = floating(y_true, y_pred)
    return mean(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0))


@LOSSES.register()
@op
def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - y_true * y_pred, 0)^2) over the last axis; targets as for `hinge`."""
    y_true, y_pred = floating(y_true, y_pred)
    return mean(ops.square(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0)))


@LOSSES.register()
@op
def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """max(0, 1 + the largest prediction of a wrong class - that of the right class), over the last axis."""
    y_true, y_pred = floating(y_true, y_pred)
    right = ops.reduce_sum(y_true * y_pred, axis=-1)
    wrong = ops.reduce_max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


@LOSSES.register()
class Hinge(LossFunctionWrapper):
    """Hinge loss of targets -1 and 1 (or 0 and 1).

    Args:
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str = "hinge") -> None:
        super().__init__(hinge, reduction, name)


@LOSSES.register()
class SquaredHinge(LossFunctionWrapper):
    """Squared hinge loss of targets -1 and 1 (or 0 and 1).

    Args:
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str = "squared_hinge") -> None:
        super().__init__(squared_hinge, reduction, name)


@LOSSES.register()
class CategoricalHinge(LossFunctionWrapper):
    """Hinge loss between the right class and the best wrong one.

    Args:
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str = "categorical_hinge") -> None:
        super().__init__(categorical_hinge, reduction, name)
