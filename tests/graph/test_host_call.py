"""Host calls in plans: inputs are written where they are wanted, announced as early as can be, and nobody steps on
anybody's memory."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras.core.host import HostCall, host_call
from distkeras.core.spec import TensorSpec
from distkeras.graph.function import Function
from distkeras.graph.plan import Plan
from distkeras.graph.trace import trace
from tests.graph.interpreted import interpreted_kernels

pytestmark = pytest.mark.usefixtures(interpreted_kernels.__name__)


def _plan(function, *arguments):
    arrays = [np.asarray(argument, np.float32) for argument in arguments]
    plan = Plan(trace(function, [TensorSpec(array.shape) for array in arrays])[0])
    for buffer, array in zip(plan.inputs, arrays, strict=True):
        np.copyto(buffer, array)
    return plan


def _copies(plan):
    return [arguments for function, arguments in plan.calls if function is np.copyto]


def test_a_result_is_written_straight_to_where_it_is_wanted():
    pins, seen = [np.zeros(3, np.float32), np.zeros((2, 3), np.float32)], []

    def function(x):
        host = HostCall("update", lambda: seen.append([pin.tolist() for pin in pins]), pins=pins)
        host_call(host, ops.reduce_sum(x * 2.0, 0), ops.reshape(ops.transpose(x), (2, 3)))

    plan = _plan(function, [[1, 2, 3], [4, 5, 6]])
    assert not _copies(plan)  # the transposition is a kernel, whose last argument is where it writes
    assert any(arguments and np.shares_memory(arguments[-1], pins[1]) for _, arguments in plan.calls)
    plan.run()
    assert seen == [[[10, 14, 18], [[1, 4, 2], [5, 3, 6]]]]
    written = [argument for _, arguments in plan.calls for argument in arguments if isinstance(argument, np.ndarray)]
    assert all(any(np.shares_memory(array, pin) for array in written) for pin in pins)


def test_inputs_constants_and_variables_are_copied():
    pins, v = [np.zeros(2, np.float32) for _ in range(4)], tf.Variable([5.0, 6.0])

    def function(x):
        y = x * 3.0
        host_call(HostCall("update", lambda: None, pins=pins), x, ops.constant([7.0, 8.0]), v.value(), y)
        return y  # is an output too: not to be handed over

    plan = _plan(function, [1, 2])
    plan.run()
    assert [pin.tolist() for pin in pins] == [[1, 2], [7, 8], [5, 6], [3, 6]]
    pins[3][:] = 0
    assert plan.outputs[0].tolist() == [3, 6]


def test_one_value_at_two_places():
    pins = [np.zeros(2, np.float32) for _ in range(2)]

    def function(x):
        y = x * 3.0
        host_call(HostCall("update", lambda: None, pins=pins), y, y)

    plan = _plan(function, [1, 2])
    plan.run()
    assert [pin.tolist() for pin in pins] == [[3, 6], [3, 6]] and len(_copies(plan)) == 1


def test_readiness_is_announced_before_the_call_and_as_early_as_can_be():
    events, pins = [], [np.zeros((), np.float32) for _ in range(3)]

    def announce(name, *numbers):
        return numbers, lambda: events.append((name, [float(pins[i]) for i in numbers]))

    def function(x):
        first = ops.reduce_sum(x)
        second = ops.reduce_max(x)
        host_call(HostCall("log", lambda: events.append("between")))
        third = ops.reduce_min(x)
        ready = [announce("last", 2), announce("first", 0), announce("both", 1, 0), announce("none")]
        host_call(HostCall("update", lambda: events.append("run"), pins=pins, ready=ready), first, second, third)

    plan = _plan(function, [1, 2, 4])
    plan.run()
    assert events == [("first", [7]), ("both", [4, 7]), "between", ("last", [1]), ("none", []), "run"]
    order = [function for function, _ in plan.calls]
    assert order.index(plan.calls[-1][0]) == len(order) - 1


def test_a_callback_that_changes_its_input_waits_for_all_who_read_it():
    """Reduction over ranks overwrites a gradient: not before its norm, computed in the function, has read it."""
    pin, results = np.zeros(3, np.float32), []

    def spoil():
        pin[:] = -1

    def function(x):
        gradient = x * 2.0
        y = ops.reduce_max(x)
        norm = ops.reduce_sum(gradient * y)
        host_call(HostCall("update", lambda: results.append(pin.tolist()), pins=[pin], ready=[([0], spoil)]), gradient)
        return norm

    plan = _plan(function, [1, 2, 3])
    plan.run()
    assert plan.outputs[0] == 36 and results == [[-1, -1, -1]]


def test_one_arena_used_by_two_calls_of_a_function():
    """Both gradients are computed before either is applied: the second must not be written over the first."""
    pin, seen = np.zeros(3, np.float32), []

    def function(x):
        first, second = x * 2.0, ops.reverse(x, [0])
        copied = x + 0.0
        for value in (first, second, copied, x):
            ready = [([0], lambda: seen.append("ready"))]
            host_call(HostCall("update", lambda: seen.append(pin.tolist()), pins=[pin], ready=ready), value)
        return copied

    plan = _plan(function, [1, 2, 3])
    for _ in range(2):
        seen.clear()
        plan.run()
        assert seen == ["ready", [2, 4, 6], "ready", [3, 2, 1], "ready", [1, 2, 3], "ready", [1, 2, 3]]


def test_outputs_of_a_host_call():
    pin = np.zeros(2, np.float32)

    def double(total, flag):
        total[...] = pin.sum()
        flag[...] = True

    def function(x):
        host = HostCall("sum", double, pins=[pin], output_specs=[TensorSpec(()), TensorSpec((1,), "bool")])
        total, flag = host_call(host, x)
        return total * 2.0, flag

    total, flag = Function(function)(tf.constant([1.0, 2.0]))
    assert total.numpy() == 6.0 and flag.numpy().tolist() == [True]


def test_a_tape_around_a_function_runs_its_host_calls_too():
    pin, seen = np.zeros(2, np.float32), []

    @tf.function
    def function(x):
        host_call(HostCall("log", lambda: seen.append(pin.tolist()), pins=[pin]), x * 2.0)
        return x * x

    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    assert tape.gradient(y, x).numpy().tolist() == [2.0, 4.0] and seen == [[2.0, 4.0]]


def test_a_host_call_is_made_at_every_call_even_without_inputs():
    seen = []
    function = Function(lambda: host_call(HostCall("log", lambda: seen.append(1))))
    for _ in range(3):
        function()
    assert len(seen) == 3


class Making(HostCall):
    """Notes which parts of its outputs are read."""

    def calls(self, outputs, parts):
        self.parts = list(parts)
        return super().calls(outputs, parts)


def test_who_makes_a_value_is_told_which_parts_are_read_if_nobody_else_reads_it():
    pins, some = [np.zeros(4, np.float32) for _ in range(4)], [slice(1, 3)]
    spec = TensorSpec((4,), "float32")
    making = Making("make", lambda *outputs: None, output_specs=[spec] * 5)
    taking = HostCall("take", lambda: None, pins=pins, reads=dict.fromkeys(range(3), some))

    def function(x):
        one, looked_at, given_back, whole, unused = host_call(making)
        seen = ops.reduce_sum(looked_at)
        host_call(taking, one, looked_at, given_back, whole)
        return seen, given_back

    plan = _plan(function, [1])
    assert making.parts == [some, None, None, None, None]
    plan.run()
