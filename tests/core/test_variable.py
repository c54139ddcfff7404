from __future__ import annotations

import copy

import numpy as np
import pytest

import distkeras as tf
from distkeras.core import variable as variables
from distkeras.core.context import reading
from distkeras.graph.function import Function


def test_what_a_variable_shows():
    v = tf.Variable([1.0, 2.0], name="v")
    assert repr(v) == "<tf.Variable 'v:0' shape=(2,) dtype=float32, numpy=array([1., 2.], dtype=float32)>"
    assert v.name == "v:0" and v.shape == (2,) and v.dtype == tf.float32 and v.ndim == 1
    assert tf.Variable(1).name == "Variable:0"
    assert len(v) == 2 and [float(x) for x in v] == [1.0, 2.0] and float(tf.Variable(2.5)) == 2.5
    assert np.asarray(v).tolist() == [1.0, 2.0] and v.numpy().tolist() == [1.0, 2.0]
    assert f"{tf.Variable(2.5):.1f}" == "2.5" and bool(tf.Variable(True)) and [5, 6][tf.Variable(1)] == 6


@pytest.mark.parametrize("trainable, expected", [(None, True), (True, True), (False, False)])
def test_trainable(trainable, expected):
    assert tf.Variable(1.0, trainable=trainable).trainable is expected


def test_how_values_of_ranks_become_one():
    v = tf.Variable(1.0)
    assert v.aggregation is tf.VariableAggregation.NONE and v.synchronization is tf.VariableSynchronization.AUTO
    v = tf.Variable(1.0, aggregation="mean", synchronization=tf.VariableSynchronization.ON_READ)
    assert v.aggregation is tf.VariableAggregation.MEAN and v.synchronization is tf.VariableSynchronization.ON_READ
    for weight in tf.keras.metrics.Mean().weights:
        assert weight.aggregation is tf.VariableAggregation.SUM
        assert weight.synchronization is tf.VariableSynchronization.ON_READ
    with pytest.raises(ValueError, match="VariableAggregation: one of NONE, SUM, MEAN, .* received 'product'"):
        tf.Variable(1.0, aggregation="product")


def test_initial_values():
    assert tf.Variable(lambda: [1, 2]).dtype == tf.int32
    assert tf.Variable(np.float64([1]), dtype="float32").dtype == tf.float32
    assert tf.Variable(tf.Variable([3.0])).numpy().tolist() == [3.0]
    array = np.zeros(2, np.float32)
    v = tf.Variable(array)
    array[:] = 1
    assert v.numpy().tolist() == [0, 0]
    tf.Variable(np.zeros((2, 3)), shape=[None, 3])
    with pytest.raises(ValueError, match="incompatible"):
        tf.Variable(np.zeros((2, 3)), shape=[None, 4])
    with pytest.raises(ValueError, match="initial_value must be specified"):
        tf.Variable()
    with pytest.raises(ValueError, match="belong to TF 1 graphs"):
        tf.Variable(1.0, import_scope="a")


def test_assignment():
    v = tf.Variable([1.0, 2.0])
    before = v.value()
    assert v.assign([3, 4]) is v
    v.assign_add([1.0, 1.0])
    v.assign_sub(np.float32([2, 2]))
    v.assign(v * tf.Variable(2.0))
    assert v.numpy().tolist() == [4.0, 6.0]
    assert before.numpy().tolist() == [1.0, 2.0]


def test_an_assignment_gives_the_variable_if_it_is_to_be_read():
    v = tf.Variable([1.0, 2.0])
    for method in (v.assign, v.assign_add, v.assign_sub):
        assert method([1.0, 1.0]) is v and method([1.0, 1.0], read_value=False) is None


@pytest.mark.parametrize(
    "value, match",
    [
        ([1.0, 2.0, 3.0], r"Shapes \(2,\) and \(3,\) are incompatible: the variable 'v:0'"),
        (5.0, r"Shapes \(2,\) and \(\) are incompatible"),
        (np.int64([1, 2]).astype(bool), "has dtype float32, the value given to assign bool"),
        (tf.constant([1, 2]), "has dtype float32, the value given to assign int32: cast it first"),
    ],
)
def test_a_wrong_value_is_refused_and_the_old_one_kept(value, match):
    v = tf.Variable([1.0, 2.0], name="v")
    with pytest.raises(ValueError, match=match):
        v.assign(value)
    assert v.numpy().tolist() == [1.0, 2.0]


def test_relocation_moves_the_value_and_is_counted():
    v, home = tf.Variable([1.0, 2.0]), np.zeros(4, np.float32)
    count = variables.relocations
    v.relocate(home[1:3])
    assert variables.relocations == count + 1
    v.assign_add([1.0, 1.0])
    assert home.tolist() == [0, 2, 3, 0]
    v.relocate(v._array)
    assert variables.relocations == count + 1


def test_variables_lie_on_cache_lines():
    assert all(tf.Variable(np.zeros(n, np.float32))._array.ctypes.data % 64 == 0 for n in (1, 3, 17))


def test_reading_can_be_replaced_for_a_while():
    v = tf.Variable(1.0)
    with reading({v: tf.constant(5.0)}):
        assert float(v + 1) == 6.0
    assert float(v + 1) == 2.0


def test_a_copy_is_another_variable():
    v = tf.Variable([1.0], name="v", trainable=False)
    twin, again = copy.deepcopy([v, v])
    assert twin is again and twin is not v and twin.name == "v:0" and not twin.trainable
    twin.assign([2.0])
    assert v.numpy().tolist() == [1.0]


def test_variables_are_keys_by_identity():
    v, w = tf.Variable(1.0), tf.Variable(1.0)
    assert len({v: 1, w: 2}) == 2 and v in {v} and bool(v == w)


def test_a_variable_made_while_a_function_is_traced_is_made_for_real():
    made = []

    def function(x):
        if not made:
            made.append(tf.Variable([2.0]))
        return x * made[0]

    assert Function(function)(tf.constant([3.0])).numpy().tolist() == [6.0]
    assert made[0].numpy().tolist() == [2.0]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(
    "key",
    [1, -1, slice(None), slice(0, 3, 2), (slice(None), 1), (..., slice(None, None, -1)), (2, 0), (None, 1)],
    ids=str,
)
def test_parts_are_assigned(key, compiled):
    variable, expected = tf.Variable(np.arange(12.0, dtype="float32").reshape(4, 3)), np.arange(12.0).reshape(4, 3)
    value = -np.ones(expected[key].shape) * np.arange(1, 1 + expected[key].size).reshape(expected[key].shape)
    expected[key] = value

    def assign():
        return variable[key].assign(value.astype("float32")) + 0.0

    returned = (tf.function(assign) if compiled else assign)()
    np.testing.assert_array_equal(variable.numpy(), expected)
    np.testing.assert_array_equal(returned.numpy(), expected)


def test_parts_are_assigned_by_mask_and_number():
    variable = tf.Variable([1, -2, 3, -4])
    variable[variable < 0].assign(0)
    np.testing.assert_array_equal(variable.numpy(), [1, 0, 3, 0])

    @tf.function
    def put(place):
        variable[place].assign(7)

    put(tf.constant(2))
    np.testing.assert_array_equal(variable.numpy(), [1, 0, 7, 0])


def test_parts_that_do_not_fit_are_refused():
    variable = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match="2"):
        variable[0].assign([1.0, 2.0, 3.0])
    assert not hasattr(tf.constant([1.0])[0], "assign")
    np.testing.assert_array_equal(variable.numpy(), [[1, 2], [3, 4]])
