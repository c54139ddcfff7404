"""Losses and what they are tried on; shared by the tests and the script that records the expected values."""

from __future__ import annotations

import numpy as np

REDUCTIONS = ("auto", "none", "sum")
WEIGHTS = ("no weights", "scalar", "vector", "column")

# class, arguments, inputs
CASES = [
    ("MeanSquaredError", {}, "numbers"),
    ("MeanSquaredError", {}, "integers"),
    ("MeanSquaredError", {}, "images"),
    ("MeanSquaredError", {}, "column"),
    ("MeanAbsoluteError", {}, "numbers"),
    ("MeanAbsolutePercentageError", {}, "numbers"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("MeanSquaredLogarithmicError", {}, "numbers"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"label_smoothing": 1.0}, "binary"),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True}, "binary logits"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, "binary logits"),
    ("CategoricalCrossentropy", {}, "classes"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "classes"),
    ("CategoricalCrossentropy", {"from_logits": True}, "class logits"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.3}, "class logits"),
    ("SparseCategoricalCrossentropy", {}, "labels"),
    ("SparseCategoricalCrossentropy", {}, "label column"),
    ("SparseCategoricalCrossentropy", {}, "label sequences"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "label logits"),
    ("Hinge", {}, "signs"),
    ("Hinge", {}, "binary"),
    ("SquaredHinge", {}, "signs"),
    ("SquaredHinge", {}, "binary"),
    ("CategoricalHinge", {}, "classes"),
    ("Huber", {}, "numbers"),
    ("Huber", {"delta": 0.3}, "numbers"),
    ("LogCosh", {}, "numbers"),
    ("LogCosh", {}, "images"),
    ("KLDivergence", {}, "classes"),
    ("KLDivergence", {}, "binary"),
    ("Poisson", {}, "positive"),
    ("CosineSimilarity", {}, "numbers"),
    ("CosineSimilarity", {"axis": 1}, "images"),
    ("CosineSimilarity", {"axis": -2}, "images"),
]

FUNCTIONS = {
    "MeanSquaredError": "mean_squared_error",
    "MeanAbsoluteError": "mean_absolute_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error",
    "BinaryCrossentropy": "binary_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "Hinge": "hinge",
    "SquaredHinge": "squared_hinge",
    "CategoricalHinge": "categorical_hinge",
    "Huber": "huber_loss",
    "LogCosh": "logcosh",
    "KLDivergence": "kullback_leibler_divergence",
    "Poisson": "poisson",
    "CosineSimilarity": "cosine_similarity",
}


def inputs(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Targets and predictions for five samples."""
    rng = np.random.Generator(np.random.PCG64(7))
    float32 = np.float32

    def numbers(*shape: int) -> np.ndarray:
        return rng.normal(0, 1.5, shape).astype(float32)

    def distributions(*shape: int) -> np.ndarray:
        values = rng.uniform(0.05, 1, shape)
        return (values / values.sum(-1, keepdims=True)).astype(float32)

    labels = rng.integers(0, 4, 5)
    probabilities = distributions(5, 4)
    probabilities[1] = [0, 1, 0, 0]  # beyond what a logarithm can take
    binary = rng.integers(0, 2, (5, 3)).astype(float32)
    return {
        "numbers": (numbers(5, 3), numbers(5, 3)),
        "integers": (rng.integers(-3, 3, (5, 3)), numbers(5, 3)),
        "positive": (np.abs(numbers(5, 3)), np.abs(numbers(5, 3))),
        "images": (numbers(5, 2, 3, 2), numbers(5, 2, 3, 2)),
        "column": (numbers(5), numbers(5, 1)),
        "binary": (binary, np.clip(rng.uniform(-0.1, 1.1, (5, 3)), 0, 1).astype(float32)),
        "binary logits": (binary, 3 * numbers(5, 3)),
        "signs": (2 * binary - 1, numbers(5, 3)),
        "classes": (np.eye(4, dtype=float32)[labels], probabilities * float32(1.3)),
        "class logits": (distributions(5, 4), 4 * numbers(5, 4)),
        "labels": (labels, probabilities),
        "label column": (labels[:, None].astype(float32), probabilities),
        "label sequences": (rng.integers(0, 4, (5, 3)), distributions(5, 3, 4)),
        "label logits": (labels, 4 * numbers(5, 4)),
    }[name]


def weights(kind: str) -> np.ndarray | float | None:
    """Sample weights for five samples."""
    vector = np.array([0.0, 1.0, 0.5, 2.0, 3.0], np.float32)
    return {"no weights": None, "scalar": 0.3, "vector": vector, "column": vector[:, None]}[kind]
