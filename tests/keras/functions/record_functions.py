"""Writes data/functions.npz: values, gradients and configs of Keras 2's activations, regularizers, constraints and
initializers.

Run with TensorFlow and tf-keras installed: TF_USE_LEGACY_KERAS=1 python -m tests.keras.functions.record_functions
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.keras.functions.cases import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS, SHAPE, values, weight


def main() -> None:
    recorded = {}
    x = tf.constant(values())
    for index, (name, arguments) in enumerate(ACTIVATIONS):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = getattr(tf.keras.activations, name)(x, **arguments)
        recorded[f"activation {index}"] = y.numpy()
        recorded[f"activation {index} gradient"] = tape.gradient(y, x, output_gradients=tf.cos(x)).numpy()
    for index, (name, arguments) in enumerate(REGULARIZERS):
        regularizer = getattr(tf.keras.regularizers, name)(**arguments)
        recorded[f"regularizer {index}"] = np.asarray(regularizer(x))
        recorded[f"regularizer {index} config"] = json.dumps(regularizer.get_config())
    for index, (name, arguments) in enumerate(CONSTRAINTS):
        constraint = getattr(tf.keras.constraints, name)(**arguments)
        recorded[f"constraint {index}"] = constraint(tf.constant(weight(name))).numpy()
        recorded[f"constraint {index} config"] = json.dumps(constraint.get_config())
    for index, (name, arguments) in enumerate(INITIALIZERS):
        initializer = getattr(tf.keras.initializers, name)(**arguments)
        sample = initializer(SHAPE).numpy().astype(np.float64)
        recorded[f"initializer {index}"] = np.array([sample.mean(), sample.std(), sample.min(), sample.max()])
        recorded[f"initializer {index} config"] = json.dumps(initializer.get_config())
    np.savez_compressed(Path(__file__).parent / "data" / "functions.npz", **recorded)


if __name__ == "__main__":
    main()
