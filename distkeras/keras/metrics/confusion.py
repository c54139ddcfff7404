"""Metrics made of counts of true and false positives and negatives, at one threshold or many."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from distkeras import ops
from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import SymbolicTensor, Tensor
from distkeras.keras.losses.weighting import match_ranks, match_weights
from distkeras.keras.metrics.base import METRICS, Metric

_OUT_OF_TOP_K = -1e10


class Counts(NamedTuple):
    """The weights of the four kinds of outcome, each of shape [thresholds]."""

    true_positives: Tensor
    false_positives: Tensor
    true_negatives: Tensor
    false_negatives: Tensor


def count_outcomes(
    y_true: Tensor,
    y_pred: Tensor,
    thresholds: list[float],
    sample_weight: Tensor | None = None,
    top_k: int | None = None,
    class_id: int | None = None,
) -> Counts:
    """Add up how often y_pred > threshold agrees with y_true, for each threshold.

    Args:
        y_true: Targets; what is not zero is positive.
        y_pred: Predictions in [0, 1], of the same shape.
        thresholds: What a prediction must exceed to be positive.
        sample_weight: Weights that can be broadcast to the predictions.
        top_k: Only the k largest predictions along the last axis can be positive.
        class_id: Only this class along the last axis counts.

    Raises:
        InvalidArgumentError: A prediction lies outside of [0, 1] (when run step by step).
        ValueError: The shapes differ, or top_k or class_id do not fit them.
    """
    y_true, y_pred = match_ranks(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(f"Shapes {y_pred.shape} of predictions and {y_true.shape} of targets are incompatible.")
    check_probabilities(y_pred)
    weights = ops.ones_like(y_pred)
    if sample_weight is not None:
        weights = ops.broadcast_to(match_weights(sample_weight, y_pred), y_pred.shape)
    if top_k is not None:
        y_pred = keep_top_k(y_pred, top_k)
    if class_id is not None:
        if not 0 <= class_id < y_pred.shape[-1]:
            raise ValueError(
                f"class_id must be in [0, {y_pred.shape[-1]}), the classes of y_pred; received {class_id}."
            )
        y_true, y_pred, weights = (tensor[..., class_id] for tensor in (y_true, y_pred, weights))
    return _count(*(ops.reshape(tensor, [1, -1]) for tensor in (y_true, y_pred, weights)), thresholds)


def _count(y_true: Tensor, y_pred: Tensor, weights: Tensor, thresholds: list[float]) -> Counts:
    """Two matrix products: [thresholds, n] indicators times [n, 2] weights of positives and of negatives."""
    positive = ops.cast(ops.not_equal(y_true, 0.0), weights.dtype)
    sides = ops.transpose(ops.concat([positive * weights, (1.0 - positive) * weights], axis=0))
    above = y_pred > ops.constant(thresholds, y_pred.dtype, [len(thresholds), 1])
    accepted = ops.matmul(ops.cast(above, weights.dtype), sides)
    rejected = ops.matmul(ops.cast(ops.logical_not(above), weights.dtype), sides)
    return Counts(accepted[:, 0], accepted[:, 1], rejected[:, 1], rejected[:, 0])


def check_probabilities(y_pred: Tensor) -> None:
    """Refuse predictions outside of [0, 1], where they have values: a traced step has none to look at."""
    if isinstance(y_pred, SymbolicTensor):
        return
    array = y_pred.numpy()
    if np.size(array) and not (array.min() >= 0 and array.max() <= 1):
        raise InvalidArgumentError(
            f"predictions must be >= 0 and <= 1, received values from {array.min()} to {array.max()}: end the model "
            "with a sigmoid or softmax activation."
        )


def keep_top_k(predictions: Tensor, k: int) -> Tensor:
    """The k largest values along the last axis; the others are set to a large negative number.

    Raises:
        ValueError: There are fewer than k values.
    """
    if not 1 <= k <= predictions.shape[-1]:
        raise ValueError(f"top_k must be from 1 to the number of classes, {predictions.shape[-1]}; received {k}.")
    left = predictions
    out = ops.fill(predictions.shape, ops.cast(_OUT_OF_TOP_K, predictions.dtype))
    for _ in range(k):  # the largest value is moved over, k times
        largest = ops.one_hot(
            ops.argmax(left, axis=-1), predictions.shape[-1], on_value=True, off_value=False, dtype="bool"
        )
        out = ops.where(largest, predictions, out)
        left = ops.where(largest, ops.fill(left.shape, ops.cast(-np.inf, left.dtype)), left)
    return out


def _thresholds(thresholds: Any, default: float) -> list[float]:
    values = [default] if thresholds is None else list(np.ravel(np.asarray(thresholds, float)))
    outside = [value for value in values if not 0 <= value <= 1]
    if thresholds is not None and outside:
        raise ValueError(f"Threshold values must be in [0, 1]. Invalid values: {outside}")
    return [float(value) for value in values]


class ConfusionMetric(Metric):
    """Thresholds, and an update for the counts that a subclass keeps in variables of their names."""

    def __init__(
        self,
        counts: tuple[str, ...],
        thresholds: list[float],
        name: str | None,
        dtype: Any,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be at least 1, received {top_k!r}.")
        if class_id is not None and class_id < 0:
            raise ValueError(f"class_id must be at least 0, received {class_id!r}.")
        super().__init__(name=name, dtype=dtype)
        self.thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self._kept = {count: self.add_weight(self._state_name(count), (len(self.thresholds),)) for count in counts}

    def _state_name(self, count: str) -> str:
        return count

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: Targets: 0 or 1.
            y_pred: Predictions in [0, 1].
            sample_weight: Weights that can be broadcast to the predictions.
        """
        counts = count_outcomes(
            self.cast(y_true),
            self.cast(y_pred),
            self.thresholds,
            None if sample_weight is None else self.cast(sample_weight),
            self.top_k,
            self.class_id,
        )
        for name, variable in self._kept.items():
            variable.assign_add(getattr(counts, name))

    def _single(self, values: Tensor) -> Tensor:
        """A scalar when there is one threshold."""
        return values[0] if len(self.thresholds) == 1 else values


class _Count(ConfusionMetric):
    """One of the four counts."""

    counted = ""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__((self.counted,), _thresholds(thresholds, 0.5), name, dtype)
        self.init_thresholds = thresholds
        self.accumulator = self._kept[self.counted]

    def _state_name(self, count: str) -> str:
        return "accumulator"

    def result(self) -> Tensor:
        """The count so far: a scalar, or one for each threshold."""
        return self._single(ops.identity(self.accumulator))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


@METRICS.register()
class TruePositives(_Count):
    """How many positives are predicted as such.

    Args:
        thresholds: What a prediction must exceed to be positive: a number or a list; 0.5 by default.
        name: The metric's name.
        dtype: The element type of its state.

    >>> import distkeras as tf
    >>> float(tf.keras.metrics.TruePositives()([0, 1, 1, 1], [1, 0, 1, 1]))
    2.0
    """

    counted = "true_positives"


@METRICS.register()
class FalsePositives(_Count):
    """How many negatives are predicted as positive.

    Args:
        thresholds: What a prediction must exceed to be positive: a number or a list; 0.5 by default.
        name: The metric's name.
        dtype: The element type of its state.
    """

    counted = "false_positives"


@METRICS.register()
class TrueNegatives(_Count):
    """How many negatives are predicted as such.

    Args:
        thresholds: What a prediction must exceed to be positive: a number or a list; 0.5 by default.
        name: The metric's name.
        dtype: The element type of its state.
    """

    counted = "true_negatives"


@METRICS.register()
class FalseNegatives(_Count):
    """How many positives are predicted as negative.

    Args:
        thresholds: What a prediction must exceed to be positive: a number or a list; 0.5 by default.
        name: The metric's name.
        dtype: The element type of its state.
    """

    counted = "false_negatives"


class _Ratio(ConfusionMetric):
    """True positives as a part of themselves and one other count."""

    missed = ""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        values = _thresholds(thresholds, 0.5 if top_k is None else _OUT_OF_TOP_K)
        super().__init__(("true_positives", self.missed), values, name, dtype, top_k, class_id)
        self.init_thresholds = thresholds
        self.true_positives = self._kept["true_positives"]
        setattr(self, self.missed, self._kept[self.missed])

    def result(self) -> Tensor:
        """The ratio so far: a scalar, or one for each threshold; 0 where nothing was counted."""
        hits = self.true_positives.value()
        return self._single(ops.divide_no_nan(hits, hits + self._kept[self.missed].value()))

    def get_config(self) -> dict[str, Any]:
        config = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **config}


@METRICS.register()
class Precision(_Ratio):
    """The part of the predicted positives that are positive.

    Args:
        thresholds: What a prediction must exceed to be positive: a number or a list; 0.5 by default.
        top_k: Only the k largest predictions of a sample can be positive; without thresholds they all are.
        class_id: Only this class counts.
        name: The metric's name.
        dtype: The element type of its state.

    >>> import distkeras as tf
    >>> round(float(tf.keras.metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
    0.6667
    """

    missed = "false_positives"


@METRICS.register()
class Recall(_Ratio):
    """The part of the positives that are predicted as such.

    Args:
        thresholds: What a prediction must exceed to be positive: a number or a list; 0.5 by default.
        top_k: Only the k largest predictions of a sample can be positive; without thresholds they all are.
        class_id: Only this class counts.
        name: The metric's name.
        dtype: The element type of its state.
    """

    missed = "false_negatives"
