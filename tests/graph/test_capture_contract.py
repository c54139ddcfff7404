"""Every surprise of capture: where a traced function behaves otherwise than the same Python run step by step.

Tracing runs the Python once for each kind of arguments, with symbols that have shapes and types but no numbers. What
would freeze silently raises instead, at the user's own line, and the function is then run step by step.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras._errors import CaptureError
from distkeras.core.spec import TensorSpec
from distkeras.graph.function import Function
from distkeras.graph.trace import trace


def _if(x):
    if ops.reduce_sum(x) > 0:
        return x
    return -x


def _while(x):
    while x[0] < 10:
        x = x * 2
    return x


def _and(x):
    return x if x[0] > 0 and x[1] > 0 else -x


def _float(x):
    return x * float(x[0])


def _int(x):
    return ops.reshape(x, [int(x[0]), 2])


def _index(x):
    return [x, -x][ops.argmax(x)]


def _math(x):
    return x * math.sqrt(x[0])


def _numpy(x):
    return x.numpy() * 2


def _asarray(x):
    return np.asarray(x) * 2


def _numpy_function(x):
    return np.exp(x)


def _format(x):
    return f"{x[0]:.3f}"


def _slice_bound(x):
    return x[: x[0]]


def _shape_from_a_value(x):
    return ops.ones([ops.cast(x[0], "int32")])


def _mask(x):
    return x[x > 0]


def _where_alone(x):
    return ops.where(x > 0)


def _initial_value(x):
    return tf.Variable(x).value()


def _boolean_of_equality(x):
    return x in [ops.zeros(2)]


LOOKS_AT_VALUES = [
    _if, _while, _and, _float, _int, _index, _math, _numpy, _asarray, _numpy_function, _format, _slice_bound,
    _shape_from_a_value, _mask, _where_alone, _initial_value, _boolean_of_equality,
]  # fmt: skip


@pytest.mark.parametrize("function", LOOKS_AT_VALUES)
def test_looking_at_a_value_raises_while_tracing(function):
    with pytest.raises(CaptureError, match="while its function is being traced, when it has no value yet"):
        trace(function, [TensorSpec((2,))])


@pytest.mark.parametrize("function", [_if, _while, _float, _numpy_function, _mask])
def test_such_a_function_is_run_step_by_step_with_one_warning_that_names_the_line(function):
    compiled = Function(function)
    x = tf.constant([1.0, 2.0])
    with pytest.warns(UserWarning) as caught:
        result = compiled(x)
    (warning,) = caught
    line = function.__code__.co_firstlineno + 1
    assert warning.filename == __file__
    assert f"{function.__name__} cannot be compiled and runs step by step" in str(warning.message)
    assert f"{__file__}:{line}: " in str(warning.message) and "tf.where" in str(warning.message)
    np.testing.assert_array_equal(np.asarray(result), np.asarray(function(x)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(np.asarray(compiled(x + 1)), np.asarray(function(x + 1)))


def test_side_effects_of_python_happen_while_tracing_only():
    seen = []
    function = Function(lambda x: seen.append(1) or x * 2.0)
    for _ in range(3):
        function(tf.constant([1.0]))
    assert len(seen) == 1


def test_python_values_are_frozen_as_they_were_when_the_function_was_traced():
    scale = {"value": 2.0}
    function = Function(lambda x: x * scale["value"])
    assert function(tf.constant([1.0])).numpy().tolist() == [2.0]
    scale["value"] = 5.0
    assert function(tf.constant([1.0])).numpy().tolist() == [2.0]
    assert function(tf.constant([1.0, 1.0])).numpy().tolist() == [5.0, 5.0]  # a new shape is traced anew


def test_eager_tensors_of_the_outside_are_constants_and_variables_are_not():
    c, v = tf.constant([2.0]), tf.Variable([3.0])
    box = [c]
    function = Function(lambda x: x * box[0] * v)
    assert function(tf.constant([1.0])).numpy().tolist() == [6.0]
    box[0] = tf.constant([100.0])
    v.assign([10.0])
    assert function(tf.constant([1.0])).numpy().tolist() == [20.0]


def test_numpy_arrays_made_inside_are_constants():
    rng = np.random.default_rng(0)
    function = Function(lambda x: x + rng.standard_normal(1).astype(np.float32))
    first = function(tf.constant([0.0])).numpy()
    assert function(tf.constant([0.0])).numpy() == first


def test_tensorflows_random_numbers_are_new_at_each_call():
    function = Function(lambda: (ops.random_normal((3,)), ops.random_shuffle(ops.range(20))))
    first, second = function(), function()
    assert all((a.numpy() != b.numpy()).any() for a, b in zip(first, second, strict=True))


def test_loops_over_shapes_are_unrolled_and_loops_over_tensors_too():
    def function(x):
        total = x[0] * 0.0
        for row in x:
            total += row
        for i in range(x.shape[0]):
            total += x[i]
        return total

    x = np.float32([[1, 2], [3, 4], [5, 6]])
    assert Function(function)(x).numpy().tolist() == [18.0, 24.0]


def test_shapes_are_numbers_while_tracing():
    def function(x):
        assert x.shape == (3, 2) and len(x) == 3 and int(ops.shape(x)[0]) == 3 and int(ops.size(x)) == 6
        return x * x.shape[0] if x.shape[0] > 2 else x

    assert Function(function)(np.ones((3, 2), np.float32)).numpy().tolist() == [[3.0, 3.0]] * 3


def test_comparison_with_none_or_text_is_plain_python():
    def function(x, mask=None):
        return x if mask is None and x != "relu" and not (x == None) else -x  # noqa: E711

    assert Function(function)(tf.constant([1.0])).numpy().tolist() == [1.0]


def test_variables_are_made_when_a_function_is_traced_first_and_not_again():
    made = []

    def function(x, always):
        if always or not made:
            made.append(tf.Variable([1.0]))
        return x + made[0]

    compiled = Function(function)
    for size in (1, 1, 2):
        assert compiled(tf.ones(size), False).numpy().tolist() == [2.0] * size
    assert len(made) == 1
    with pytest.raises(ValueError, match="tried to create variables on non-first call"):
        compiled(tf.ones(1), True)
    with pytest.raises(ValueError, match="tried to create variables on non-first call"):
        compiled(tf.ones(1), True)
    version = Function(function).get_concrete_function(tf.TensorSpec((1,)), True)
    with pytest.raises(ValueError, match="tried to create variables on non-first call"):
        version.refresh()


def test_a_symbol_kept_from_a_trace_has_no_value_afterwards():
    kept = []
    Function(lambda x: kept.append(x * 2.0) or x)(tf.constant([1.0]))
    with pytest.raises(CaptureError, match="has no value yet"):
        kept[0].numpy()
    with pytest.raises(CaptureError, match="has no value yet"):
        ops.exp(kept[0])
    with pytest.raises(ValueError, match="belongs to a trace that has ended"):
        Function(lambda x: x)(kept[0])


def test_an_assignment_happens_when_the_function_runs_not_while_it_is_traced():
    v = tf.Variable([1.0])

    def function(x):
        v.assign(x)
        return v * 2.0

    compiled = Function(function)
    compiled.get_concrete_function(TensorSpec((1,)))
    assert v.numpy().tolist() == [1.0]
    assert compiled(tf.constant([4.0])).numpy().tolist() == [8.0] and v.numpy().tolist() == [4.0]


def test_a_failed_trace_changes_no_variable():
    v = tf.Variable(1.0)

    def function(x):
        v.assign_add(1.0)
        return x if x[0] > 0 else -x

    with pytest.warns(UserWarning, match="cannot be compiled"):
        Function(function)(tf.constant([1.0]))
    assert v.numpy() == 2.0  # once, by the eager run


def test_where_and_gather_are_the_way_to_depend_on_values():
    def function(x):
        largest = ops.argmax(x)
        return ops.where(ops.reduce_sum(x) > 0, x, -x), x[largest], ops.gather([10, 20], largest)

    compiled = Function(function)
    for values in ([1.0, 2.0], [-1.0, -5.0]):
        received, expected = compiled(np.float32(values)), function(tf.constant(values))
        assert [t.numpy().tolist() for t in received] == [t.numpy().tolist() for t in expected]


def test_a_new_shape_is_another_version_and_old_ones_are_kept():
    function = Function(lambda x: ops.reduce_sum(x * 2.0))
    for size in (3, 5, 3, 5):
        assert function(tf.ones(size)).numpy() == 2 * size
    assert len(function._versions) == 2
