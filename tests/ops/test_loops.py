from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras._errors import CaptureError, InvalidArgumentError
from distkeras.graph.function import Function
from distkeras.testing import check_compiled, check_grads


def _steps_of(compiled):
    """The names of the primitives in a compiled function's only version."""
    (version,) = compiled._versions.values()
    return [equation.primitive.name for equation in version.graph.equations]


def _power(x, n):
    """x ** (n + 1), in n rounds."""
    return tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * x), (0, x))[1]


def test_rounds_that_depend_on_a_tensor_are_one_equation():
    compiled = Function(_power)
    for n in (0, 1, 4):
        assert compiled(tf.constant([2.0, 3.0]), tf.constant(n)).numpy().tolist() == [2.0 ** (n + 1), 3.0 ** (n + 1)]
    assert "while" in _steps_of(compiled) and len(compiled._versions) == 1


def test_rounds_that_are_known_are_unrolled():
    compiled = Function(lambda x: _power(x, 4))
    assert compiled(tf.constant(2.0)).numpy() == 32.0
    assert "while" not in _steps_of(compiled) and _steps_of(compiled).count("multiply") == 4


@pytest.mark.parametrize("n", [0, 1, 5])
def test_derivatives_of_a_loop_that_is_one_equation(n):
    v = tf.Variable([1.5, 0.5])

    def function(x, n):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.while_loop(lambda i, y, s: i < n, lambda i, y, s: (i + 1, y * v + x, s + y), (0, x, x * 0.0))
        return y, tape.gradient(y[1:], [x, v], unconnected_gradients="zero")

    check_compiled(function, np.float32([2.0, -1.0]), np.int32(n), gradients=False, batched=())
    compiled = Function(function)
    compiled(tf.constant([1.0, 2.0]), tf.constant(3))
    assert "while_gradient" in _steps_of(compiled)


def test_tapes_outside_of_the_compiled_function_see_into_the_loop():
    compiled = Function(_power)
    check_grads(lambda x: compiled(x, tf.constant(3)), [0.5, 1.5])


def test_second_derivatives_inside_run_step_by_step():
    def function(x, n):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = _power(x, n)
            slope = inner.gradient(y, x)
        return outer.gradient(slope, x)

    with pytest.warns(UserWarning, match="second derivative of a tf.while_loop"):
        assert Function(function)(tf.constant(2.0), tf.constant(3)).numpy() == 48.0
    assert Function(lambda x: function(x, 3))(tf.constant(2.0)).numpy() == 48.0  # unrolled


def test_a_first_derivative_inside_and_a_tape_outside():
    def slope(x, n):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = _power(x, n)
        return tape.gradient(y, x)

    compiled = Function(slope)
    check_grads(lambda x: compiled(x, tf.constant(3)), 1.5, order=1)
    assert not compiled.runs_eagerly


def test_variables_that_the_body_assigns():
    v = tf.Variable(0.0)

    def function(n):
        def body(i):
            v.assign_add(tf.cast(i, "float32"))
            return (i + 1,)

        tf.while_loop(lambda i: tf.logical_and(i < n, v < 100.0), body, (0,))
        return v + 0.0

    compiled = Function(function)
    assert compiled(tf.constant(5)).numpy() == 10.0 == v.numpy()
    assert compiled(tf.constant(1000)).numpy() == v.numpy() == 101.0


def test_random_numbers_differ_from_round_to_round():
    def function(n):
        array = tf.TensorArray(tf.float32, size=4, element_shape=(3,))
        return tf.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, a.write(i, tf.random.uniform((3,)))), (0, array))[
            1
        ].stack()

    compiled = Function(function)
    first, second = compiled(tf.constant(4)).numpy(), compiled(tf.constant(4)).numpy()
    assert not compiled.runs_eagerly
    assert len(np.unique(np.concatenate([first, second]))) == 24


def _fill(x, n):
    array = tf.TensorArray(tf.float32, 3)
    return tf.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, a.write(i, x[i])), (0, array))[0]


def test_arrays_carried_by_a_loop_that_is_one_equation():
    def function(x, n):
        array = tf.TensorArray(tf.float32, size=3, element_shape=(2,), clear_after_read=False)
        last = tf.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, a.write(i, x[i] * 2.0)), (0, array))[1]
        return last.stack(), last.read(n - 1)

    x = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    compiled = Function(function)
    whole, last = compiled(x, tf.constant(2))
    assert not compiled.runs_eagerly
    assert whole.numpy().tolist() == [[2.0, 4.0], [6.0, 8.0], [0.0, 0.0]] and last.numpy().tolist() == [6.0, 8.0]
    with pytest.warns(UserWarning, match="needs a fixed size and an element_shape"):
        assert Function(_fill)(x, tf.constant(2)).numpy() == 2


def test_loops_within_loops_and_branches():
    def function(n):
        def row(i, total):
            inner = tf.while_loop(lambda j, t: j < i, lambda j, t: (j + 1, t + j), (0, total))[1]
            return i + 1, tf.cond(i > 2, lambda: inner, lambda: total)

        return tf.while_loop(lambda i, t: i < n, row, (0, 0))[1]

    compiled = Function(function)
    for n in (2, 4, 6):
        assert compiled(tf.constant(n)).numpy() == sum(sum(range(i)) for i in range(3, n))


def test_values_may_change_places_in_a_round():
    compiled = Function(
        lambda n: tf.while_loop(lambda i, a, b: i < n, lambda i, a, b: (i + 1, b, a), (0, 1.0, 2.0))[1:]
    )
    assert [t.numpy() for t in compiled(tf.constant(3))] == [2.0, 1.0]


def test_maximum_iterations_and_structures():
    def function(x, n):
        return tf.while_loop(
            lambda state: tf.reduce_sum(state["x"]) < n, lambda state: [{"x": state["x"] * 2.0}], [{"x": x}],
            maximum_iterations=3)[0]["x"]  # fmt: skip

    for run in (function, Function(function)):
        assert run(tf.constant([1.0]), tf.constant(1e9)).numpy() == 8.0
        assert run(tf.constant([1.0]), tf.constant(3.0)).numpy() == 4.0
    assert (
        Function(lambda: tf.while_loop(lambda x: True, lambda x: x * 2, [1], maximum_iterations=4)[0])().numpy() == 16
    )


def test_back_prop_false_makes_constants():
    x = tf.constant(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ys = [
            tf.while_loop(lambda y: y < 10.0, lambda y: (y * x,), (x,), back_prop=False)[0],
            tf.map_fn(lambda row: row * x, tf.ones(2), back_prop=False),
            tf.foldl(lambda a, row: a * x, tf.ones(2), back_prop=False),
        ]
    assert [tape.gradient(y, x) for y in ys] == [None] * 3


def test_shapes_may_grow_when_run_step_by_step():
    def function(x, goes_on):
        return tf.while_loop(goes_on, lambda y: (tf.concat([y, y], 0),), (x,))[0]

    unrolled = Function(lambda x: function(x, lambda y: tf.size(y) < 5))  # sizes are known
    assert unrolled(tf.ones(2)).shape == (8,)
    grown = Function(lambda x: function(x, lambda y: tf.reduce_sum(y) < 5.0))
    with pytest.warns(UserWarning, match="shapes must stay"):
        assert grown(tf.ones(2)).shape == (8,)


@pytest.mark.parametrize("reverse", [False, True])
def test_scans_and_maps_are_the_same_compiled_and_have_derivatives(reverse):
    def function(x):
        scanned = tf.scan(lambda a, row: a * 0.5 + row * row, x, reverse=reverse)
        return scanned, tf.map_fn(lambda row: tf.reduce_sum(row) * row, x), tf.foldr(lambda a, row: a * row, x)

    x = np.random.default_rng(0).standard_normal((4, 3))
    check_compiled(function, x.astype("float32"), batched=())
    check_grads(function, x)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: tf.while_loop(1, lambda i: i, [0]), TypeError, "cond must be callable"),
        (lambda: tf.while_loop(lambda i: True, 1, [0]), TypeError, "body must be callable"),
        (lambda: tf.while_loop(lambda: True, lambda: [], []), ValueError, "at least one value"),
        (lambda: tf.while_loop(lambda i, j: i < 1, lambda i, j: i, (0, 0)), ValueError, "must give 2 values"),
        (
            lambda: tf.while_loop(lambda i, j: i < 1, lambda i, j: (i, [j]), (0, 0)),
            ValueError,
            "structure of loop_vars",
        ),
        (lambda: tf.map_fn(3, tf.ones(2)), TypeError, "fn must be callable"),
        (lambda: tf.map_fn(lambda x: x, tf.constant(1.0)), ValueError, "at least one dimension"),
        (lambda: tf.map_fn(lambda x: x, (tf.ones(2), tf.ones(3))), ValueError, "one first dimension"),
        (lambda: tf.map_fn(lambda x: tf.cast(x, "int32"), tf.ones(2)), TypeError, "say dtype=tf.int32"),
        (lambda: tf.map_fn(lambda x: (x, x), tf.ones(2)), TypeError, "give the types of what fn returns"),
        (lambda: tf.map_fn(lambda x: x, tf.ones((0, 2))), InvalidArgumentError, "no elements"),
        (lambda: tf.vectorized_map(lambda x: x, tf.ones((0, 2))), InvalidArgumentError, "no elements"),
        (lambda: tf.scan(None, tf.ones(2)), TypeError, "scan: fn must be callable"),
        (lambda: tf.foldl(lambda a, x: a, tf.ones((0, 2))), ValueError, "no initializer"),
    ],
)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_loop_variable_keeps_its_type():
    function = Function(lambda n: tf.while_loop(lambda i: i < n, lambda i: tf.cast(i, "float32"), [0]))
    with pytest.raises(TypeError, match="of dtype int32 becomes float32"):
        function(tf.constant(3))


def test_a_concrete_function_may_be_called_while_another_is_traced():
    inner = tf.function(lambda x: x * 2.0).get_concrete_function(tf.TensorSpec((2,)))
    assert Function(lambda x: inner(x) + 1.0)(tf.constant([1.0, 2.0])).numpy().tolist() == [3.0, 5.0]


def test_a_symbol_of_an_unrelated_trace_is_refused_in_a_body():
    kept = []
    Function(lambda x: kept.append(x) or x)(tf.constant(1.0))
    with pytest.raises(CaptureError, match="another function was traced"):
        Function(lambda n: tf.while_loop(lambda i: i < n, lambda i: i + kept[0], [0.0])).get_concrete_function(
            tf.TensorSpec(())
        )
