from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras._errors import InvalidArgumentError
from distkeras.graph.function import Function

ONE, TWO, NEGATIVE, NAN = tf.constant([1.0]), tf.constant([2.0]), tf.constant([-1.0]), tf.constant([float("nan")])
d = tf.debugging

HOLD_AND_FAIL = {
    "assert_equal": ((ONE, ONE), (ONE, TWO)),
    "assert_none_equal": ((ONE, TWO), (ONE, ONE)),
    "assert_less": ((ONE, TWO), (ONE, ONE)),
    "assert_less_equal": ((ONE, ONE), (TWO, ONE)),
    "assert_greater": ((TWO, ONE), (ONE, ONE)),
    "assert_greater_equal": ((ONE, ONE), (ONE, TWO)),
    "assert_near": ((ONE, ONE + 1e-7), (ONE, TWO)),
    "assert_negative": ((NEGATIVE,), (ONE,)),
    "assert_positive": ((ONE,), (NEGATIVE,)),
    "assert_non_negative": ((ONE * 0.0,), (NEGATIVE,)),
    "assert_non_positive": ((ONE * 0.0,), (ONE,)),
}


@pytest.mark.parametrize("name", HOLD_AND_FAIL)
def test_assertions_about_values(name):
    """At once when run step by step; each time it runs when compiled, after tracing without a word."""
    check, (holds, fails) = getattr(tf.debugging, name), HOLD_AND_FAIL[name]
    check(*holds)
    with pytest.raises(InvalidArgumentError, match=r"(?s)^so it is not.*x =\["):
        check(*fails, message="so it is not")
    compiled = Function(lambda *values: check(*values))
    compiled(*holds)
    with pytest.raises(InvalidArgumentError, match=r"x =\["):
        compiled(*fails)
    compiled(*holds)


def test_what_is_shown():
    with pytest.raises(
        InvalidArgumentError, match=r"Condition x == y did not hold element-wise: x =\[0, 1, 2\] ... y ="
    ):
        d.assert_equal(tf.range(5), tf.range(5)[::-1])
    with pytest.raises(InvalidArgumentError, match=r"x =\[0, 1, 2, 3, 4\] y ="):
        d.assert_equal(tf.range(5), tf.range(5)[::-1], summarize=5)
    with pytest.raises(InvalidArgumentError, match=r"assertion failed: \[1.0\] \[2.0\]"):
        tf.Assert(tf.constant(False), [ONE, TWO])
    tf.Assert(ONE < TWO, [ONE])


def test_tolerances():
    d.assert_near(ONE, TWO, atol=1.5)
    d.assert_near(ONE, TWO, rtol=0.6)
    d.assert_near(tf.constant(1.0, "float64"), tf.constant(1.0 + 1e-15, "float64"))
    with pytest.raises(InvalidArgumentError, match="x and y not equal to tolerance"):
        d.assert_near(tf.constant(1.0, "float64"), tf.constant(1.0 + 1e-7, "float64"))


def test_numbers_that_are_none():
    assert d.check_numerics(ONE, "x").numpy().tolist() == [1.0]
    compiled = Function(lambda x: d.check_numerics(x, "the activations"))
    assert compiled(ONE).numpy().tolist() == [1.0]
    for run in (compiled, compiled.python_function):
        with pytest.raises(InvalidArgumentError, match="the activations : Tensor had NaN or Inf values"):
            run(NAN)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: d.assert_rank(ONE, 2, "m"), ValueError, "m Tensor must have rank 2. Received rank 1"),
        (lambda: d.assert_rank_at_least(ONE, 2), ValueError, "rank at least 2"),
        (lambda: d.assert_rank_in(ONE, [0, 2]), ValueError, r"rank in \(0, 2\)"),
        (lambda: d.assert_scalar(ONE), ValueError, "Expected scalar shape"),
        (lambda: d.assert_type(ONE, tf.int32), TypeError, "must be of type tf.int32; got tf.float32"),
        (lambda: d.assert_integer(ONE), TypeError, "integer type"),
        (lambda: d.assert_same_float_dtype([ONE, tf.constant([1])]), ValueError, "one floating point type"),
        (lambda: d.assert_proper_iterable(ONE), TypeError, "list or tuple of tensors"),
        (lambda: d.assert_shapes({ONE.experimental_ref().deref(): ("n", "m")}), ValueError, "must have rank 2"),
        (lambda: d.assert_shapes([(ONE, ("n",)), (tf.ones(2), ("n",))]), ValueError, "dimension 0 .* must have size 1"),
        (lambda: d.assert_shapes([(tf.ones((2, 3)), (None, 4))]), ValueError, "dimension 1 .* must have size 4"),
        (lambda: d.check_numerics(tf.constant(1), ""), TypeError, "floating-point"),
    ],
)
def test_what_is_known_without_values_is_refused_at_once(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_what_is_known_without_values_holds():
    d.assert_rank(ONE, 1)
    d.assert_rank_at_least(ONE, 1)
    d.assert_rank_in(ONE, (1, 2))
    d.assert_type(ONE, "float32")
    d.assert_integer(tf.constant(1))
    d.assert_proper_iterable([ONE])
    d.assert_shapes([(tf.ones((2, 3)), ("n", 3)), (tf.ones((2, 5)), ("n", None)), (ONE, (1,))])
    assert d.assert_scalar(1.0).numpy() == 1.0
    assert d.assert_same_float_dtype([ONE]) is tf.float32 and d.assert_same_float_dtype() is tf.float32
    assert (
        d.is_numeric_tensor(ONE) and not d.is_numeric_tensor(tf.constant("s")) and not d.is_numeric_tensor(np.ones(1))
    )
