"""State of metrics of one's own is merged as its `aggregation` says."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf


class Rows(tf.keras.metrics.Metric):
    """The number of samples seen."""

    def __init__(self, aggregation, name="rows"):
        super().__init__(name=name)
        self.count = self.add_weight("count", aggregation=aggregation)

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count.assign_add(float(y_pred.shape[0]))

    def result(self):
        return self.count


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_state_is_merged_as_asked_for(communicator, run_eagerly):
    with tf.distribute.MirroredStrategy().scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
        metrics = [
            Rows("SUM", "total"),
            Rows("mean", "average"),
            Rows(tf.VariableAggregation.ONLY_FIRST_REPLICA, "first"),
        ]
        model.compile("sgd", "mse", metrics=metrics, run_eagerly=run_eagerly)
    samples = 4 * communicator.size + 1
    x = np.ones((samples, 2), "float32")
    logs = dict(zip(model.metrics_names, model.evaluate(x, x[:, :1], batch_size=samples, verbose=0), strict=True))
    assert logs["total"] == samples
    assert logs["average"] == pytest.approx(samples / communicator.size)
    assert logs["first"] in (4.0, 5.0) or communicator.size == 1
