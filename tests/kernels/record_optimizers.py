"""Records what TensorFlow's optimizers do to a parameter, for test_update.py: needs tensorflow and tf-keras.

TF_USE_LEGACY_KERAS=1 python tests/kernels/record_optimizers.py
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

STEPS, SIZE = 6, 9
OPTIMIZERS = {
    "sgd": lambda o: o.SGD(0.1),
    "momentum": lambda o: o.SGD(0.1, momentum=0.9),
    "nesterov": lambda o: o.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda o: o.RMSprop(0.01, rho=0.9, epsilon=1e-3),
    "rmsprop_momentum": lambda o: o.RMSprop(0.01, rho=0.9, momentum=0.8, epsilon=1e-3),
    "rmsprop_centered": lambda o: o.RMSprop(0.01, rho=0.9, epsilon=1e-3, centered=True),
    "rmsprop_centered_momentum": lambda o: o.RMSprop(0.01, rho=0.9, momentum=0.8, epsilon=1e-3, centered=True),
    "adam": lambda o: o.Adam(0.01, epsilon=1e-3),
    "amsgrad": lambda o: o.Adam(0.01, epsilon=1e-3, amsgrad=True),
    "adamax": lambda o: o.Adamax(0.01, epsilon=1e-3),
    "ftrl": lambda o: o.Ftrl(
        0.1,
        learning_rate_power=-0.5,
        initial_accumulator_value=0.1,
        l1_regularization_strength=0.3,
        l2_regularization_strength=0.02,
        l2_shrinkage_regularization_strength=0.01,
    ),
    "adagrad": lambda o: o.Adagrad(0.1, initial_accumulator_value=0.1, epsilon=1e-3),
    "adadelta": lambda o: o.Adadelta(1.0, rho=0.9, epsilon=1e-3),
}


def record() -> None:
    generator = np.random.default_rng(0)
    start = generator.normal(size=SIZE)
    gradients = generator.normal(size=(STEPS, SIZE)) * 10.0 ** -np.arange(STEPS)[:, None]
    results = {"start": start, "gradients": gradients}
    for name, make in OPTIMIZERS.items():
        variable = tf.Variable(start, dtype=tf.float64)
        optimizer = make(tf.keras.optimizers.legacy)
        for gradient in gradients:
            optimizer.apply_gradients([(tf.constant(gradient, tf.float64), variable)])
        results[name] = variable.numpy()
    np.savez(Path(__file__).parent / "data" / "optimizers.npz", **results)


if __name__ == "__main__":
    record()
