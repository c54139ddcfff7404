from __future__ import annotations

import sys

import numpy as np
import pytest

import distkeras as tf
from distkeras._errors import InvalidArgumentError
from distkeras.graph.function import Function
from distkeras.testing import check_grads

# --- custom_gradient


@tf.custom_gradient
def doubled_gradient(x, y):
    e = tf.exp(x) * y
    return (e, {"sum": x + y}), lambda de, ds: [2.0 * de * e + ds, 2.0 * de * tf.exp(x) + ds]


def test_the_derivative_is_the_one_given():
    x, y = tf.constant(1.0), tf.constant(3.0)

    def function(x, y):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            e, rest = doubled_gradient(x, y)
        return e, tape.gradient([e, rest], [x, y])

    for run in (function, Function(function)):
        e, gradients = run(x, y)
        np.testing.assert_allclose(e.numpy(), 3 * np.e, 1e-6)
        np.testing.assert_allclose([g.numpy() for g in gradients], [6 * np.e + 1, 2 * np.e + 1], 1e-6)


def test_second_derivatives_go_through_the_given_one():
    @tf.custom_gradient
    def cubed(x):
        square = x * x
        return square * x, lambda dy: dy * 3.0 * square

    check_grads(cubed, [0.5, -2.0], order=3)
    compiled = Function(cubed)
    check_grads(compiled, [0.5, -2.0], order=3)
    assert not compiled.runs_eagerly


def test_variables_get_their_gradients_from_it():
    v = tf.Variable(2.0)

    @tf.custom_gradient
    def scaled(x):
        def grad_fn(dy, variables=None):
            assert len(variables) == 1 and variables[0] is v
            return dy * 10.0, [dy * 100.0]

        return x * v, grad_fn

    def function(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = scaled(x) * 2.0
        return tape.gradient(y, [x, v])

    for run in (function, Function(function)):
        assert [g.numpy() for g in run(tf.constant(3.0))] == [20.0, 200.0]

    @tf.custom_gradient
    def forgetful(x):
        return x * v, lambda dy: dy

    with pytest.raises(TypeError, match="must accept a 'variables' keyword argument"):
        forgetful(tf.constant(1.0))


@pytest.mark.parametrize(
    "function, error, match",
    [
        (lambda x: x, TypeError, "must return \\(results, grad_fn\\)"),
        (lambda x: (x * 1.0, lambda dy: [dy, dy]), ValueError, "must give 1 gradients for arguments"),
    ],
)
def test_bad_custom_gradients(function, error, match):
    x = tf.constant(1.0)
    with pytest.raises(error, match=match), tf.GradientTape() as tape:
        tape.watch(x)
        tape.gradient(tf.custom_gradient(function)(x), x)


# --- Python functions


def test_numpy_functions_are_given_scalars_and_bytes():
    seen = []
    inputs = [tf.constant("a"), tf.constant(["b", b"c"]), tf.constant(2), tf.constant([3.0])]
    tf.numpy_function(lambda *arguments: seen.extend(arguments), inputs, [])
    assert seen[0] == b"a" and seen[1].tolist() == [b"b", b"c"]
    assert type(seen[2]) is np.int32 and seen[3].dtype == np.float32


def test_numpy_and_python_functions():
    x = tf.constant([1.0, 4.0])
    assert tf.numpy_function(np.sqrt, [x], tf.float32).numpy().tolist() == [1.0, 2.0]
    both = tf.numpy_function(lambda a, b: (a + b, len(a)), [x, x], [tf.float32, tf.int64])
    assert both[0].numpy().tolist() == [2.0, 8.0] and both[1].dtype is tf.int64
    assert tf.numpy_function(lambda a: None, [x], []) == []
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.py_function(lambda a: a * a if float(a[0]) > 0 else a, [x], tf.float32)
    assert tape.gradient(y, x).numpy().tolist() == [2.0, 8.0]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.numpy_function(np.square, [x], tf.float32)
    assert tape.gradient(y, x) is None


def test_an_array_that_a_function_changes_is_its_own():
    x = tf.constant([1.0, 4.0])
    tf.numpy_function(lambda a: a.sort() or np.negative(a, out=a), [x], tf.float32)
    assert x.numpy().tolist() == [1.0, 4.0]


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda x: tf.numpy_function(np.sqrt, [x], tf.float64), "a result has dtype float32, Tout says float64"),
        (lambda x: tf.py_function(lambda a: (a, a), [x], [tf.float32]), "1 results were announced by Tout, 2 came"),
    ],
)
def test_results_that_are_not_as_announced(call, match):
    with pytest.raises(InvalidArgumentError, match=match):
        call(tf.constant([1.0]))


def test_a_traced_function_that_calls_python_runs_step_by_step():
    function = Function(lambda x: tf.numpy_function(np.sqrt, [x * 4.0], tf.float32))
    with pytest.warns(UserWarning, match="the shape of what sqrt gives is not known"):
        assert function(tf.constant([4.0])).numpy().tolist() == [4.0]


# --- print: the texts are TensorFlow's


@pytest.mark.parametrize(
    "values, options, text",
    [
        (("x", tf.constant([1, 2, 3])), {}, "x [1 2 3]\n"),
        ((tf.constant(1.0), tf.constant(0.1), tf.constant(3.14159274)), {}, "1 0.1 3.14159274\n"),
        ((tf.constant(0.1, tf.float64), tf.constant(1 / 3, tf.float64)), {}, "0.1 0.33333333333333331\n"),
        ((tf.range(10),), {}, "[0 1 2 ... 7 8 9]\n"),
        ((tf.range(10),), {"summarize": 1}, "[0 ... 9]\n"),
        ((tf.range(8),), {"summarize": -1}, "[0 1 2 3 4 5 6 7]\n"),
        ((tf.constant([[1.5, 2.0], [3.0, 4.0]]),), {}, "[[1.5 2]\n [3 4]]\n"),
        ((tf.reshape(tf.range(8), (2, 2, 2)),), {}, "[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]\n"),
        (("a", 1, None, True), {"sep": "|", "end": "."}, "a|1|None|True."),
        (({"b": tf.constant(1), "a": [tf.constant(2.5), "s"]},), {}, "{'a': [2.5, 's'], 'b': 1}\n"),
        ((tf.constant([True, False]), tf.constant("text")), {}, "[1 0] text\n"),
        (((tf.constant(1), 2),), {}, "(1, 2)\n"),
    ],
)
def test_print(capsys, values, options, text):
    tf.print(*values, **options)
    assert capsys.readouterr().err == text
    tf.print(*values, output_stream=sys.stdout, **options)
    assert capsys.readouterr().out == text


def test_a_compiled_function_prints_each_time_it_runs(capsys, tmp_path):
    @tf.function
    def function(x):
        tf.print("x =", x)
        tf.print(tf.cond(x > 1.0, lambda: x * 2.0, lambda: x), output_stream=f"file://{tmp_path}/log")
        return x

    for value in (1.0, 2.0):
        function(tf.constant(value))
    assert capsys.readouterr().err == "x = 1\nx = 2\n"
    assert (tmp_path / "log").read_text() == "1\n4\n"


def test_what_is_printed_in_a_branch_is_printed_once(capsys):
    @tf.function
    def function(x):
        def printing():
            tf.print("here")
            return x * 2.0

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cond(x > 0.0, printing, lambda: x)
        return tape.gradient(y, x)

    assert function(tf.constant(1.0)).numpy() == 2.0
    assert capsys.readouterr().err == "here\n"


def test_bad_print_arguments():
    with pytest.raises(ValueError, match="Unrecognized keyword arguments for tf.print: \\['file'\\]"):
        tf.print("x", file=sys.stdout)
    with pytest.raises(ValueError, match="output_stream must be a stream or"):
        tf.print("x", output_stream="log.txt")
