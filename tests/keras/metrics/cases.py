"""Metrics and what they are tried on; shared by the tests and the script that records the expected values."""

from __future__ import annotations

import numpy as np

# class, arguments, inputs, whether with weights
CASES = [
    (name, arguments, data, weighted)
    for name, arguments, data in [
        ("Accuracy", {}, "guesses"),
        ("BinaryAccuracy", {}, "binary"),
        ("BinaryAccuracy", {"threshold": 0.7}, "binary"),
        ("CategoricalAccuracy", {}, "classes"),
        ("SparseCategoricalAccuracy", {}, "labels"),
        ("SparseCategoricalAccuracy", {}, "label column"),
        ("SparseCategoricalAccuracy", {}, "label sequences"),
        ("TopKCategoricalAccuracy", {"k": 2}, "classes"),
        ("SparseTopKCategoricalAccuracy", {"k": 2}, "labels"),
        ("SparseTopKCategoricalAccuracy", {"k": 3}, "labels"),
        ("MeanSquaredError", {}, "numbers"),
        ("MeanAbsoluteError", {}, "numbers"),
        ("MeanAbsolutePercentageError", {}, "numbers"),
        ("MeanSquaredLogarithmicError", {}, "numbers"),
        ("RootMeanSquaredError", {}, "numbers"),
        ("CosineSimilarity", {}, "numbers"),
        ("LogCoshError", {}, "numbers"),
        ("Poisson", {}, "binary"),
        ("KLDivergence", {}, "classes"),
        ("Hinge", {}, "numbers"),
        ("SquaredHinge", {}, "binary"),
        ("CategoricalHinge", {}, "classes"),
        ("BinaryCrossentropy", {}, "binary"),
        ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "binary"),
        ("CategoricalCrossentropy", {}, "classes"),
        ("SparseCategoricalCrossentropy", {}, "labels"),
        ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels"),
        ("TruePositives", {}, "binary"),
        ("FalsePositives", {"thresholds": 0.3}, "binary"),
        ("TrueNegatives", {"thresholds": [0.2, 0.8]}, "binary"),
        ("FalseNegatives", {}, "binary"),
        ("Precision", {}, "binary"),
        ("Precision", {"thresholds": [0.1, 0.9]}, "binary"),
        ("Precision", {"top_k": 2}, "classes"),
        ("Recall", {}, "binary"),
        ("Recall", {"class_id": 1}, "classes"),
        ("Recall", {"top_k": 2, "class_id": 3}, "classes"),
        ("AUC", {}, "binary"),
        ("AUC", {"num_thresholds": 5}, "binary"),
        ("AUC", {"curve": "PR"}, "binary"),
        ("AUC", {"curve": "PR", "summation_method": "minoring"}, "binary"),
        ("AUC", {"summation_method": "majoring"}, "binary"),
        ("AUC", {"thresholds": [0.2, 0.5]}, "binary"),
        ("SensitivityAtSpecificity", {"specificity": 0.0, "num_thresholds": 9}, "binary"),
        ("SpecificityAtSensitivity", {"sensitivity": 0.7}, "binary"),
        ("PrecisionAtRecall", {"recall": 0.5}, "binary"),
        ("PrecisionAtRecall", {"recall": 0.9, "num_thresholds": 1}, "binary"),
        ("RecallAtPrecision", {"precision": 0.6, "num_thresholds": 20}, "binary"),
        ("MeanIoU", {"num_classes": 4}, "guesses"),
        ("MeanIoU", {"num_classes": 6}, "guesses"),
        ("MeanRelativeError", {"normalizer": [1.0, 2.0, 0.0]}, "numbers"),
        ("CosineSimilarity", {"axis": 1}, "numbers"),
        ("SparseCategoricalCrossentropy", {"axis": 1}, "labels"),
        ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, "classes"),
        ("Accuracy", {}, "label column guesses"),
        ("AUC", {"curve": "PR", "summation_method": "majoring", "num_thresholds": 9}, "binary"),
        ("AUC", {"curve": "PR", "thresholds": [0.9, 0.2, 0.5]}, "binary"),
        ("Precision", {"thresholds": 0.5, "top_k": 2, "class_id": 1}, "classes"),
    ]
    for weighted in (False, True)
]


def batches(name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two batches of targets and predictions, of seven samples and of three."""
    rng = np.random.Generator(np.random.PCG64(11))
    return [_batch(name, rng, count) for count in (7, 3)]


def _batch(name: str, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    probabilities = rng.uniform(0.05, 1, (count, 3, 4))
    probabilities = (probabilities / probabilities.sum(-1, keepdims=True)).astype(np.float32)
    labels = rng.integers(0, 4, (count, 3))
    return {
        "numbers": (rng.normal(size=(count, 3)).astype(np.float32), rng.normal(size=(count, 3)).astype(np.float32)),
        "binary": (rng.integers(0, 2, (count, 1)).astype(np.float32), rng.uniform(size=(count, 1)).astype(np.float32)),
        "classes": (np.eye(4, dtype=np.float32)[labels[:, 0]], probabilities[:, 0]),
        "labels": (labels[:, 0], probabilities[:, 0]),
        "label column": (labels[:, :1].astype(np.float32), probabilities[:, 0]),
        "label sequences": (labels, probabilities),
        "guesses": (labels[:, 0], rng.integers(0, 4, count)),
        "label column guesses": (labels[:, :1], rng.integers(0, 4, count)),
    }[name]


def weights(count: int) -> np.ndarray:
    """A weight for each of some samples, one of them zero."""
    return np.linspace(0, 2, count).astype(np.float32)
