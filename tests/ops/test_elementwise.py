from __future__ import annotations

import math

import numpy as np
import pytest

import distkeras as tf
from distkeras import _nest, ops
from distkeras._errors import InvalidArgumentError
from distkeras.graph.function import Function
from tests.ops.compare import check, gradient

NAN, INF = float("nan"), float("inf")


def _sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


UNARY = {
    "abs": np.abs, "atan": np.arctan, "ceil": np.ceil, "cos": np.cos, "cosh": np.cosh,
    "erf": np.vectorize(math.erf), "exp": np.exp, "expm1": np.expm1, "floor": np.floor, "negative": np.negative,
    "reciprocal": np.reciprocal, "relu": lambda x: np.maximum(x, 0), "round": np.rint, "sigmoid": _sigmoid,
    "sign": np.sign, "sin": np.sin, "sinh": np.sinh, "softplus": lambda x: np.log1p(np.exp(x.astype(np.float64))),
    "square": np.square, "tan": np.tan, "tanh": np.tanh,
}  # fmt: skip
POSITIVE = {
    "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x),
    "acos": np.arccos, "asin": np.arcsin,
}  # fmt: skip
VALUES = np.float64([[-3.2, -1.0, -0.5], [0.5, 1.0, 2.5]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted({**UNARY, **POSITIVE}))
def test_unary_ops_give_what_numpy_gives(name, dtype):
    x = np.abs(VALUES) / 4 if name in POSITIVE else VALUES
    x = x.astype(dtype)
    expected = {**UNARY, **POSITIVE}[name](x).astype(dtype)
    check(getattr(ops, name)(x), expected, rtol=2e-6 if dtype == "float32" else 1e-12)
    check(getattr(ops, name)(x[:0]), expected[:0])


@pytest.fixture(scope="module")
def compiled_unary():
    """All unary ops as one function, for each of which would cost a compilation."""
    names = sorted({**UNARY, **POSITIVE})
    return Function(lambda x: {name: getattr(ops, name)(x) for name in names})


@pytest.mark.parametrize("values", [[NAN, 0.5, NAN, 1.0], [INF, -INF, 0.0, -0.0]])
def test_nan_and_infinities_pass_through_eager_and_compiled(compiled_unary, values):
    x = np.float32(values)
    eager = compiled_unary.python_function(ops.constant(x))
    for name, result in compiled_unary(x).items():
        np.testing.assert_allclose(result.numpy(), eager[name].numpy(), 1e-5, err_msg=name)
        assert np.isnan(result.numpy()[np.isnan(x)]).all(), name


BINARY = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.true_divide,
    "floordiv": np.floor_divide, "floormod": np.mod, "maximum": np.maximum, "minimum": np.minimum,
    "squared_difference": lambda x, y: (x - y) ** 2, "pow": np.power,
}  # fmt: skip
COMPARISONS = {
    "equal": np.equal, "not_equal": np.not_equal, "less": np.less, "less_equal": np.less_equal,
    "greater": np.greater, "greater_equal": np.greater_equal,
}  # fmt: skip


def _op(name):
    return ops.OPS[name]


@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 3)), ((0, 3), (3,)), ((), ())])
@pytest.mark.parametrize("name", sorted({**BINARY, **COMPARISONS}))
def test_binary_ops_broadcast_as_numpy_does(name, shapes):
    rng = np.random.default_rng(3)
    x, y = (rng.uniform(0.5, 3.0, shape).astype(np.float32) for shape in shapes)
    expected = np.asarray({**BINARY, **COMPARISONS}[name](x, y))
    check(_op(name)(x, y), expected, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(set(BINARY) - {"divide", "pow"}))
@pytest.mark.parametrize("dtype", ["int32", "int64", "float64"])
def test_binary_ops_keep_the_type_and_round_down_as_python(name, dtype):
    x = np.array([7, -7, 7, -7, 0], dtype)
    y = np.array([2, 2, -2, -3, 5], dtype)
    check(_op(name)(x, y), BINARY[name](x, y))


def test_integers_are_divided_as_python_divides():
    check(ops.divide([7, -7], [2, 2]), np.float64([3.5, -3.5]))
    check(ops.divide(np.int16([7]), np.int16([2])), np.float32([3.5]))


def test_compiled_integer_and_bool_arithmetic_is_that_of_eager():
    def arithmetic(x, y):
        signs = [x // y, x % y, x + y, -x, abs(x), ops.sign(x), ops.maximum(x, y), ops.minimum(x, y), x * y]
        floats = [ops.cast(x, "float32") // ops.cast(y, "float32"), ops.cast(x, "float32") % ops.cast(y, "float32")]
        tests = [(x > 0) & (y > 0), (x > 0) | (y > 0), ~(x > 0), ops.logical_xor(x > 0, y > 0), x == y, x != y]
        return signs, floats, tests, ops.cast(x > 0, "int32"), ops.cast(x, "bool"), ops.where(x > 0, x, y), x**2

    x, y = np.meshgrid(np.int32([7, -7, 6, -1, 0, 2**31 - 1]), np.int32([2, -2, 3, -3]))
    compiled = Function(arithmetic)
    _assert_equal(compiled(x, y), arithmetic(ops.constant(x), ops.constant(y)))


def _assert_equal(received, expected):
    for got, want in zip(_nest.flatten(received), _nest.flatten(expected), strict=True):
        check(got, want.numpy())


def test_scalars_and_float64_in_compiled_kernels():
    """No dimension at all, and constants that must not narrow float64 nor widen float32."""

    def expression(x):
        return x / 3.0 + 0.1, ops.exp(x) * (1.0 / 7.0), x > 0.1, ops.relu(x) - 1e-9

    compiled = Function(expression)
    for value in (np.float64(0.1), np.float32(0.1)):
        results = compiled(value)
        assert [result.dtype for result in results] == [value.dtype, value.dtype, bool, value.dtype]
        for got, want in zip(results, expression(ops.constant(value)), strict=True):
            check(got, want.numpy(), rtol=1e-15 if value.dtype == np.float64 else 2e-7)


@pytest.mark.parametrize(
    "make, dtype",
    [
        (lambda x: x + 1, "float32"), (lambda x: 1 - x, "float32"), (lambda x: x * 0.5, "float32"),
        (lambda x: x / np.sqrt(16), "float32"), (lambda x: np.float64(2) * x, "float32"),
        (lambda x: np.ones(3) * x, "float32"), (lambda x: x * np.arange(3), "float32"),
        (lambda x: x + [1, 2, 3], "float32"), (lambda x: ops.cast(x, "float64") * 0.1, "float64"),
        (lambda x: ops.cast(x, "int32") + 1, "int32"), (lambda x: ops.cast(x, "int32") * np.int64(2), "int32"),
        (lambda x: ops.cast(x, "int64") // 2, "int64"), (lambda x: ops.cast(x, "float64") * np.float32(2), "float64"),
        (lambda x: tf.Variable(x) * np.float64(2), "float32"), (lambda x: np.float64(2) + tf.Variable(x), "float32"),
    ],
)  # fmt: skip
def test_numbers_and_arrays_take_the_type_of_the_tensor_beside_them(make, dtype):
    assert make(ops.constant([1.0, 2.0, 3.0])).dtype == dtype


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x + ops.constant([1, 2, 3]),
        lambda x: x + ops.cast(x, "float64"),
        lambda x: ops.cast(x, "int32") + 1.5,
        lambda x: ops.cast(x, "int32") * np.float64([1.5, 1.5, 1.5]),
        lambda x: x * True,
        lambda x: ops.maximum(x, ops.cast(x, "float64")),
    ],
)
def test_types_that_do_not_go_together_are_refused(make):
    with pytest.raises(InvalidArgumentError, match="one element type, received .*float32|int32.*cast"):
        make(ops.constant([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("compile", [False, True])
def test_shapes_that_do_not_broadcast_are_named(compile):
    function = Function(ops.add) if compile else ops.add
    with pytest.raises(InvalidArgumentError, match=r"Incompatible shapes: \(2,\) and \(3,\)"):
        function(ops.ones(2), ops.ones(3))


@pytest.mark.parametrize("name", ["exp", "sqrt", "sigmoid", "floor"])
def test_float_ops_refuse_integers(name):
    with pytest.raises(InvalidArgumentError, match=f"{name} takes floating-point tensors, received dtype int32"):
        getattr(ops, name)([1, 2])


def test_logical_ops_refuse_what_is_not_bool():
    with pytest.raises(InvalidArgumentError, match="logical_and takes bool tensors, received dtype int32"):
        ops.logical_and([1], [2])


# --- derivatives where a function has a kink, as TensorFlow gives them


@pytest.mark.parametrize(
    "function, arguments, expected",
    [
        (ops.maximum, ([1.0, 1.0], [1.0, 2.0]), [[1.0, 0.0], [0.0, 1.0]]),
        (ops.minimum, ([1.0, 1.0], [1.0, 2.0]), [[1.0, 1.0], [0.0, 0.0]]),
        (ops.relu, ([0.0, -1.0, 2.0],), [[0.0, 0.0, 1.0]]),
        (ops.relu6, ([0.0, 6.0, 3.0],), [[0.0, 0.0, 1.0]]),
        (ops.abs, ([0.0, -2.0],), [[0.0, -1.0]]),
        (ops.sign, ([0.0, -2.0],), [[0.0, 0.0]]),
        (ops.floor, ([0.5],), [None]),
        (ops.elu, ([0.0],), [[1.0]]),
        (ops.selu, ([0.0],), [[np.float32(1.0507009873554805)]]),
        (ops.leaky_relu, ([0.0],), [[np.float32(0.2)]]),
        (lambda x: ops.clip_by_value(x, 0.0, 1.0), ([0.0, 1.0, 0.5, 2.0],), [[1.0, 1.0, 1.0, 0.0]]),
        (ops.pow, ([0.0, 0.0, -2.0, -2.0], [1.0, 2.0, 2.0, 3.0]), [[1.0, 0.0, -4.0, 12.0], [0.0, 0.0, 0.0, 0.0]]),
        (ops.divide_no_nan, ([1.0, 2.0], [0.0, 2.0]), [[0.0, 0.5], [0.0, -0.5]]),
        (ops.stop_gradient, ([1.0],), [None]),
        (lambda x: ops.sigmoid_cross_entropy_with_logits([1.0, 0.0], x), ([0.0, 0.0],), [[-0.5, 0.5]]),
    ],
)
def test_derivatives_at_kinks(function, arguments, expected):
    received = gradient(function, *arguments)
    for got, want in zip(received, expected, strict=True):
        assert got == (None if want is None else [float(number) for number in want])


def test_second_derivative_of_abs_is_zero_not_missing():
    x = ops.constant([1.0, -2.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = ops.abs(x) * x
        first = inner.gradient(y, x)
    assert outer.gradient(first, x).numpy().tolist() == [2.0, -2.0]


def test_gradients_are_summed_over_what_was_broadcast():
    x_gradient, y_gradient = gradient(ops.multiply, [[1.0, 2.0], [3.0, 4.0]], [[5.0], [6.0]])
    assert (x_gradient, y_gradient) == ([[5.0, 5.0], [6.0, 6.0]], [[3.0], [7.0]])


# --- cast, where, add_n, clip


@pytest.mark.parametrize(
    "values, dtype, expected",
    [
        ([1.9, -1.9], "int32", np.int32([1, -1])),
        ([0.0, 2.0], "bool", np.array([False, True])),
        ([True, False], "float64", np.float64([1, 0])),
        (np.int64([2**33 + 1]), "int32", np.int32([1])),
        ([1, 2], "uint8", np.uint8([1, 2])),
        ([1.0], "float16", np.float16([1])),
    ],
)
def test_cast(values, dtype, expected):
    check(ops.cast(values, dtype), expected)


def test_cast_to_the_same_type_is_the_same_tensor():
    x = ops.constant([1.0])
    assert ops.cast(x, tf.float32) is x


def test_where_broadcasts_its_three_arguments():
    condition = np.array([[True], [False]])
    check(ops.where(condition, [1.0, 2.0], 0.0), np.float32([[1, 2], [0, 0]]))
    check(ops.where([True, False]), np.int64([[0]]))
    with pytest.raises(ValueError, match="both be non-None or both be None"):
        ops.where(condition, [1.0])


def test_where_passes_no_nan_from_the_side_not_taken():
    (received,) = gradient(lambda x: ops.where(x > 0, x * 2, x), [1.0, -1.0])
    assert received == [2.0, 1.0]
    check(ops.where([True, False], [1.0, NAN], [NAN, 2.0]), np.float32([1, 2]))


def test_add_n():
    check(ops.add_n([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.float32([9, 12]))
    with pytest.raises(InvalidArgumentError, match="shapes and types must be equal"):
        ops.add_n([ops.ones(2), ops.ones(3)])
    with pytest.raises(InvalidArgumentError, match="shapes and types must be equal"):
        ops.add_n([ops.ones(2), ops.ones(2, "float64")])
    with pytest.raises(ValueError, match="at least one tensor"):
        ops.add_n([])


def test_sigmoid_is_exact_for_large_negative_numbers():
    check(ops.sigmoid([-20.0, -80.0, 100.0]), np.float32([2.0611537e-09, 1.8048513e-35, 1.0]), rtol=1e-5)


def test_comparison_with_what_is_no_operand():
    x = ops.constant([1.0])
    assert (x == None) is False and (x != None) is True and (x == "relu") is False  # noqa: E711
    check(ops.constant(["a", "b"]) == "a", np.array([True, False]))


def test_operators_are_the_ops():
    x, y = np.float32([[1, 2], [3, 4]]), np.float32([[2, 2], [2, 3]])
    a, b = ops.constant(x), tf.Variable(y)
    for got, want in [
        (a + b, x + y), (a - b, x - y), (a * b, x * y), (a / b, x / y), (a // b, x // y), (a % b, x % y), (a**b, x**y),
        (a @ b, x @ y), (-b, -y), (abs(-a), x), (2 ** b, 2**y), (1 / b, 1 / y), (a < b, x < y), (a >= b, x >= y),
        (a == b, x == y), (~(a != b), x == y), (b[0], y[0]), (7 % b, 7 % y), (7 // b, 7 // y),
    ]:  # fmt: skip
        check(got, want)
