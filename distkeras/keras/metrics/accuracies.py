"""How often predictions are right."""

from __future__ import annotations

from typing import Any

from distkeras import _config, ops
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.losses.weighting import mean
from distkeras.keras.metrics.base import METRICS, MeanMetricWrapper
from distkeras.ops._op import op


def _as_floats(hits: Tensor) -> Tensor:
    return ops.cast(hits, _config.floatx())


@METRICS.register()
@op
def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where y_pred equals y_true, else 0.

    Raises:
        ValueError: The shapes differ.
    """
    y_pred = to_tensor(y_pred)
    y_true = ops.cast(to_tensor(y_true), y_pred.dtype)
    if not y_true.shape.is_compatible_with(y_pred.shape):
        raise ValueError(f"Shapes {y_pred.shape} and {y_true.shape} are incompatible.")
    return _as_floats(ops.equal(y_true, y_pred))


@METRICS.register()
@op
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """The part of the last axis on which y_pred is on the same side of the threshold as y_true.

    >>> from distkeras.keras import metrics
    >>> metrics.binary_accuracy([[1.0, 0.0]], [[0.9, 0.6]]).numpy().tolist()
    [0.5]
    """
    y_pred = to_tensor(y_pred)
    predicted = ops.cast(y_pred > ops.cast(threshold, y_pred.dtype), y_pred.dtype)
    return mean(_as_floats(ops.equal(ops.cast(to_tensor(y_true), y_pred.dtype), predicted)))


@METRICS.register()
@op
def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction is that of the class with the largest target, over the last axis."""
    return _as_floats(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)))


@METRICS.register()
@op
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction is that of the class y_true, over the last axis.

    Args:
        y_true: Labels, of the shape of y_pred without the class axis, or with size 1 there.
        y_pred: A number for each class.
    """
    y_true, y_pred = to_tensor(y_true), to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape):
        y_true = ops.squeeze(y_true, axis=-1)
    return _as_floats(ops.equal(y_true, ops.cast(ops.argmax(y_pred, axis=-1), y_true.dtype)))


def _guesses(k: int) -> int:
    """A checked `k`."""
    if k < 1:
        raise ValueError(f"k, the number of guesses, must be at least 1, received {k!r}.")
    return k


def in_top_k(labels: Tensor, predictions: Tensor, k: int) -> Tensor:
    """Whether fewer than k classes are predicted more strongly than the label; a NaN or Inf is never in the top.

    Args:
        labels: Class numbers, [n], of any type.
        predictions: [n, classes].
        k: The number of guesses.

    Raises:
        ValueError: k is less than 1.
    """
    _guesses(k)
    at_label = ops.one_hot(
        ops.cast(labels, "int64"), predictions.shape[-1], dtype="bool", on_value=True, off_value=False
    )
    of_label = ops.reduce_sum(ops.where(at_label, predictions, ops.zeros_like(predictions)), axis=-1, keepdims=True)
    better = ops.reduce_sum(ops.cast(predictions > of_label, "int32"), axis=-1)
    sound = ops.logical_and(ops.reduce_any(at_label, axis=-1), ops.reduce_all(ops.is_finite(predictions), axis=-1))
    return ops.logical_and(sound, better < k)


@METRICS.register()
@op
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the class with the largest target is among the k largest predictions."""
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred, k)


@METRICS.register()
@op
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the class y_true is among the k largest predictions; leading dimensions are flattened."""
    y_true, y_pred = to_tensor(y_true), to_tensor(y_pred)
    labels = ops.reshape(y_true, [y_true.shape.num_elements()])
    return _as_floats(in_top_k(labels, ops.reshape(y_pred, [labels.shape[0], y_pred.shape[-1]]), k))


@METRICS.register()
class Accuracy(MeanMetricWrapper):
    """How often predictions equal targets.

    Args:
        name: The metric's name.
        dtype: The element type of its state.

    >>> import distkeras as tf
    >>> float(tf.keras.metrics.Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
    0.75
    """

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


@METRICS.register()
class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions are on the same side of a threshold as targets.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
        threshold: What a prediction must exceed to mean 1.
    """

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


@METRICS.register()
class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the right class, targets being one-hot.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


@METRICS.register()
class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the right class, targets being integers.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


@METRICS.register()
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the right class is among the k largest predictions, targets being one-hot.

    Args:
        k: The number of guesses.
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=_guesses(k))


@METRICS.register()
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the right class is among the k largest predictions, targets being integers.

    Args:
        k: The number of guesses.
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=_guesses(k))
