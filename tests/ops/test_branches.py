from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras._errors import CaptureError, InvalidArgumentError
from distkeras.graph.function import Function
from distkeras.testing import check_grads


def _both(function, *arguments):
    """What a function gives step by step and compiled, which must be the same."""
    compiled = Function(function)
    expected, received = function(*arguments), compiled(*arguments)
    assert not compiled.runs_eagerly
    for want, got in zip(tf.nest.flatten(expected), tf.nest.flatten(received), strict=True):
        np.testing.assert_allclose(got.numpy(), want.numpy(), 1e-6)
    return tf.nest.map_structure(lambda leaf: leaf.numpy().tolist(), received)


X = tf.constant([1.0, -2.0])


@pytest.mark.parametrize("flag, expected", [(True, [2.0, -4.0]), (False, [-1.0, 2.0])])
def test_cond(flag, expected):
    def function(x, flag):
        return tf.cond(flag, lambda: {"y": x * 2.0}, lambda: {"y": -x})

    assert _both(function, X, tf.constant(flag)) == {"y": expected}
    assert function(X, flag)["y"].numpy().tolist() == expected
    assert Function(function)(X, np.bool_(flag))["y"].numpy().tolist() == expected


def test_only_the_chosen_branch_runs():
    """A division by zero in the other one gives no warning, no NaN in the gradient, and no assertion fires."""

    def function(x):
        def refused():
            tf.debugging.assert_positive(x)
            return tf.math.log(x)

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cond(x > 0.0, refused, lambda: x * 3.0)
        return y, tape.gradient(y, x)

    compiled = Function(function)
    assert [t.numpy() for t in compiled(tf.constant(-1.0))] == [-3.0, 3.0]
    assert [t.numpy() for t in compiled(tf.constant(1.0))] == [0.0, 1.0]


def test_branches_that_assign_variables():
    v, w = tf.Variable(1.0), tf.Variable(10.0)

    def function(flag):
        w.assign_add(1.0)

        def first():
            v.assign(w * 2.0)
            return v + 0.0

        def second():
            w.assign(v - 1.0)
            return w + 0.0

        return tf.cond(flag, first, second), v + 0.0, w + 0.0

    states = []
    for run in (function, Function(function)):
        v.assign(1.0)
        w.assign(10.0)
        results = [run(tf.constant(flag)) for flag in (True, False, True)]
        states.append([[t.numpy() for t in result] for result in results] + [v.numpy(), w.numpy()])
    assert states[0] == states[1]
    assert states[0][0] == [22.0, 22.0, 11.0]


def test_gradients_reach_captured_variables_and_constants_that_are_watched():
    v, c = tf.Variable(3.0), tf.constant(5.0)

    def function(x):
        with tf.GradientTape() as tape:
            tape.watch([x, c])
            y = tf.cond(x > 0.0, lambda: x * v * c, lambda: v - c)
        return tape.gradient(y, [x, v, c], unconnected_gradients="zero")

    assert _both(function, tf.constant(2.0)) == [15.0, 10.0, 6.0]
    assert _both(function, tf.constant(-2.0)) == [0.0, 1.0, -1.0]


def test_second_derivatives_and_tapes_outside_of_the_compiled_function():
    @tf.function
    def function(x):
        return tf.cond(tf.reduce_sum(x) > 0.0, lambda: x**3.0, lambda: tf.exp(x))

    check_grads(function, [0.5, 1.0])
    check_grads(function, [-0.5, -1.0])
    assert not function.runs_eagerly

    def second(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = function.python_function(x)
            slope = inner.gradient(y, x)
        return outer.gradient(slope, x)

    np.testing.assert_allclose(_both(second, tf.constant([1.0, 2.0])), [6.0, 12.0])


def test_branches_within_branches():
    def function(x):
        return tf.cond(
            x > 0.0,
            lambda: tf.cond(x > 10.0, lambda: x * 100.0, lambda: x),
            lambda: tf.cond(x < -10.0, lambda: x * 1000.0, lambda: -x),
        )

    for x, y in ((20.0, 2000.0), (5.0, 5.0), (-20.0, -20000.0), (-5.0, 5.0)):
        assert _both(function, tf.constant(x)) == y


@pytest.mark.parametrize("index, expected", [(0, 0.0), (1, 10.0), (2, 20.0), (7, 20.0), (-1, 20.0)])
def test_switch_case(index, expected):
    def function(i):
        return tf.switch_case(i, [lambda n=n: tf.constant(10.0 * n) for n in range(3)])

    assert _both(function, tf.constant(index)) == expected
    with_default = Function(lambda i: tf.switch_case(i, {0: lambda: X, 1: lambda: -X}, default=lambda: X * 0.0))
    assert with_default(tf.constant(5)).numpy().tolist() == [0.0, 0.0]


def test_case():
    def function(x):
        return tf.case([(x > 2.0, lambda: x * 100.0), (x > 1.0, lambda: x * 10.0)], default=lambda: x)

    assert [_both(function, tf.constant(x)) for x in (3.0, 1.5, 0.5)] == [300.0, 15.0, 0.5]
    pairs = [(tf.constant(True), lambda: X), (tf.constant(True), lambda: X)]
    with pytest.raises(InvalidArgumentError, match="one predicate may hold, 2 do"):
        tf.case(pairs, exclusive=True)
    with pytest.raises(InvalidArgumentError, match="none of the predicates holds"):
        tf.case([(tf.constant(False), lambda: X)])


def test_random_numbers_and_dropout_in_a_branch():
    function = Function(lambda flag: tf.cond(flag, lambda: tf.random.normal((3,)), lambda: tf.zeros((3,))))
    draws = [function(tf.constant(True)).numpy() for _ in range(2)]
    assert (draws[0] != draws[1]).all() and not function(tf.constant(False)).numpy().any()


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda x: tf.cond(x > 0.0, x, lambda: x), TypeError, "true_fn must be callable"),
        (lambda x: tf.cond(x > 0.0, lambda: x, None), TypeError, "false_fn must be callable"),
        (
            lambda x: tf.cond(tf.stack([x, x]) > 0.0, lambda: x, lambda: x),
            InvalidArgumentError,
            "pred must be a scalar",
        ),
        (lambda x: tf.switch_case(tf.constant(0), []), TypeError, "expected functions without arguments"),
    ],
)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call(tf.constant(1.0))


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda x: tf.cond(x > 0.0, lambda: (x, x), lambda: x), TypeError, "the same structure of tensors"),
        (lambda x: tf.cond(x > 0.0, lambda: x, lambda: tf.cast(x, "int32")), TypeError, "tensors of the same types"),
        (lambda x: tf.cond(x > 0.0, lambda: x, lambda: None), TypeError, "tensors of the same types"),
        (lambda x: tf.switch_case(tf.cast(x, "int32"), {1: lambda: x}), ValueError, r"must be 0, 1, 2"),
    ],
)
def test_bad_branches_are_refused_while_tracing(call, error, match):
    with pytest.raises(error, match=match):
        Function(call)(tf.constant(1.0))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: tf.cond(x > 0.0, lambda: tf.stack([x, x]), lambda: x),
        lambda x: tf.case([(x > 0.0, lambda: x)]),
    ],
)
def test_what_cannot_be_one_equation_runs_step_by_step(call):
    function = Function(call)
    with pytest.warns(UserWarning, match="runs step by step"):
        result = function(tf.constant(1.0))
    np.testing.assert_array_equal(result.numpy(), call(tf.constant(1.0)).numpy())


def test_an_optimizers_step_cannot_be_in_a_branch():
    v = tf.Variable(1.0)
    optimizer = tf.keras.optimizers.SGD(0.1)
    optimizer.apply_gradients([(tf.constant(0.0), v)])

    def function(x):
        tf.cond(x > 0.0, lambda: optimizer.apply_gradients([(x, v)]) or x, lambda: x)
        return x

    with pytest.warns(UserWarning, match="cannot be part of a branch or loop"):
        Function(function)(tf.constant(1.0))
    assert abs(v.numpy() - 0.9) < 1e-6
    with pytest.raises(CaptureError, match="Decide in Python"):
        Function(function).get_concrete_function(tf.TensorSpec(()))
