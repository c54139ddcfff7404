"""tf.function: what makes a new version, what is kept, structures, methods, signatures, tapes."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from collections import namedtuple

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras.core.context import Replica, on_replica
from distkeras.core.spec import TensorSpec
from distkeras.graph import function as functions
from distkeras.graph.function import Function
from tests.graph.interpreted import interpreted_kernels

pytestmark = pytest.mark.usefixtures(interpreted_kernels.__name__)


@pytest.fixture
def counted():
    """A function that counts how often it is traced."""

    def function(x, scale=2.0, *, shift=0.0):
        traces.append((x.shape, scale))
        return x * scale + shift

    traces = []
    compiled = Function(function)
    compiled.traces = traces
    return compiled


def test_a_version_is_made_for_each_shape_type_and_python_value(counted):
    x = tf.constant([1.0, 2.0])
    for _ in range(2):
        assert counted(x).numpy().tolist() == [2.0, 4.0]
    assert len(counted.traces) == 1
    counted(tf.constant([3.0, 4.0]))
    counted(np.float32([3, 4]))
    counted(x, 2.0)
    counted(x=x)
    assert len(counted.traces) == 2  # f(x) and f(x, 2.0) are not told to be the same
    assert counted(x, 3.0).numpy().tolist() == [3.0, 6.0]
    assert counted(x, 3).numpy().tolist() == [3.0, 6.0]
    counted(x, scale=3.0)
    counted(tf.constant([1.0]))
    counted(tf.constant([1.0], "float64"))
    assert len(counted.traces) == 6
    assert counted(x, tf.constant(5.0)).numpy().tolist() == [5.0, 10.0]
    assert counted(x, np.float32(6)).numpy().tolist() == [6.0, 12.0]
    assert len(counted.traces) == 7
    assert counted(x, shift=1.0).numpy().tolist() == [3.0, 5.0]


def test_numbers_of_different_types_and_signs_of_flags_are_told_apart():
    seen = []
    function = Function(lambda x, flag: seen.append(flag) or x)
    for flag in (True, 1, 1.0, "1", None, np.bool_(True), False, (1,), [1], {"a": 1}):
        function(tf.constant(1.0), flag)
    assert seen == [True, 1, 1.0, "1", None, False, (1,), [1], {"a": 1}]


def test_objects_are_told_apart_even_where_an_address_is_used_again():
    class Unhashable:
        __hash__ = None

        def __init__(self, value):
            self.value = value

        def __eq__(self, other):
            return True

    class Plain:
        def __init__(self, value):
            self.value = value

    for kind in (Plain, Unhashable):
        function = Function(lambda x, option: x * option.value)
        for value in range(10):
            assert function(tf.constant(1.0), kind(float(value))).numpy() == value


def test_shapes_and_types_as_arguments_are_compared_by_value(counted):
    seen = []
    function = Function(lambda x, shape, dtype: seen.append(shape) or x)
    for _ in range(3):
        x = tf.constant([1.0])
        function(x, x.shape, x.dtype)
    assert len(seen) == 1


def test_variables_as_arguments():
    v, w = tf.Variable([1.0]), tf.Variable([1.0])
    function = Function(lambda v, x: v.assign_add(x))
    function(v, tf.constant([2.0]))
    function(w, tf.constant([3.0]))
    result = function(v, tf.constant([2.0]))
    assert isinstance(result, tf.Tensor) and result.numpy().tolist() == [5.0]
    assert v.numpy().tolist() == [5.0] and w.numpy().tolist() == [4.0]


Pair = namedtuple("Pair", "left right")


def test_structures_in_and_out():
    def function(pair, options):
        return {
            "sum": pair.left + pair.right,
            "rest": [options["a"][0] * 2.0, None, "text"],
            "pair": Pair(pair.left, 3),
        }

    result = Function(function)(Pair(tf.constant(1.0), tf.constant(2.0)), {"a": (tf.constant(3.0),)})
    assert list(result) == ["sum", "rest", "pair"]
    assert result["sum"].numpy() == 3.0 and result["rest"][0].numpy() == 6.0 and result["rest"][1] is None
    # Numbers and texts become tensors, as in TensorFlow.
    assert (
        isinstance(result["pair"], Pair) and result["pair"].right.numpy() == 3 and result["rest"][2].numpy() == b"text"
    )


def test_results_are_copies():
    function = Function(lambda x: (x, x * 2.0, c))
    c = tf.constant([9.0])
    first = function(tf.constant([1.0]))
    second = function(tf.constant([5.0]))
    assert [t.numpy().tolist() for t in first] == [[1.0], [2.0], [9.0]]
    assert [t.numpy().tolist() for t in second] == [[5.0], [10.0], [9.0]]


def test_methods_have_versions_of_their_own_and_die_with_their_object():
    class Scale:
        def __init__(self, factor):
            self.factor = factor

        @tf.function
        def __call__(self, x):
            return x * self.factor

        @tf.function(input_signature=[TensorSpec([None])])
        def total(self, x):
            return ops.reduce_sum(x) * self.factor

    class Twice(Scale):
        @tf.function
        def __call__(self, x):
            return super().__call__(x) * 2.0

    x = tf.constant([1.0, 2.0])
    one, two, twice = Scale(3.0), Scale(5.0), Twice(7.0)
    assert one(x).numpy().tolist() == [3.0, 6.0] and two(x).numpy().tolist() == [5.0, 10.0]
    assert twice(x).numpy().tolist() == [14.0, 28.0]
    assert one.total([1, 2, 3]).numpy() == 18.0
    assert one.total.get_concrete_function(x)(x).numpy() == 9.0
    twin = copy.deepcopy(one)
    twin.factor = 4.0
    assert twin(x).numpy().tolist() == [4.0, 8.0]
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None


def test_input_signature():
    traces = []

    @tf.function(input_signature=[TensorSpec([None, 2]), [TensorSpec([], tf.int32)]])
    def function(x, counts):
        traces.append(x.shape)
        return x * ops.cast(counts[0], "float32")

    assert function([[1, 2]], [3]).numpy().tolist() == [[3.0, 6.0]]
    assert function(np.ones((2, 2)), [np.int64(1)]).dtype == tf.float32
    assert traces == [(1, 2), (2, 2)]
    with pytest.raises(ValueError, match=r"expected TensorSpec\(shape=\(None, 2\).* shape \(1, 3\)"):
        function([[1.0, 2.0, 3.0]], [1])
    with pytest.raises(ValueError, match="float64"):
        function(tf.ones((1, 2), "float64"), [1])
    with pytest.raises(ValueError, match="input_signature has 1 entries, but 2 arguments"):
        tf.function(lambda x, y=1: x, input_signature=[TensorSpec([])])(1.0, 2)
    with pytest.raises(ValueError, match="The structures differ"):
        function([[1.0, 2.0]], [1, 2])


def test_concrete_functions():
    function = Function(lambda x, training, bias: x * (2.0 if training else 1.0) + bias)
    version = function.get_concrete_function(TensorSpec((2,)), True, TensorSpec(()))
    assert version(tf.constant([1.0, 2.0]), tf.constant(1.0)).numpy().tolist() == [3.0, 5.0]
    assert version(np.float32([1, 2]), True, bias=1.0).numpy().tolist() == [3.0, 5.0]
    assert function.get_concrete_function(tf.constant([1.0, 2.0]), True, tf.constant(0.0)) is version
    with pytest.raises(TypeError, match="This version takes 2 tensors"):
        version(tf.constant([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"expected TensorSpec\(shape=\(2,\)"):
        version(tf.constant([1.0]), tf.constant(1.0))
    of_any_length = function.get_concrete_function(TensorSpec((None,)), True, TensorSpec(()))
    assert of_any_length(tf.constant([1.0]), tf.constant(1.0)).numpy().tolist() == [3.0]
    assert of_any_length(np.float32([1, 2, 3]), True, bias=1.0).numpy().tolist() == [3.0, 5.0, 7.0]
    assert of_any_length in function.versions and of_any_length.inputs == [TensorSpec((None,)), TensorSpec(())]
    with pytest.raises(ValueError, match=r"expected TensorSpec\(shape=\(None,\)"):
        of_any_length(tf.constant(1.0), tf.constant(1.0))
    with pytest.raises(TypeError, match="This version takes 2 tensors"):
        of_any_length(tf.constant([1.0]))
    fixed = tf.function(lambda x: x + 1.0, input_signature=[TensorSpec((2,))])
    assert fixed.get_concrete_function()(tf.constant([1.0, 2.0])).numpy().tolist() == [2.0, 3.0]


def test_functions_in_functions():
    inner_traces = []

    @tf.function
    def inner(x):
        inner_traces.append(1)
        return x * x

    @tf.function
    def outer(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = inner(x) + inner(2.0 * x)
        return tape.gradient(y, x)

    for _ in range(2):
        assert outer(tf.constant([3.0])).numpy().tolist() == [30.0]
    assert len(inner_traces) == 2


def test_a_tape_sees_into_a_function():
    v, c = tf.Variable([2.0]), tf.constant([3.0])

    @tf.function
    def function(x):
        v.assign_add([1.0])
        return x * v * c

    x = tf.constant([5.0])
    with tf.GradientTape() as tape:
        tape.watch([x, c])
        y = function(x)
    gradients = tape.gradient(y, [x, v, c])
    assert [gradient.numpy().tolist() for gradient in gradients] == [[9.0], [15.0], [15.0]]
    assert v.numpy().tolist() == [3.0] and function(x).numpy().tolist() == [60.0]


def test_second_derivatives_through_a_function():
    function = tf.function(lambda x: x**3.0)
    x = tf.constant(2.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = function(x)
        dy = inner.gradient(y, x)
    assert outer.gradient(dy, x).numpy() == 12.0


def test_random_numbers_are_drawn_alike_whether_a_tape_watches_or_not():
    function = tf.function(lambda x: x * ops.random_uniform((3,)))
    x = tf.ones(3)
    draws = []
    for watched in (False, True):
        tf.random.set_seed(1)
        if watched:
            with tf.GradientTape():
                draws.append([function(x).numpy().tolist() for _ in range(2)])
        else:
            draws.append([function(x).numpy().tolist() for _ in range(2)])
    assert draws[0] == draws[1] and draws[0][0] != draws[0][1]


def test_replicas_have_versions_of_their_own():
    from distkeras.core import context

    function = Function(lambda x: x * context.state.replica.num_replicas_in_sync)

    class Pair(Replica):
        num_replicas_in_sync = 2

    assert function(tf.constant([3.0])).numpy().tolist() == [3.0]
    with on_replica(Pair()):
        assert function(tf.constant([3.0])).numpy().tolist() == [6.0]
    assert function(tf.constant([3.0])).numpy().tolist() == [3.0]


def test_the_least_recently_used_version_is_dropped(monkeypatch, counted):
    monkeypatch.setattr(functions, "_MOST_PLANS", 3)
    sizes = [1, 2, 3, 1, 4, 1, 2]
    for size in sizes:
        counted(tf.ones(size))
    assert [shape for (shape, _) in counted.traces] == [(1,), (2,), (3,), (4,), (2,)]


def test_run_functions_eagerly(counted):
    functions.run_functions_eagerly(True)
    try:
        counted(tf.ones(1))
        counted(tf.ones(1))
        assert len(counted.traces) == 2
    finally:
        functions.run_functions_eagerly(False)


def test_decorating():
    @tf.function
    def square(x):
        """Squares."""
        return x * x

    @tf.function(autograph=False, experimental_relax_shapes=True)
    def cube(x):
        return x * x * x

    assert square.__name__ == "square" and square.__doc__ == "Squares." and square.python_function(3) == 9
    assert square(tf.constant(3.0)).numpy() == 9.0 and cube(tf.constant(3.0)).numpy() == 27.0
    with pytest.raises(ValueError, match="experimental_autograph_options is not available"):
        tf.function(square, experimental_autograph_options=())


def test_wrong_arguments_raise_as_the_function_would(counted):
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        counted()
    with pytest.raises(TypeError, match="unexpected keyword argument 'zork'"):
        counted(tf.ones(1), zork=1)


def test_an_error_in_the_function_is_the_users_own():
    @tf.function
    def function(x):
        raise KeyError("mine")

    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            function(tf.ones(1))


def test_threads_do_not_share_buffers():
    function = Function(lambda x: ops.reduce_sum(x * 2.0) * 0.5)
    wrong = []

    def work(number):
        x = tf.constant(np.full(2000, number, np.float32))
        wrong.extend(r for r in (float(function(x)) for _ in range(5)) if r != number * 2000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_function_of_nothing_and_one_that_gives_nothing():
    assert Function(lambda: None)() is None
    assert Function(lambda x: None)(tf.ones(1)) is None
    assert Function(lambda: tf.constant(3.0))().numpy() == 3.0
