"""Metrics of curves: counts at many thresholds, and the area under what they draw or a point on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras import _config, ops
from distkeras.core.tensor import Tensor
from distkeras.keras.metrics.base import METRICS
from distkeras.keras.metrics.confusion import ConfusionMetric, Counts


class _CurveMetric(ConfusionMetric):
    """All four counts at many thresholds."""

    def __init__(self, thresholds: list[float], name: str | None, dtype: Any) -> None:
        # This order is that of the weights in TensorFlow's checkpoints.
        counts = ("true_positives", "true_negatives", "false_positives", "false_negatives")
        super().__init__(counts, thresholds, name, dtype)
        self.num_thresholds = len(thresholds)
        self.true_positives = self._kept["true_positives"]
        self.false_positives = self._kept["false_positives"]
        self.true_negatives = self._kept["true_negatives"]
        self.false_negatives = self._kept["false_negatives"]

    def _values(self) -> Counts:
        return Counts(*(self._kept[count].value() for count in Counts._fields))


def _evenly(count: int) -> list[float]:
    """The inner ones of `count` evenly spread thresholds."""
    return [(i + 1) / (count - 1) for i in range(count - 2)]


@METRICS.register()
class AUC(_CurveMetric):
    """Area under the receiver operating characteristic, or under the precision-recall curve, by a Riemann sum.

    Args:
        num_thresholds: How many points of the curve are computed; more than 1.
        curve: 'ROC' or 'PR'.
        summation_method: 'interpolation' (trapezoids; for 'PR' the interpolation of Davis and Goadrich), 'minoring' or
            'majoring' (rectangles below or above the curve).
        name: The metric's name.
        dtype: The element type of its state.
        thresholds: The thresholds in [0, 1] to use instead of evenly spread ones.

    Raises:
        ValueError: An argument is none of these.

    Source: Davis, Goadrich, "The relationship between precision-recall and ROC curves", 2006.

    >>> import distkeras as tf
    >>> round(float(tf.keras.metrics.AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])), 4)
    0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
    ) -> None:
        self.curve = _choice("curve", curve, ("ROC", "PR"))
        self.summation_method = _choice("summation_method", summation_method, ("interpolation", "minoring", "majoring"))
        if thresholds is None and num_thresholds <= 1:
            raise ValueError(f"AUC: `num_thresholds` must be > 1, received {num_thresholds}.")
        inner = _evenly(num_thresholds) if thresholds is None else sorted(float(value) for value in thresholds)
        if any(not 0 <= value <= 1 for value in inner):
            raise ValueError(f"AUC: threshold values must be in [0, 1], received {inner}.")
        # The first and the last lie just outside of [0, 1], so that the curve has both its ends.
        super().__init__([-_config.epsilon(), *inner, 1.0 + _config.epsilon()], name, dtype)
        self._given_thresholds = None if thresholds is None else inner

    def result(self) -> Tensor:
        """The area so far."""
        counts = self._values()
        tp, fp, tn, fn = counts
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _interpolated_precision_recall(counts)
        recall = ops.divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            x, y = ops.divide_no_nan(fp, fp + tn), recall
        else:
            x, y = recall, ops.divide_no_nan(tp, tp + fp)
        if self.summation_method == "interpolation":
            heights = (y[:-1] + y[1:]) * 0.5
        else:
            heights = (ops.minimum if self.summation_method == "minoring" else ops.maximum)(y[:-1], y[1:])
        return ops.reduce_sum((x[:-1] - x[1:]) * heights)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "thresholds": self._given_thresholds,
        }


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    found = {choice.lower(): choice for choice in choices}.get(str(value).lower())
    if found is None:
        raise ValueError(f"AUC: expected {name} to be one of {', '.join(map(repr, choices))}; received {value!r}.")
    return found


def _interpolated_precision_recall(counts: Counts) -> Tensor:
    """The area under the precision-recall curve, true positives being linear in all positives between thresholds.

    Between two thresholds TP = slope * P + intercept, so the precision TP / P integrates to a logarithm.
    """
    tp, fp, _, fn = counts
    positives = tp + fp
    gained = tp[:-1] - tp[1:]
    slope = ops.divide_no_nan(gained, ops.maximum(positives[:-1] - positives[1:], 0.0))
    intercept = tp[1:] - slope * positives[1:]
    both = ops.logical_and(positives[:-1] > 0.0, positives[1:] > 0.0)
    ratio = ops.where(both, ops.divide_no_nan(positives[:-1], positives[1:]), ops.ones_like(intercept))
    areas = ops.divide_no_nan(slope * (gained + intercept * ops.log(ratio)), ops.maximum(tp[1:] + fn[1:], 0.0))
    return ops.reduce_sum(areas)


class _PointOnCurve(_CurveMetric):
    """The best value of one rate among the thresholds at which another reaches a bound."""

    bound = ""

    def __init__(self, value: float, num_thresholds: int, name: str | None, dtype: Any) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"`{self.bound}` must be in the range [0, 1], received {value}.")
        if num_thresholds <= 0:
            raise ValueError(f"`num_thresholds` must be > 0, received {num_thresholds}.")
        super().__init__([0.5] if num_thresholds == 1 else [0.0, *_evenly(num_thresholds), 1.0], name, dtype)
        self._requested_thresholds = num_thresholds
        self.value = value

    def _nearest(self, rate: Tensor, other: Tensor) -> Tensor:
        """The rate at the first threshold where the other is nearest to the value."""
        distance = ops.abs(other - ops.cast(self.value, other.dtype))
        return ops.gather(rate, ops.argmin(distance))

    def _best(self, rate: Tensor, bounded: Tensor) -> Tensor:
        """The largest rate where `bounded` >= value, 0 if it never is."""
        allowed = bounded >= ops.cast(self.value, bounded.dtype)
        return ops.maximum(ops.reduce_max(ops.where(allowed, rate, ops.fill(rate.shape, _lowest(rate)))), 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_thresholds": self._requested_thresholds, self.bound: self.value}


def _lowest(like: Tensor) -> Tensor:
    return ops.cast(-np.inf, like.dtype)


@METRICS.register()
class SensitivityAtSpecificity(_PointOnCurve):
    """The part of the positives found, at the threshold where that of the negatives recognised is nearest to a value.

    Args:
        specificity: That value, in [0, 1].
        num_thresholds: How many thresholds are tried.
        name: The metric's name.
        dtype: The element type of its state.
    """

    bound = "specificity"

    def __init__(
        self, specificity: float, num_thresholds: int = 200, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(specificity, num_thresholds, name, dtype)
        self.specificity = specificity

    def result(self) -> Tensor:
        """The sensitivity so far."""
        tp, fp, tn, fn = self._values()
        return self._nearest(ops.divide_no_nan(tp, tp + fn), ops.divide_no_nan(tn, tn + fp))


@METRICS.register()
class SpecificityAtSensitivity(_PointOnCurve):
    """The part of the negatives recognised, at the threshold where that of the positives found is nearest to a value.

    Args:
        sensitivity: That value, in [0, 1].
        num_thresholds: How many thresholds are tried.
        name: The metric's name.
        dtype: The element type of its state.
    """

    bound = "sensitivity"

    def __init__(
        self, sensitivity: float, num_thresholds: int = 200, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(sensitivity, num_thresholds, name, dtype)
        self.sensitivity = sensitivity

    def result(self) -> Tensor:
        """The specificity so far."""
        tp, fp, tn, fn = self._values()
        return self._nearest(ops.divide_no_nan(tn, tn + fp), ops.divide_no_nan(tp, tp + fn))


@METRICS.register()
class PrecisionAtRecall(_PointOnCurve):
    """The largest precision, among thresholds that find at least a given part of the positives.

    Args:
        recall: That part, in [0, 1].
        num_thresholds: How many thresholds are tried.
        name: The metric's name.
        dtype: The element type of its state.
    """

    bound = "recall"

    def __init__(self, recall: float, num_thresholds: int = 200, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(recall, num_thresholds, name, dtype)
        self.recall = recall

    def result(self) -> Tensor:
        """The precision so far."""
        tp, fp, _, fn = self._values()
        return self._best(ops.divide_no_nan(tp, tp + fp), ops.divide_no_nan(tp, tp + fn))


@METRICS.register()
class RecallAtPrecision(_PointOnCurve):
    """The largest part of the positives found, among thresholds with at least a given precision.

    Args:
        precision: That precision, in [0, 1].
        num_thresholds: How many thresholds are tried.
        name: The metric's name.
        dtype: The element type of its state.
    """

    bound = "precision"

    def __init__(self, precision: float, num_thresholds: int = 200, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(precision, num_thresholds, name, dtype)
        self.precision = precision

    def result(self) -> Tensor:
        """The recall so far."""
        tp, fp, _, fn = self._values()
        return self._best(ops.divide_no_nan(tp, tp + fn), ops.divide_no_nan(tp, tp + fp))
