"""From a loss for each element to the number that is minimized: ranks matched, weights applied, elements reduced."""

from __future__ import annotations

import math
from typing import Any

from distkeras import _config, ops
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op


class Reduction:
    """How the losses of a batch become one number.

    AUTO is SUM_OVER_BATCH_SIZE: the sum divided by the number of elements. SUM adds them, NONE leaves them as they are.
    """

    AUTO = "auto"
    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """Every reduction."""
        return cls.AUTO, cls.NONE, cls.SUM, cls.SUM_OVER_BATCH_SIZE

    @classmethod
    def validate(cls, key: str) -> None:
        """Raise ValueError unless `key` is a reduction."""
        if key not in cls.all():
            raise ValueError(f"Invalid Reduction Key {key!r}: expected one of {', '.join(map(repr, cls.all()))}.")


def floating(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors of the predictions' type, which is made floating point."""
    y_pred = to_tensor(y_pred)
    if not y_pred.dtype.is_floating:
        y_pred = ops.cast(y_pred, _config.floatx())
    return ops.cast(to_tensor(y_true, like=y_pred), y_pred.dtype), y_pred


def mean(x: Tensor, axis: int = -1) -> Tensor:
    """The mean along one axis; 0 where there are no elements, so that a rank without samples adds nothing."""
    return ops.reduce_sum(x, axis=axis) * (1.0 / max(x.shape[axis], 1)) if len(x.shape) else x


def match_ranks(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Drop a last dimension of size 1 from the one that has a dimension more than the other."""
    difference = len(y_pred.shape) - len(y_true.shape)
    if difference == 1 and y_pred.shape[-1] == 1:
        y_pred = ops.squeeze(y_pred, axis=-1)
    elif difference == -1 and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    return y_true, y_pred


def match_weights(weights: Tensor, values: Tensor) -> Tensor:
    """The weights with a last dimension of size 1 dropped or added, if that gives them the rank of the values."""
    if not len(weights.shape):
        return weights
    difference = len(weights.shape) - len(values.shape)
    if difference == 1 and weights.shape[-1] == 1:
        return ops.squeeze(weights, axis=-1)
    return ops.expand_dims(weights, -1) if difference == -1 else weights


def weights_fit(weights: Tensor, values: Tensor) -> bool:
    """Whether the weights are a scalar, or of the values' rank with every size equal or 1."""
    return not len(weights.shape) or (
        len(weights.shape) == len(values.shape)
        and all(size in (1, other) for size, other in zip(weights.shape, values.shape, strict=True))
    )


@op
def weighted_loss(losses: Any, sample_weight: Any = None, reduction: str = Reduction.AUTO) -> Tensor:
    """Losses times their weights, reduced.

    Args:
        losses: The loss of each element, of any shape.
        sample_weight: A scalar, or weights that can be broadcast to the losses; a last size of 1 may be missing.
        reduction: One of `Reduction`.

    Returns:
        A scalar; the weighted losses for Reduction.NONE. A mean of no elements is 0.

    Raises:
        ValueError: The weights do not fit, or the reduction is none.
    """
    Reduction.validate(reduction)
    losses = to_tensor(losses)
    if not losses.dtype.is_floating:
        losses = ops.cast(losses, _config.floatx())
    if sample_weight is not None:
        weights = match_weights(ops.cast(to_tensor(sample_weight, like=losses), losses.dtype), losses)
        if not weights_fit(weights, losses):
            raise ValueError(
                f"weights can not be broadcast to values: the losses have shape {losses.shape}, the weights "
                f"{weights.shape}; expected a scalar, or the same rank with every size equal or 1."
            )
        losses = losses * weights
    if reduction == Reduction.NONE:
        return losses
    total = ops.reduce_sum(losses)
    return total if reduction == Reduction.SUM else total * (1.0 / max(math.prod(losses.shape), 1))
