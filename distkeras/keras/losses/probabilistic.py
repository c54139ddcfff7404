"""Losses between probabilities: cross-entropies, Kullback-Leibler divergence, Poisson."""

from __future__ import annotations

from typing import Any

from distkeras import _config, ops
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.losses.base import LOSSES, LossFunctionWrapper
from distkeras.keras.losses.weighting import Reduction, floating, mean
from distkeras.ops._op import axis_of, op


def _smoothing(value: Any) -> float:
    """A checked `label_smoothing`."""
    if not 0 <= value <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1], received {value!r}.")
    return value


def _inner(probabilities: Tensor) -> Tensor:
    """Kept off 0 and 1, where logarithms are infinite."""
    return ops.clip_by_value(probabilities, _config.epsilon(), 1.0 - _config.epsilon())


@LOSSES.register(aliases=("bce", "BCE"))
@op
def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0) -> Tensor:
    """-mean(t log p + (1 - t) log(1 - p)) over the last axis.

    Args:
        y_true: Targets t: 0, 1, or between.
        y_pred: Probabilities p, or logits.
        from_logits: Whether y_pred are logits, p = sigmoid(y_pred).
        label_smoothing: How much of each target is replaced by 1/2; from 0 to 1.

    Raises:
        ValueError: label_smoothing is out of range.

    >>> from distkeras.keras import losses
    >>> losses.binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(3).tolist()
    [0.69...]
    """
    y_true, y_pred = floating(y_true, y_pred)
    if _smoothing(label_smoothing):
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        return mean(ops.sigmoid_cross_entropy_with_logits(y_true, y_pred))
    p, epsilon = _inner(y_pred), _config.epsilon()
    return mean(-(y_true * ops.log(p + epsilon) + (1.0 - y_true) * ops.log(1.0 - p + epsilon)))


@LOSSES.register()
@op
def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0) -> Tensor:
    """-sum(t log p) over the last axis.

    Args:
        y_true: Targets t: a probability for each class, such as one-hot vectors.
        y_pred: Probabilities p (they are divided by their sum), or logits.
        from_logits: Whether y_pred are logits, p = softmax(y_pred).
        label_smoothing: How much of each target is spread evenly over the classes; from 0 to 1.

    Raises:
        ValueError: The shapes differ, or label_smoothing is out of range.
    """
    y_true, y_pred = floating(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"categorical_crossentropy: expected targets of the predictions' shape {y_pred.shape}, received shape "
            f"{y_true.shape}. For integer labels use sparse_categorical_crossentropy."
        )
    if _smoothing(label_smoothing):
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_pred.shape[-1]
    if from_logits:
        return ops.softmax_cross_entropy_with_logits(y_true, y_pred)
    p = _inner(y_pred / ops.reduce_sum(y_pred, axis=-1, keepdims=True))
    return -ops.reduce_sum(y_true * ops.log(p), axis=-1)


@LOSSES.register()
@op
def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """-log(p[label]) for integer labels.

    Args:
        y_true: Labels, of the shape of y_pred without the class axis, or with size 1 there.
        y_pred: Probabilities p (they are divided by their sum), or logits.
        from_logits: Whether y_pred are logits, p = softmax(y_pred).
        axis: The axis of the classes.

    Raises:
        ValueError: The number of labels is not that of the predictions.
    """
    _, y_pred = floating(0, y_pred)
    rank = len(y_pred.shape)
    axis = axis_of(axis, rank)
    if axis != rank - 1:
        y_pred = ops.transpose(y_pred, [*(i for i in range(rank) if i != axis), axis])
    labels, lead = to_tensor(y_true), y_pred.shape[:-1]
    if labels.shape.num_elements() != lead.num_elements():
        raise ValueError(
            f"sparse_categorical_crossentropy: expected labels of shape {lead}, one for each prediction of shape "
            f"{y_pred.shape}; received labels of shape {labels.shape}. Are they one-hot? Use categorical_crossentropy."
        )
    labels = ops.reshape(ops.cast(labels, "int64"), lead)
    if from_logits:
        return ops.sparse_softmax_cross_entropy_with_logits(labels, y_pred)
    return ops.sparse_cross_entropy(labels, y_pred, _config.epsilon(), 1.0 - _config.epsilon())


@LOSSES.register(aliases=("kld", "KLD", "kl_divergence"))
@op
def kullback_leibler_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """sum(t log(t / p)) over the last axis, both kept within [epsilon, 1]."""
    y_true, y_pred = floating(y_true, y_pred)
    y_true = ops.clip_by_value(y_true, _config.epsilon(), 1.0)
    y_pred = ops.clip_by_value(y_pred, _config.epsilon(), 1.0)
    return ops.reduce_sum(y_true * ops.log(y_true / y_pred), axis=-1)


@LOSSES.register()
@op
def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """mean(y_pred - y_true * log(y_pred + epsilon)) over the last axis."""
    y_true, y_pred = floating(y_true, y_pred)
    return mean(y_pred - y_true * ops.log(y_pred + _config.epsilon()))


@LOSSES.register()
class BinaryCrossentropy(LossFunctionWrapper):
    """Cross-entropy of yes-or-no targets.

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How much of each target is replaced by 1/2; from 0 to 1.
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0,
        reduction: str = Reduction.AUTO,
        name: str = "binary_crossentropy",
    ) -> None:
        kwargs = {"from_logits": from_logits, "label_smoothing": _smoothing(label_smoothing)}
        super().__init__(binary_crossentropy, reduction, name, **kwargs)
        self.from_logits = from_logits


@LOSSES.register()
class CategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy of targets that give each class a probability.

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How much of each target is spread evenly over the classes; from 0 to 1.
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0,
        reduction: str = Reduction.AUTO,
        name: str = "categorical_crossentropy",
    ) -> None:
        kwargs = {"from_logits": from_logits, "label_smoothing": _smoothing(label_smoothing)}
        super().__init__(categorical_crossentropy, reduction, name, **kwargs)
        self.from_logits = from_logits


@LOSSES.register()
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy of integer labels.

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
        reduction: One of `Reduction`.
        name: The name of the loss.

    >>> from distkeras.keras import losses
    >>> loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> round(float(loss([0, 1], [[2.0, 0.0], [0.0, 2.0]])), 4)
    0.1269
    """

    def __init__(
        self,
        from_logits: bool = False,
        reduction: str = Reduction.AUTO,
        name: str = "sparse_categorical_crossentropy",
    ) -> None:
        super().__init__(sparse_categorical_crossentropy, reduction, name, from_logits=from_logits)
        self.from_logits = from_logits


@LOSSES.register()
class KLDivergence(LossFunctionWrapper):
    """Kullback-Leibler divergence of the predictions from the targets.

    Args:
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str = "kullback_leibler_divergence") -> None:
        super().__init__(kullback_leibler_divergence, reduction, name)


@LOSSES.register()
class Poisson(LossFunctionWrapper):
    """Negative log-likelihood of counts under Poisson distributions with the predicted rates.

    Args:
        reduction: One of `Reduction`.
        name: The name of the loss.
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str = "poisson") -> None:
        super().__init__(poisson, reduction, name)
