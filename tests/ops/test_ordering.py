"""Sorting, counting, scattering and arrays: what is refused, and what a trace can and cannot do."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras._errors import CaptureError, InvalidArgumentError
from distkeras.graph.function import Function

X = tf.constant([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])

TRACEABLE = {
    "sort": lambda x: tf.sort(x, 0, "DESCENDING"),
    "top_k": lambda x: list(tf.math.top_k(x, 2)),
    "in_top_k": lambda x: tf.math.in_top_k(tf.argmax(x, 1), x, 1),
    "bincount": lambda x: tf.math.bincount(tf.cast(x, "int32"), minlength=4, maxlength=4),
    "confusion": lambda x: tf.math.confusion_matrix(tf.argmax(x, 1), tf.argmin(x, 1), 3),
    "histogram": lambda x: tf.ops.histogram_fixed_width(x, [0.0, 5.0], 3),
    "scatter": lambda x: tf.scatter_nd(tf.cast(x[:, :1], "int32"), x, (5, 3)),
    "segments": lambda x: tf.math.unsorted_segment_mean(x, tf.cast(x[:, 0], "int32"), 5),
    "searchsorted": lambda x: tf.searchsorted(tf.sort(x), x),
    "roll": lambda x: tf.roll(x, 1, 1),
}


@pytest.mark.parametrize("name", TRACEABLE)
def test_compiled_equals_eager(name):
    function = TRACEABLE[name]
    expected, received = tf.nest.flatten(function(X)), tf.nest.flatten(Function(function)(X))
    for want, got in zip(expected, received, strict=True):
        np.testing.assert_array_equal(got.numpy(), want.numpy())


def test_a_histogram():
    counts = tf.ops.histogram_fixed_width([-1.0, 0.0, 1.5, 2.0, 5.0, 15.0], [0.0, 5.0], 5)
    assert counts.numpy().tolist() == [2, 1, 1, 0, 2]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: tf.unique(tf.reshape(x, (-1,))),
        lambda x: tf.math.bincount(tf.cast(x, "int32")),
        lambda x: tf.math.segment_sum(x, tf.cast(x[:, 0] * 0.0, "int32")),
        lambda x: tf.math.confusion_matrix(tf.argmax(x, 1), tf.argmin(x, 1)),
    ],
)
def test_shapes_that_depend_on_values_are_not_for_traces(call):
    with pytest.raises(CaptureError, match="while its function is being traced"):
        Function(call).get_concrete_function(tf.TensorSpec((2, 3)))


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: tf.sort(1.0), "a scalar has no axis"),
        (lambda: tf.sort(X, direction="UP"), "direction must be"),
        (lambda: tf.math.top_k(X, 4), "at least k = 4 columns"),
        (lambda: tf.math.in_top_k([0], X, 1), r"predictions \[batch, classes\]"),
        (lambda: tf.searchsorted(X, X[:1]), "differ in number"),
        (lambda: tf.searchsorted(X, X, "middle"), "side must be"),
        (lambda: tf.unique(X), "expected a vector"),
        (lambda: tf.math.bincount([-1]), "index -1"),
        (lambda: tf.math.confusion_matrix([0, 1], [0]), "as many labels as predictions"),
        (lambda: tf.roll(X, [1, 2], [0]), "one shift for each axis"),
        (lambda: tf.scatter_nd([[5]], [1.0], [3]), r"index 5 is not in \[0, \[3\]\)"),
        (lambda: tf.scatter_nd([[0]], [1.0, 2.0], [3]), r"updates of shape \(1,\)"),
        (lambda: tf.scatter_nd([[0.5]], [1.0], [3]), "expected integers"),
        (lambda: tf.tensor_scatter_nd_update(X, [[-1]], [[1.0, 1.0, 1.0]]), "index -1"),
        (lambda: tf.math.unsorted_segment_sum(X, [0, 2], 2), "index 2"),
        (lambda: tf.math.unsorted_segment_sum(X, [0], 2), "segment_ids must be integers"),
        (lambda: tf.math.segment_sum(X, [1, 0]), "never decreases"),
        (lambda: tf.math.polygamma(-1, X), "whole number >= 0"),
        (lambda: tf.math.polyval(1.0, X), "must be a list"),
        (lambda: tf.math.scalar_mul(X, X), "only scalar multiplication"),
        (lambda: tf.math.digamma([1]), "floating-point tensors"),
        (lambda: tf.math.accumulate_n([X], shape=(1,)), "expected shape"),
        (lambda: tf.nn.space_to_depth(tf.ones((1, 3, 4, 1)), 2), "not divisible into blocks"),
        (lambda: tf.nn.depth_to_space(tf.ones((1, 2, 2, 3)), 2), "not divisible by 4"),
        (lambda: tf.nn.depth_to_space(tf.ones((1, 2, 2, 4)), 2, "NCHW"), "transpose the images"),
        (lambda: tf.nn.lrn(X), "expected 4 dimensions"),
    ],
)
def test_bad_arguments(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_variables_refuse_what_are_no_rows():
    v = tf.Variable([1.0, 2.0])
    with pytest.raises(TypeError, match="sparse_delta is not IndexedSlices"):
        v.scatter_add([1.0])
    with pytest.raises(InvalidArgumentError, match="index 2"):
        v.scatter_add(tf.IndexedSlices([1.0], [2]))
    assert v.numpy().tolist() == [1.0, 2.0]
    function = Function(lambda x: v.scatter_sub(tf.IndexedSlices(x, [1])).value())
    assert function(tf.constant([5.0])).numpy().tolist() == [1.0, -3.0] == v.numpy().tolist()


# --- TensorArray


def test_elements_that_were_never_written_are_zeros_of_their_shape():
    array = tf.TensorArray(tf.float32, 3).write(1, [1.0, 2.0])
    assert array.stack().numpy().tolist() == [[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]
    assert array.read(0).numpy().tolist() == [0.0, 0.0] and array.element_shape == (2,)
    with pytest.raises(InvalidArgumentError, match="its shape is not known: give element_shape"):
        tf.TensorArray(tf.float32, 3).stack()


def test_parts_of_different_lengths():
    array = tf.TensorArray(tf.int32, infer_shape=False).split([1, 2, 3, 4], [1, 3])
    assert array.size().numpy() == 2 and array.read(1).numpy().tolist() == [2, 3, 4]
    assert array.identity() is array and array.dtype is tf.int32 and not array.dynamic_size


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda a: a.write(2, 1.0), "not resizeable and its size is 2"),
        (lambda a: a.read(5), "array size is: 2"),
        (lambda a: [a.read(0), a.read(0)], "clear_after_read=False"),
        (lambda a: a.write(0, tf.constant(1)), "dtype is float32 but write was given int32"),
        (lambda a: a.write(1, [1.0]), "Incompatible shape for value"),
        (lambda a: a.unstack([1.0, 2.0, 3.0]), "3 elements do not fit"),
        (lambda a: tf.TensorArray(tf.float32, 1, handle=3), "handle and flow belong to graphs of TF 1"),
    ],
)
def test_bad_uses_of_arrays(call, match):
    with pytest.raises(ValueError, match=match):
        call(tf.TensorArray(tf.float32, 2).write(0, 1.0))


def test_derivatives_go_through_arrays():
    def function(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            array = tf.TensorArray(tf.float32, 0, dynamic_size=True)
            for i in tf.range(3):
                array = array.write(i, x * tf.cast(i, "float32"))
            y = array.stack() ** 2.0
        return tape.gradient(y, x)

    for run in (function, Function(function)):
        assert run(tf.constant(2.0)).numpy() == 20.0
