"""Metrics give the running results, states and configs of Keras 2, step by step and traced."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distkeras.core.tensor import to_tensor
from distkeras.graph.function import function
from distkeras.keras import metrics
from tests.keras.metrics.cases import CASES, batches, weights

RECORDED = dict(np.load(Path(__file__).parent / "data" / "metrics.npz"))
IDS = [f"{name} {arguments} {data} {'weighted' if weighted else ''}" for name, arguments, data, weighted in CASES]
INDICES = pytest.mark.parametrize("index", range(len(CASES)), ids=IDS)
# Settings of later versions that say what is the case anyway; thresholds that were given are kept by later ones only.
LATER = {"axis", "ignore_class", "fn", "from_logits", "multi_label", "num_labels", "label_weights", "class_id"}
LATER |= {"sparse_y_true", "sparse_y_pred"}


def make(index: int):
    name, arguments, data, weighted = CASES[index]
    return getattr(metrics, name)(name="m", **arguments), [
        (y_true, y_pred, weights(len(y_true)) if weighted else None) for y_true, y_pred in batches(data)
    ]


def assert_results(index, results):
    for step, received in enumerate(results):
        expected = RECORDED[f"{index} result {step}"]
        assert tuple(received.shape) == expected.shape and received.dtype == "float32"
        np.testing.assert_allclose(received.numpy(), expected, rtol=3e-6, atol=1e-6)


@INDICES
def test_results_are_those_of_keras(index):
    metric, data = make(index)
    results = []
    for batch in data:
        metric.update_state(*batch)
        results.append(metric.result())
    assert_results(index, results)


@INDICES
def test_a_traced_metric_is_the_eager_one(index):
    metric, data = make(index)
    update = function(lambda *batch: metric.update_state(*batch))
    results = []
    for batch in data:
        update(*[to_tensor(value) for value in batch if value is not None])
        results.append(function(metric.result)())
    assert_results(index, results)


@INDICES
def test_states_of_parts_add_up(index):
    """Two ranks that see one batch each, merged by sums, give what one gives that sees both."""
    parts = []
    for rank in range(2):
        metric, data = make(index)
        metric.update_state(*data[rank])
        metric.update_state(*(None if value is None else value[:0] for value in data[rank]))  # an empty slice
        parts.append([variable.numpy() for variable in metric.weights])
    merged, _ = make(index)
    assert merged.merge == "sum"
    for variable, first, second in zip(merged.weights, *parts, strict=True):
        variable.assign(first + second)
    np.testing.assert_allclose(merged.result().numpy(), RECORDED[f"{index} result 1"], rtol=3e-6, atol=1e-6)


@INDICES
def test_reset_and_call(index):
    metric, data = make(index)
    metric(*data[1])
    metric.reset_states()
    assert all(not variable.numpy().any() for variable in metric.weights)
    assert_results(index, [metric(*data[0])])


@INDICES
def test_states_and_configs_are_those_of_keras(index):
    metric, _ = make(index)
    state = [[variable.name.split("/")[-1], list(variable.shape)] for variable in metric.weights]
    assert state == json.loads(str(RECORDED[f"{index} state"]))
    assert not metric.trainable_weights
    expected = json.loads(str(RECORDED[f"{index} config"]))
    received = metric.get_config()
    assert {k: v for k, v in expected.items() if k in received} == {k: v for k, v in received.items() if k in expected}
    assert set(expected) - set(received) <= LATER and set(received) - set(expected) <= {"thresholds"}
    copy = metrics.deserialize(metrics.serialize(metric))
    assert type(copy) is type(metric) and copy.get_config() == received


@pytest.mark.parametrize("name", sorted(metrics.METRICS))
def test_every_registered_metric_is_tried_or_a_function(name):
    entry = metrics.METRICS[name]
    elsewhere = {"Mean", "Sum", "MeanTensor"}
    assert name in {case[0] for case in CASES} | elsewhere if isinstance(entry, type) else callable(entry)
    assert getattr(metrics, name) is entry


@pytest.mark.parametrize(
    ("values", "sample_weight", "mean", "total"),
    [
        ([1.0, 3.0, 5.0, 7.0], None, 4.0, 16.0),
        ([1, 3, 5, 7], [1, 1, 0, 0], 2.0, 4.0),
        (3.0, None, 3.0, 3.0),
        ([[1.0, 3.0], [5.0, 7.0]], [1.0, 0.5], 10 / 3, 10.0),
        ([[1.0, 3.0], [5.0, 7.0]], 0.5, 4.0, 8.0),
        (np.ones((2, 3, 4)), np.array([1.0, 2.0]), 1.0, None),
        (np.zeros((0, 2)), None, 0.0, 0.0),
    ],
)
def test_mean_and_sum(values, sample_weight, mean, total):
    assert float(metrics.Mean()(values, sample_weight)) == pytest.approx(mean)
    if total is not None:
        assert float(metrics.Sum()(values, sample_weight)) == pytest.approx(total)


def test_mean_tensor():
    metric = metrics.MeanTensor()
    with pytest.raises(ValueError, match="does not have any result yet"):
        metric.result()
    metric.update_state([0, 1, 2, 3])
    metric.update_state([4, 5, 6, 7], sample_weight=[0, 0.2, 1, 0])
    np.testing.assert_allclose(metric.result().numpy(), [0, (1 + 1) / 1.2, 4, 3], rtol=1e-6)
    assert metric.total.shape == metric.count.shape == (4,)
    with pytest.raises(ValueError, match="expected values of shape"):
        metric.update_state([1, 2])


def test_mean_relative_error():
    metric = metrics.MeanRelativeError(normalizer=[1, 3, 2, 0])
    assert float(metric([1, 3, 2, 3], [2, 4, 6, 8])) == pytest.approx((1 + 1 / 3 + 2 + 0) / 4)
    copy = metrics.MeanRelativeError.from_config(metric.get_config())
    assert float(copy([1, 3, 2, 3], [2, 4, 6, 8])) == pytest.approx(float(metric.result()))


def test_names_are_numbered_where_there_is_no_default():
    from distkeras.keras import backend

    backend.clear_session()
    assert [metrics.AUC().name, metrics.AUC().name] == ["auc", "auc_1"]
    assert metrics.TruePositives().name == "true_positives"
    assert metrics.Mean().name == metrics.Mean().name == "mean"


def test_float64_states():
    metric = metrics.MeanSquaredError(dtype="float64")
    assert metric([[0.0]], [[3.0]]).dtype == "float64" and metric.get_config()["dtype"] == "float64"


def test_a_metric_of_ones_own_merges_and_resets():
    class Largest(metrics.Metric):
        merge = "last"

        def __init__(self, name="largest", **kwargs):
            super().__init__(name=name, **kwargs)
            self.best = self.add_weight("best")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.best.assign(np.float32(np.max(y_pred)))

        def result(self):
            return self.best

    metric = Largest()
    assert float(metric([0.0], [3.0])) == 3.0
    metric.reset_states()
    assert float(metric.result()) == 0.0


def test_top_k_passes_over_what_is_no_number():
    predictions = np.array([[0.1, np.nan, 0.3], [0.5, 0.3, 0.2], [np.inf, 0.0, 0.0]], np.float32)
    assert metrics.sparse_top_k_categorical_accuracy([2, 1, 0], predictions, k=2).numpy().tolist() == [0.0, 1.0, 0.0]
