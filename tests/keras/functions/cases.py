"""Activations, regularizers, constraints and initializers, and what they are tried on; for tests and recording."""

from __future__ import annotations

import numpy as np

ACTIVATIONS = [
    ("linear", {}),
    ("relu", {}),
    ("relu", {"alpha": 0.3}),
    ("relu", {"max_value": 1.5}),
    ("relu", {"alpha": 0.2, "max_value": 1.0, "threshold": 0.4}),
    ("relu", {"threshold": 1.0}),
    ("elu", {}),
    ("elu", {"alpha": 0.5}),
    ("selu", {}),
    ("softmax", {}),
    ("softmax", {"axis": 0}),
    ("softplus", {}),
    ("softsign", {}),
    ("tanh", {}),
    ("sigmoid", {}),
    ("hard_sigmoid", {}),
    ("exponential", {}),
    ("swish", {}),
    ("gelu", {}),
    ("gelu", {"approximate": True}),
]
REGULARIZERS = [
    ("L1L2", {}),
    ("L1L2", {"l1": 0.1, "l2": 0.3}),
    ("l1", {}),
    ("l2", {}),
    ("l2", {"l2": 0.5}),
    ("l1_l2", {}),
]
CONSTRAINTS = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 1.5, "axis": [0, 1]}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": 1}),
    ("MinMaxNorm", {"min_value": 1.0, "max_value": 2.0}),
    ("MinMaxNorm", {"min_value": 0.5, "max_value": 1.0, "rate": 0.4, "axis": 1}),
    ("RadialConstraint", {}),
]
INITIALIZERS = [
    ("Zeros", {}),
    ("Ones", {}),
    ("Constant", {"value": 3}),
    ("RandomNormal", {"mean": 1.0, "stddev": 0.5, "seed": 3}),
    ("RandomUniform", {"minval": -1.0, "maxval": 2.0, "seed": 3}),
    ("TruncatedNormal", {"mean": 1.0, "stddev": 0.5, "seed": 3}),
    ("VarianceScaling", {"scale": 2.0, "mode": "fan_out", "distribution": "uniform", "seed": 3}),
    ("VarianceScaling", {"scale": 0.5, "mode": "fan_avg", "distribution": "untruncated_normal", "seed": 3}),
    ("GlorotUniform", {"seed": 3}),
    ("GlorotNormal", {"seed": 3}),
    ("he_normal", {"seed": 3}),
    ("he_uniform", {"seed": 3}),
    ("lecun_normal", {"seed": 3}),
    ("lecun_uniform", {"seed": 3}),
    ("Orthogonal", {"gain": 2.0, "seed": 3}),
    ("VarianceScaling", {"scale": 2.0, "mode": "fan_in", "distribution": "normal", "seed": 3}),
    ("Identity", {"gain": 2.0}),
]
SHAPE = (60, 80)


def weight(constraint: str) -> np.ndarray:
    """What a constraint is tried on: a matrix, or the kernel of a convolution."""
    return np.arange(50, dtype=np.float32).reshape(5, 5, 1, 2) if constraint == "RadialConstraint" else values()


def values() -> np.ndarray:
    """[6, 5] numbers, among them 0, and some far from it."""
    rng = np.random.Generator(np.random.PCG64(5))
    x = rng.normal(0, 2, (6, 5)).astype(np.float32)
    x[0] = [0.0, -0.0, 30.0, -30.0, 1.0]
    return x
