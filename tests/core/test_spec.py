from __future__ import annotations

import pickle

import numpy as np
import pytest

import distkeras as tf
from distkeras.core.spec import DTYPES, DType, TensorShape, TensorSpec, as_dtype


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_a_dtype_equals_its_name_and_numpys_type(name):
    dtype = as_dtype(name)
    assert isinstance(dtype, DType) and as_dtype(dtype) is dtype and as_dtype(dtype.numpy) is dtype
    assert dtype == name and dtype == dtype.numpy and dtype != "zork" and dtype != 3
    assert pickle.loads(pickle.dumps(dtype)) is dtype
    assert repr(dtype) == f"tf.{name}" and str(dtype) == f"<dtype: {name!r}>"
    assert getattr(tf, name) is dtype


def test_dtype_aliases_and_properties():
    assert as_dtype(float) is tf.float32 and as_dtype(int) is tf.int32 and as_dtype(bool) is tf.bool
    assert as_dtype("double") is tf.float64 and as_dtype(np.float16) is tf.half and as_dtype(str) is tf.string
    assert tf.float32.is_floating and not tf.float32.is_integer
    assert tf.uint8.is_integer and tf.uint8.is_unsigned and tf.uint8.max == 255 and tf.int8.min == -128
    assert tf.float32.max == np.finfo(np.float32).max
    assert np.zeros(2, tf.float64).dtype == np.float64
    assert {tf.float32: 1}[as_dtype("float32")] == 1


@pytest.mark.parametrize("wrong", ["float31", None, object()])
def test_what_is_no_dtype_is_refused(wrong):
    with pytest.raises(TypeError, match="Expected an element type, one of float16"):
        as_dtype(wrong)


def test_shapes():
    shape = TensorShape([2, None, 3])
    assert shape.as_list() == [2, None, 3] and shape.rank == shape.ndims == 3 and shape == [2, None, 3]
    assert shape[1:] == TensorShape([None, 3]) and isinstance(shape[1:], TensorShape) and shape[0] == 2
    assert not shape.is_fully_defined() and shape.num_elements() is None
    assert TensorShape((2, 3)).num_elements() == 6 and TensorShape(5) == (5,) and TensorShape(()).num_elements() == 1
    assert shape + [1] == (2, None, 3, 1) and [1] + shape == (1, 2, None, 3)
    assert shape.concatenate([4]) == (2, None, 3, 4)
    assert str(shape) == "(2, None, 3)" and repr(shape) == "TensorShape([2, None, 3])"
    assert pickle.loads(pickle.dumps(shape)) == shape
    assert shape.is_compatible_with([2, 7, 3]) and not shape.is_compatible_with([2, 3])
    with pytest.raises(ValueError, match=r"Shapes \(2, None, 3\) and \(1,\) are incompatible"):
        shape.assert_is_compatible_with([1])


def test_the_shape_of_unknown_rank():
    unknown = TensorShape(None)
    assert unknown.rank is None and str(unknown) == "<unknown>" and repr(unknown) == "TensorShape(None)"
    assert unknown != TensorShape(()) and unknown == TensorShape(None) and unknown.is_compatible_with([1, 2])
    assert unknown.concatenate([2]).rank is None and TensorShape([2]).concatenate(unknown).rank is None
    assert pickle.loads(pickle.dumps(unknown)).rank is None
    with pytest.raises(ValueError, match="unknown TensorShape"):
        unknown.as_list()


def test_specs():
    spec = TensorSpec([None, 3], "float32", "x")
    assert spec == TensorSpec([None, 3]) and hash(spec) == hash(TensorSpec([None, 3])) and spec != TensorSpec([2, 3])
    assert spec.is_compatible_with(tf.ones((5, 3))) and not spec.is_compatible_with(tf.ones((5, 3), tf.float64))
    assert TensorSpec.from_tensor(tf.ones((2, 3))) == TensorSpec((2, 3))
    assert TensorSpec((2, 3), "float64").nbytes == 48


def test_shapes_are_merged_and_checked():
    shape, unknown = TensorShape([None, 3]), TensorShape(None)
    assert shape.merge_with([2, None]) == [2, 3] and unknown.merge_with([2]) == [2] and shape.merge_with(None) is shape
    assert shape.most_specific_compatible_shape([None, 4]) == [None, None]
    assert shape.most_specific_compatible_shape([3]).rank is None
    assert shape.with_rank(2) == shape and unknown.with_rank(1) == [None]
    assert shape.with_rank_at_least(1) is shape and shape.with_rank_at_most(2) is shape
    shape.assert_has_rank(2)
    shape.assert_same_rank([1, 1])
    TensorShape([2]).assert_is_fully_defined()


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda shape: shape.merge_with([2, 4]), "incompatible"),
        (lambda shape: shape.with_rank(3), "incompatible"),
        (lambda shape: shape.with_rank_at_least(3), "at least 3"),
        (lambda shape: shape.with_rank_at_most(1), "at most 1"),
        (lambda shape: shape.assert_has_rank(1), "must have rank 1"),
        (lambda shape: shape.assert_same_rank([1]), "the same rank"),
        (lambda shape: shape.assert_is_fully_defined(), "not fully defined"),
    ],
)
def test_shapes_that_do_not_fit(call, match):
    with pytest.raises(ValueError, match=match):
        call(TensorShape([None, 3]))


def test_what_belongs_to_graphs_is_meaningless_for_values():
    for name in ("name", "op", "graph", "value_index"):
        with pytest.raises(AttributeError, match=f"Tensor.{name} is meaningless when eager execution is enabled"):
            getattr(tf.constant([1.0]), name)
