"""Variables in plans: what is read is the value at that point of the function, wherever it lies, whoever changes it."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras.core.arena import Arena, Layout
from distkeras.core.host import HostCall, host_call
from distkeras.graph.function import Function
from tests.graph.interpreted import interpreted_kernels

pytestmark = pytest.mark.usefixtures(interpreted_kernels.__name__)


def _old_value_after_assign(v, w, x):
    old = v.value()
    v.assign(x)
    return old + w, v * 2.0


def _read_between_two_assigns(v, w, x):
    v.assign(x)
    middle = v.value()
    v.assign(middle + w)
    return middle * 1.0, v.value()


def _swap(v, w, x):
    old = v.value()
    v.assign(w)
    w.assign(old)
    return ()


def _assign_itself(v, w, x):
    v.assign(v)
    v.assign(ops.reverse(v, [0]))
    v.assign_add(v)
    return v.value()


def _old_value_long_after(v, w, x):
    old = v.value()
    v.assign_add(x)
    w.assign_sub(v)
    v.assign(w * v)
    return old * v, ops.reduce_sum(old)


def _return_variable_then_change_it(v, w, x):
    result = v.value()
    shown = ops.reshape(v, (1, 3))
    v.assign(x)
    w.assign_add(x)
    return result, shown


def _assign_a_constant(v, w, x):
    v.assign([7.0, 8.0, 9.0])
    y = v * x
    v.assign(v + 1.0)
    return y


def _never_read(v, w, x):
    v.assign(x)
    v.assign(x * 2.0)
    return x


def _changed_by_a_host_call(v, w, x):
    old = v.value()
    early = v + x

    def change():
        v._array += 10

    host_call(HostCall("change", change, writes=[v]))
    return early, old, v.value(), v + old


def _host_call_between_assigns(v, w, x):
    v.assign(x)

    def change():
        v._array *= 3
        w._array += v._array

    host_call(HostCall("change", change, writes=[v, w]))
    middle = v + w
    v.assign(middle)
    return middle, v.value()


def _host_call_takes_the_variable_it_changes(v, w, x):
    place = np.zeros(3, np.float32)

    def change():
        v._array[:] = place + 1

    host_call(HostCall("change", change, pins=[place], writes=[v]), v.value())
    return v.value(), w.value()


HAZARDS = [
    _old_value_after_assign, _read_between_two_assigns, _swap, _assign_itself, _old_value_long_after,
    _return_variable_then_change_it, _assign_a_constant, _never_read, _changed_by_a_host_call,
    _host_call_between_assigns, _host_call_takes_the_variable_it_changes,
]  # fmt: skip


@pytest.mark.parametrize("hazard", HAZARDS)
def test_compiled_as_eagerly(hazard):
    results = []
    for compile in (False, True):
        v, w = tf.Variable([1.0, 2.0, 3.0]), tf.Variable([10.0, 20.0, 30.0])
        function = Function(lambda x, v=v, w=w: hazard(v, w, x)) if compile else lambda x, v=v, w=w: hazard(v, w, x)
        trail = []
        for x in ([5.0, 6.0, 7.0], [-1.0, 0.0, 1.0]):
            out = function(tf.constant(x))
            out = out if isinstance(out, tuple) else (out,)
            trail += [[tensor.numpy().tolist() for tensor in out], v.numpy().tolist(), w.numpy().tolist()]
        results.append(trail)
    assert results[0] == results[1]


def test_a_variable_is_used_where_it_lies_unless_its_old_value_is_wanted():
    v = tf.Variable([1.0, 2.0, 3.0])

    def reads(x):
        return x * v

    def keeps_old(x):
        old = v.value()
        v.assign(x)
        return old * x

    x = tf.constant([1.0, 1.0, 1.0])
    for function, in_place in ((reads, True), (keeps_old, False)):
        plan = Function(function).get_concrete_function(x).plan
        arrays = [argument for _, arguments in plan.calls[-1:] for argument in arguments]
        assert any(np.shares_memory(array, v._array) for array in arrays) == in_place


def test_results_do_not_change_when_the_variable_does():
    v = tf.Variable([1.0, 2.0])
    function = Function(lambda: v.value())
    first = function()
    v.assign([5.0, 6.0])
    assert first.numpy().tolist() == [1.0, 2.0] and function().numpy().tolist() == [5.0, 6.0]


def test_a_plan_is_made_anew_when_a_variable_moves():
    v = tf.Variable([1.0, 2.0])

    def double(x):
        v.assign_add(x)
        return v * 2.0

    function = Function(double)
    x = tf.constant([1.0, 1.0])
    version = function.get_concrete_function(x)
    assert function(x).numpy().tolist() == [4.0, 6.0]
    arena = Arena(Layout([(2,)], "float32"))
    v.relocate(arena.views[0])
    assert not version.plan.is_current
    assert version(x).numpy().tolist() == [6.0, 8.0] and version.plan.is_current
    assert function(x).numpy().tolist() == [8.0, 10.0]
    assert arena.flat[:2].tolist() == [4.0, 5.0]


def test_a_variable_that_was_assigned_is_another_source_than_what_was_assigned():
    def function(x):
        v, w = variables
        with tf.GradientTape() as tape:
            tape.watch(x)
            v.assign(x * 2.0)
            w.assign(v)
            y = ops.reduce_sum(v * v + w)
        return tape.gradient(y, [x, v, w], unconnected_gradients="zero")

    variables = tf.Variable([2.0]), tf.Variable([3.0])
    for run in (function, Function(function)):
        assert [part.numpy().tolist() for part in run(tf.constant([3.0]))] == [[0.0], [12.0], [1.0]]


def test_what_was_read_before_a_tape_is_a_constant_to_it():
    v = tf.Variable([2.0])

    def function():
        old = v.value()
        with tf.GradientTape() as tape:
            y = v * old
        return tape.gradient(y, v)

    assert function().numpy().tolist() == Function(function)().numpy().tolist() == [2.0]
