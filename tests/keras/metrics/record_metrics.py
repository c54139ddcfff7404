"""Writes data/metrics.npz: running results and configs of Keras 2's metrics.

Run with TensorFlow and tf-keras installed: TF_USE_LEGACY_KERAS=1 python -m tests.keras.metrics.record_metrics
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.keras.metrics.cases import CASES, batches, weights


def main() -> None:
    recorded = {}
    for index, (name, arguments, data, weighted) in enumerate(CASES):
        metric = getattr(tf.keras.metrics, name)(name="m", **arguments)
        for step, (y_true, y_pred) in enumerate(batches(data)):
            metric.update_state(y_true, y_pred, weights(len(y_true)) if weighted else None)
            recorded[f"{index} result {step}"] = metric.result().numpy()
        recorded[f"{index} config"] = json.dumps(metric.get_config(), default=np.ndarray.tolist)
        recorded[f"{index} state"] = json.dumps([(w.name, list(w.shape)) for w in metric.weights])
    np.savez_compressed(Path(__file__).parent / "data" / "metrics.npz", **recorded)


if __name__ == "__main__":
    main()
