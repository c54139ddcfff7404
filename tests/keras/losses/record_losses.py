"""Writes data/losses.npz: values, gradients and configs of Keras 2's losses.

Run with TensorFlow and tf-keras installed: TF_USE_LEGACY_KERAS=1 python -m tests.keras.losses.record_losses
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.keras.losses.cases import CASES, REDUCTIONS, WEIGHTS, inputs, weights


def main() -> None:
    recorded = {}
    for index, (name, arguments, data) in enumerate(CASES):
        y_true, y_pred = inputs(data)
        for reduction in REDUCTIONS:
            loss = getattr(tf.keras.losses, name)(reduction=reduction, **arguments)
            for kind in WEIGHTS:
                try:
                    value = loss(tf.constant(y_true), tf.constant(y_pred), weights(kind)).numpy()
                except (ValueError, tf.errors.InvalidArgumentError):
                    continue
                recorded[f"{index} {reduction} {kind}"] = value
        with tf.GradientTape() as tape:
            x = tf.constant(y_pred)
            tape.watch(x)
            total = getattr(tf.keras.losses, name)(**arguments)(tf.constant(y_true), x)
        recorded[f"{index} gradient"] = tape.gradient(total, x).numpy()
        recorded[f"{index} config"] = json.dumps(getattr(tf.keras.losses, name)(**arguments).get_config())
    np.savez_compressed(Path(__file__).parent / "data" / "losses.npz", **recorded)


if __name__ == "__main__":
    main()
