"""Host calls applied at once; how plans run them is tested with the graph."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras.core.host import HostCall, host_call
from distkeras.core.spec import TensorSpec


def test_inputs_are_put_in_place_then_announced_then_run_is_called():
    events, pins = [], [np.zeros(2, np.float32), np.zeros((), np.float64)]

    def run(total, count):
        events.append("run")
        total[...] = pins[0].sum() + pins[1]
        count[...] = 2

    host = HostCall(
        "sum",
        run,
        pins=pins,
        ready=[([1], lambda: events.append(("one", float(pins[1])))), ([0, 1], lambda: events.append("both"))],
        output_specs=[TensorSpec(()), TensorSpec((), "int64")],
    )
    total, count = host_call(host, tf.constant([1.0, 2.0]), tf.constant(4.0, "float64"))
    assert events == [("one", 4.0), "both", "run"]
    assert total.numpy() == 7.0 and count.numpy() == 2 and count.dtype == tf.int64


def test_a_host_call_without_outputs():
    seen = []
    assert host_call(HostCall("log", lambda: seen.append(1))) == ()
    assert seen == [1]


@pytest.mark.parametrize("wrong", [tf.constant([1.0]), tf.constant([1, 2])])
def test_an_input_that_does_not_fit_its_place_is_refused(wrong):
    host = HostCall("update", lambda: None, pins=[np.zeros(2, np.float32)])
    with pytest.raises(ValueError, match=r"update: expected a tensor of shape \(2,\) and type float32"):
        host_call(host, wrong)
