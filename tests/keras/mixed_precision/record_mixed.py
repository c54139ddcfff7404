"""Records what tf_keras computes in float16, for test_mixed_precision.py: needs TensorFlow and tf_keras.

TF_USE_LEGACY_KERAS=1 python -m tests.keras.mixed_precision.record_mixed
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.keras.mixed_precision import models


def record() -> None:
    mixed = tf.keras.mixed_precision
    model = models.network(tf, mixed.Policy("mixed_float16"))
    model.set_weights(models.weights(model))
    inner = tf.keras.models.Model(model.input, [layer.output for layer in model.layers[1:]])
    results = {f"output{i}": value[:4] for i, value in enumerate(inner.predict(models.IMAGES, verbose=0))}
    optimizer = mixed.LossScaleOptimizer(
        tf.keras.optimizers.legacy.SGD(0.1, momentum=0.9), initial_scale=2.0**19, dynamic_growth_steps=2
    )
    results["losses"] = np.array(models.train(tf, model, optimizer))
    results["scale"] = np.array([float(optimizer.loss_scale), int(optimizer.iterations)])
    for i, value in enumerate(model.get_weights()):
        results[f"weight{i}"] = value
    np.savez_compressed(Path(__file__).parent / "data" / "mixed.npz", **results)


if __name__ == "__main__":
    record()
