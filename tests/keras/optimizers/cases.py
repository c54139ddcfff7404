"""Optimizers and what they are tried on; shared by the tests and the script that records the expected values."""

from __future__ import annotations

import numpy as np

# class, arguments
CASES = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True}),
    ("SGD", {"learning_rate": 0.5, "decay": 0.3}),
    ("SGD", {"lr": 0.25, "clipvalue": 0.5}),
    ("SGD", {"learning_rate": 0.5, "clipnorm": 0.7}),
    ("SGD", {"learning_rate": 0.5, "clipnorm": 0.7, "clipvalue": 0.4}),
    ("SGD", {"learning_rate": 0.5, "global_clipnorm": 1.1}),
    ("RMSprop", {}),
    ("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "epsilon": 1e-3}),
    ("RMSprop", {"learning_rate": 0.01, "momentum": 0.9, "epsilon": 1e-3}),
    ("RMSprop", {"learning_rate": 0.01, "centered": True, "epsilon": 1e-3}),
    ("RMSprop", {"learning_rate": 0.01, "centered": True, "momentum": 0.5, "epsilon": 1e-3}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.05, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-2}),
    ("Adam", {"learning_rate": 0.05, "amsgrad": True, "decay": 0.1, "beta_2": 0.5}),
    ("Adamax", {"learning_rate": 0.05}),
    ("Nadam", {"learning_rate": 0.05}),
    ("Nadam", {"learning_rate": 0.05, "schedule_decay": 0.1}),
    ("Adagrad", {"learning_rate": 0.1}),
    ("Adadelta", {"learning_rate": 1.0, "epsilon": 1e-3}),
    ("Ftrl", {"learning_rate": 0.1}),
    ("Ftrl", {"learning_rate": 0.5, "l1_regularization_strength": 0.4, "l2_regularization_strength": 0.1}),
    ("Ftrl", {"learning_rate": 0.5, "learning_rate_power": -0.3, "l2_shrinkage_regularization_strength": 0.1}),
    ("AdamW", {"learning_rate": 0.05, "weight_decay": 0.2}),
    ("AdamW", {"learning_rate": 0.05, "exclude_from_weight_decay": ["bias"], "clipnorm": 0.7}),
    ("AdamW", {"learning_rate": 0.05, "weight_decay": 0.2, "amsgrad": True, "beta_2": 0.5}),
    ("LAMB", {"learning_rate": 0.05}),
    ("LAMB", {"learning_rate": 0.05, "beta_1": 0.7, "epsilon": 1e-2}),
    ("LAMB", {"weight_decay": 0.1, "exclude_from_weight_decay": ["bias"]}),
    ("LAMB", {"weight_decay": 0.1, "exclude_from_layer_adaptation": ["bias", "^b/"]}),
    ("LARS", {"learning_rate": 1.0, "trust_coefficient": 0.1}),
    ("LARS", {"weight_decay": 0.1, "nesterov": True, "exclude_from_weight_decay": ["bias"]}),
    ("LARS", {"momentum": 0.0, "epsilon": 0.1, "exclude_from_layer_adaptation": ["kernel"], "decay": 0.5}),
]
# TensorFlow 2.0 has none of these: their states and configs are compared with nothing.
LATER = ("AdamW", "LAMB", "LARS")
# A table of which some rows get gradients, some of them twice: the rows of each step.
TABLE = (6, 3)
TABLE_ROWS = [[1, 4, 1], [4, 2, 5], [1], [], [0, 0, 0, 5]]
CLIPS = ("clipvalue", "clipnorm", "global_clipnorm")  # TensorFlow clips rows before it adds equal ones up
SHAPES = {"a/kernel": (3, 5), "a/bias": (5,), "b/scale": ()}
STEPS = 5

# class, arguments
SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [5, 25], "values": [1.0, 0.5, 0.1]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "end_learning_rate": 0.01, "power": 0.5}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 7}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 9, "t_mul": 1.0, "m_mul": 0.8}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.2, "first_decay_steps": 3, "t_mul": 1.5, "alpha": 0.1}),
    ("LinearCosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20}),
    ("LinearCosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "num_periods": 2.0, "alpha": 0.2}),
    ("NoisyLinearCosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "initial_variance": 0.0}),
]
# Later versions have no such classes, and no configs of them; their values are those of tf.compat.v1.train.
OLD_SCHEDULES = {"LinearCosineDecay": "linear_cosine_decay", "NoisyLinearCosineDecay": "noisy_linear_cosine_decay"}
SCHEDULE_STEPS = (0, 1, 5, 6, 10, 19, 25, 26, 100)


def start() -> dict[str, np.ndarray]:
    """The first values of the variables."""
    rng = np.random.Generator(np.random.PCG64(3))
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def table() -> np.ndarray:
    """The first value of the table."""
    return np.random.Generator(np.random.PCG64(4)).normal(size=TABLE).astype(np.float32)


def rows(step: int) -> tuple[np.ndarray, np.ndarray]:
    """The values and indices of a gradient of the table."""
    indices = np.array(TABLE_ROWS[step], np.int64)
    rng = np.random.Generator(np.random.PCG64(200 + step))
    return rng.normal(size=(len(indices), TABLE[1])).astype(np.float32), indices


def gradients(step: int) -> list[np.ndarray]:
    """A gradient for each variable."""
    rng = np.random.Generator(np.random.PCG64(100 + step))
    return [rng.normal(size=shape).astype(np.float32) for shape in SHAPES.values()]
