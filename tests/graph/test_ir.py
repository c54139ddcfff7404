"""Graphs and how they are traced: printing, checking, constants, inference."""

from __future__ import annotations

import re

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras._errors import CaptureError
from distkeras.core.primitive import PRIMITIVES
from distkeras.core.spec import TensorSpec
from distkeras.graph.ir import Equation, Graph, Value
from distkeras.graph.trace import infer, trace


def _trace(function, *shapes):
    return trace(function, [TensorSpec(shape) for shape in shapes])[0]


def test_a_graph_is_printed_with_names_shapes_types_and_parameters():
    v = tf.Variable(np.ones(3, np.float32), name="scale")

    def function(x):
        v.assign_add([1.0, 1.0, 1.0])
        return ops.reduce_sum(x * v, axis=1)

    text = str(_trace(function, (2, 3)))
    ids = {found: f"%{number}" for number, found in enumerate(dict.fromkeys(re.findall(r"%\d+", text)))}
    assert re.sub(r"%\d+", lambda match: ids[match.group()], text).splitlines() == [
        "%0: float32[2, 3] = input",
        "%1: float32[3] = constant",
        "%2: float32[3] = read_variable[variable=scale:0 version=0]",
        "%3: float32[3] = add %2 %1",
        "() = assign_variable[variable=scale:0] %3",
        "%4: float32[2, 3] = multiply %0 %3",
        "%5: float32[2] = reduce_sum[axes=(1,) keepdims=False] %4",
        "return %5",
    ]


def test_check_finds_what_is_wrong():
    spec = TensorSpec((2,))
    a, b, c = Value(spec), Value(spec), Value(spec)
    negative = PRIMITIVES["negative"]
    Graph([a], [b], [Equation(negative, (a,), {}, (b,))]).check()
    with pytest.raises(AssertionError, match="is used before it is given"):
        Graph([a], [b], [Equation(negative, (c,), {}, (b,))]).check()
    with pytest.raises(AssertionError, match="is given twice"):
        Graph([a], [b], [Equation(negative, (a,), {}, (b,)), Equation(negative, (a,), {}, (b,))]).check()
    with pytest.raises(AssertionError, match="is never given"):
        Graph([a], [c], []).check()


def test_what_depends_on_no_input_is_computed_while_tracing():
    graph = _trace(lambda x: x + ops.exp(ops.constant(0.0)) * 3, ())
    assert [equation.primitive.name for equation in graph.equations] == ["add"]
    assert [float(tensor) for tensor in graph.constants.values()] == [3.0]


def test_one_tensor_is_one_constant():
    c = tf.constant([1.0, 2.0])
    assert len(_trace(lambda x: x * c + c, (2,)).constants) == 1


def test_the_structure_of_the_results_is_kept():
    def function(x, options):
        return {"y": [x * options["scale"], None], "name": "result", "shape": x.shape}

    graph, structure = trace(function, [TensorSpec((2,)), {"scale": 3.0}])
    assert structure == {"y": [TensorSpec((2,)), None], "name": "result", "shape": (2,)} and len(graph.outputs) == 1


# --- infer


def test_infer_gives_specs_and_computes_nothing():
    calls = []

    def function(x, w):
        calls.append(x)
        return {"product": ops.matmul(x, w), "hits": ops.argmax(x, -1)}

    result = infer(function, TensorSpec((7, 3)), TensorSpec((3, 5)))
    assert result == {"product": TensorSpec((7, 5)), "hits": TensorSpec((7,), "int64")} and len(calls) == 1
    for batch in (0, 1, 64):
        assert infer(function, TensorSpec((batch, 3)), TensorSpec((3, 5)))["product"].shape == (batch, 5)


def test_infer_creates_variables_for_real():
    made = []

    def function(x):
        made.append(tf.Variable(np.ones((x.shape[-1], 2), np.float32)))
        return ops.matmul(x, made[0])

    assert infer(function, TensorSpec((4, 3))).shape == (4, 2)
    assert made[0].numpy().shape == (3, 2)


def test_infer_changes_no_variable():
    v = tf.Variable(1.0)

    def function(x):
        v.assign(x)
        return v.value()

    infer(function, TensorSpec(()))
    assert v.numpy() == 1.0


def test_bad_shapes_are_found_while_inferring():
    with pytest.raises(ValueError, match="Matrix size-incompatible"):
        infer(ops.matmul, TensorSpec((4, 3)), TensorSpec((2, 5)))


def test_sizes_have_to_be_known():
    with pytest.raises(ValueError, match=r"traced for known sizes, received TensorSpec\(shape=\(None, 3\)"):
        infer(ops.square, TensorSpec((None, 3)))


def test_a_symbol_has_no_place_in_another_trace():
    kept = []
    infer(lambda x: kept.append(x * 1) or x, TensorSpec((2,)))
    with pytest.raises(CaptureError, match="made while another function was traced"):
        infer(lambda x: x + kept[0], TensorSpec((2,)))
    with pytest.raises(CaptureError, match="has no value yet"):
        kept[0] + 1.0


def test_what_a_symbol_shows():
    def function(x):
        assert re.fullmatch(r"<tf.Tensor '%\d+:0' shape=\(2, 3\) dtype=float32>", repr(x))
        assert re.fullmatch(r'Tensor\("%\d+:0", shape=\(2, 3\), dtype=float32\)', str(x))
        assert x.name.endswith(":0") and x.shape == (2, 3) and x.dtype == tf.float32 and len(x) == 2
        x.set_shape([2, None])
        return x

    infer(function, TensorSpec((2, 3)))
