from __future__ import annotations

import numpy as np

import distkeras as tf
from distkeras import ops
from distkeras.core.host import HostCall, host_call
from distkeras.core.random_state import step_state
from distkeras.core.spec import TensorSpec
from distkeras.graph.passes import fold_constants, merge_common, remove_dead, rewrite, simplify
from distkeras.graph.trace import trace


def _trace(function, *shapes):
    return trace(function, [TensorSpec(shape) for shape in shapes])[0]


def _names(graph):
    return [equation.primitive.name for equation in graph.equations]


def test_folding_computes_what_depends_on_constants():
    v = tf.Variable([0.0, 0.0])

    def function(x):
        v.assign([1.0, 2.0])
        return ops.exp(v) + x

    graph = fold_constants(_trace(function, (2,))).check()
    assert _names(graph) == ["assign_variable", "add"]
    folded = graph.constants[graph.equations[1].inputs[0]]
    np.testing.assert_allclose(folded.numpy(), np.exp([1.0, 2.0]), 1e-6)


def test_folding_leaves_what_would_become_large():
    v = tf.Variable(1.0)

    def function(x):
        v.assign(2.0)
        return ops.broadcast_to(v, (300, 300)) + x

    assert "broadcast_to" in _names(fold_constants(_trace(function, ())))


def test_equal_expressions_are_computed_once():
    def function(x, y):
        return (x + y) * (x + y), ops.reduce_sum(x, 0) + ops.reduce_sum(x, 0), ops.reduce_sum(x, 1)

    graph = merge_common(_trace(function, (3, 3), (3, 3))).check()
    assert _names(graph) == ["add", "multiply", "reduce_sum", "add", "reduce_sum"]


def test_reading_before_and_after_a_change_is_not_the_same():
    v = tf.Variable(1.0)

    def function(x):
        before = v + x
        host_call(HostCall("change", lambda: v._array.fill(5), writes=[v]))
        return before, v + x

    graph = merge_common(_trace(function, ()))
    assert _names(graph) == ["read_variable", "add", "host_call", "read_variable", "add"]


def test_effects_are_neither_merged_nor_removed_and_stay_in_order():
    v, log = tf.Variable(1.0), []
    print_it = HostCall("log", lambda: log.append(1))

    def function(x):
        host_call(print_it)
        v.assign(x)
        host_call(print_it)
        v.assign(x)
        return x

    graph = simplify(_trace(function, ()))
    assert _names(graph) == ["host_call", "assign_variable"] * 2


def test_what_nothing_needs_is_left_out():
    v = tf.Variable(1.0)

    def function(x, y):
        ops.exp(x)
        x + v
        step_state()
        return y * 2

    graph = remove_dead(_trace(function, (), ())).check()
    assert _names(graph) == ["multiply"] and len(graph.constants) == 1 and graph.random_state is None
    assert len(graph.inputs) == 2  # a signature does not change


def test_rewrites_follow_each_other_and_keep_the_graph_sound():
    def function(x, w, b):
        hidden = ops.relu(ops.matmul(x, w) + b)
        return hidden, ops.relu(ops.matmul(hidden, w) + b)

    graph = rewrite(_trace(function, (2, 3), (3, 3), (3,))).check()
    assert _names(remove_dead(graph)) == ["affine", "affine"]
    assert all(equation.params["relu"] for equation in remove_dead(graph).equations)


def test_passes_leave_the_graph_they_are_given_alone():
    graph = _trace(lambda x: ops.relu(x + x) * (x + x), (2,))
    before = str(graph)
    simplify(graph)
    assert str(graph) == before
