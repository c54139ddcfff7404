"""Fusion and the kernels made for it."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import _nest, ops
from distkeras.core.spec import TensorSpec
from distkeras.graph import kernel_cache
from distkeras.graph.emit import emit
from distkeras.graph.function import Function
from distkeras.graph.fuse import Group, fuse
from distkeras.graph.passes import simplify
from distkeras.graph.trace import trace
from tests.graph.interpreted import interpreted_kernels  # noqa: F401


def _steps(function, *shapes):
    return fuse(simplify(trace(function, [TensorSpec(shape) for shape in shapes])[0]))


def _described(steps):
    return [
        [equation.primitive.name for equation in step.equations] if isinstance(step, Group) else step.primitive.name
        for step in steps
    ]


def test_neighbours_of_one_shape_become_one_group():
    steps = _steps(lambda x, b: ops.tanh(x * 2.0 + b) - x, (4, 3), (3,))
    assert _described(steps) == [["multiply", "add", "tanh", "subtract"]]
    assert len(steps[0].inputs) == 3 and len(steps[0].outputs) == 1


def test_a_group_ends_where_something_else_is_needed_in_between():
    steps = _steps(lambda x: ops.exp(x) / ops.reduce_sum(ops.exp(x), 1, True) + x, (4, 3))
    assert _described(steps) == [["exp"], "reduce_sum", ["divide", "add"]]


def test_an_equation_joins_an_earlier_group_only_if_its_inputs_are_there():
    def function(x, y):
        a = x + 1.0
        s = ops.reduce_sum(a)
        return a, s, y * 2.0, y * s

    assert _described(_steps(function, (4,), (4,))) == [["add", "multiply"], "reduce_sum", ["multiply"]]


def test_other_shapes_do_not_join():
    assert _described(_steps(lambda x, y: (x + 1.0, y + 1.0, x * 2.0), (4,), (5,))) == [["add", "multiply"], ["add"]]


def test_groups_do_not_take_more_arrays_than_vectorise():
    steps = _steps(lambda *xs: sum(xs[1:], xs[0]), *[(4,)] * 20)
    assert len(steps) > 2
    assert all(len(step.inputs) + len(step.outputs) <= 8 for step in steps)


def test_values_used_outside_are_outputs_of_the_group():
    def function(x):
        hidden = x + 1.0
        y = hidden * hidden
        return y, ops.reduce_sum(hidden)

    group = _steps(function, (4,))[0]
    assert len(group.outputs) == 2
    assert "fused(" in str(group) and "multiply" in str(group)


# --- the source


def _emitted(function, *shapes):
    (group,) = _steps(function, *shapes)
    return emit(group)


def test_dimensions_that_all_inputs_share_are_merged():
    assert _emitted(lambda x: x + 1.0, (4, 5, 6)).output_shape == (120,)
    bias = _emitted(lambda x, b: x + b, (4, 5, 6), (6,))
    assert bias.output_shape == (20, 6) and bias.input_shapes == ((20, 6), (6,))
    assert _emitted(lambda x, b: x + b, (4, 5, 6), (4, 1, 6)).output_shape == (4, 5, 6)
    assert _emitted(lambda x, b: x + b, (4, 5, 6), (5, 6)).input_shapes == ((4, 30), (30,))
    assert _emitted(lambda x: x + 1.0, ()).output_shape == (1,)


def test_one_sample_is_written_as_many_are():
    def layer(x, b):
        return ops.relu(x + b) * 0.5

    sources = {batch: _emitted(layer, (batch, 26, 64), (64,)).source for batch in (0, 1, 2, 37)}
    assert len(set(sources.values())) == 1
    assert _emitted(layer, (128, 64), (64,)).source == sources[1]


def test_other_batch_sizes_compile_nothing():
    def loss(x, w, b):
        with tf.GradientTape() as tape:
            tape.watch([w, b])
            hidden = ops.relu(ops.matmul(x, w) + b)
            target = ops.reduce_mean(ops.square(hidden - 1.0))
        return target, tape.gradient(target, [w, b])

    rng = np.random.default_rng(0)
    compiled = Function(loss)
    w, b = rng.standard_normal((3, 8)).astype(np.float32), np.zeros(8, np.float32)
    loaded = None
    for batch in (5, 1, 2, 37, 0):
        x = rng.standard_normal((batch, 3)).astype(np.float32)
        expected, received = loss(*map(tf.constant, (x, w, b))), compiled(x, w, b)
        for want, got in zip(_nest.flatten(expected), _nest.flatten(received), strict=True):
            np.testing.assert_allclose(got.numpy(), want.numpy(), 1e-5, 1e-6)
        loaded = loaded or set(kernel_cache._loaded)
        assert set(kernel_cache._loaded) == loaded


def _lstm_output(a, b, c, d, e):
    return ops.sigmoid(e) * ops.tanh(ops.sigmoid(a) * b + ops.sigmoid(c) * ops.tanh(d))


def _gated(a, b, c, d, e):
    added = d + ops.where(b > 0.0, a * c, 0.0)
    return added, a * b * c * (1.0 - c), added * e


def _cubed(a, b, c, d, e):
    return a * b, c * 3.0 * b * b * b, ops.where(d >= 0.5, a * e * e * e, 0.0)


def _chosen(a, b, c, d, e):
    return ops.where(a > 0.0, 0.3, b) - ops.where(a > 0.0, b, 0.2) + c + ops.where(a > 0.0, d, 0.1)


@pytest.mark.parametrize("function", [_lstm_output, _gated, _cubed, _chosen])
def test_bits_do_not_depend_on_how_many_elements_there_are(function):
    """Vector instructions and those for what is left over must round alike: the same products fused, or none."""
    arrays = np.random.default_rng(0).uniform(-1, 1, (5, 350)).astype(np.float32)
    compiled = Function(function)
    whole = _nest.flatten(compiled(*arrays))
    for start, stop in ((0, 1), (1, 8), (8, 21), (21, 52), (52, 115), (115, 350)):
        for got, want in zip(_nest.flatten(compiled(*arrays[:, start:stop].copy())), whole, strict=True):
            np.testing.assert_array_equal(got.numpy(), want.numpy()[start:stop])


def test_types_without_kernels_are_computed_by_numpy():
    def function(x, text):
        return x * 2 + x, text == "a", ops.cast(x, "float32")

    half, text = np.float16([1, 2]), np.array(["a", "b"])
    results = Function(function)(half, text)
    assert results[0].dtype == tf.float16 and results[0].numpy().tolist() == [3, 6]
    assert results[1].numpy().tolist() == [True, False]
    assert results[2].dtype == tf.float32
    assert Function(lambda text: (text, ops.reshape(text, (2, 1))))(text)[1].numpy().tolist() == [[b"a"], [b"b"]]


# --- random programs: whatever is fused, moved and shares memory, results are those of eager mode


def _program(seed, variables):
    """A function of x [batch, 3], b [3] and s [] that does the same random things whenever it is called."""

    def function(x, b, s):
        rng = np.random.default_rng(seed)
        values = [x, b, s, x[:, :1]]
        for _ in range(rng.integers(5, 30)):
            kind = rng.choice(["binary", "binary", "binary", "unary", "sum", "move", "read", "assign"])
            values.append(_ACTIONS[kind](rng, values, variables))
        chosen = rng.choice(len(values), 3)
        return values[-3:] + [values[i] for i in chosen] + [v.value() for v in variables]

    return function


def _pick(rng, values):
    # The last few more often: chains are what is fused.
    return values[max(0, len(values) - 1 - int(rng.exponential(4)))]


def _binary(rng, values, variables):
    function = rng.choice([lambda a, b: (a + b) * 0.5, lambda a, b: (a - b) * 0.5, ops.maximum, ops.minimum])
    a, b = _pick(rng, values), _pick(rng, values)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return -a
    return function(a, b)


def _unary(rng, values, variables):
    a = _pick(rng, values)
    return rng.choice([ops.abs, ops.negative, lambda a: ops.where(a > 0.1, a, a * 0.5), ops.identity])(a)


def _sum(rng, values, variables):
    a = _pick(rng, values)
    return ops.reduce_max(a, axis=-1, keepdims=bool(rng.integers(2))) if a.ndim else a * 0.9


def _move(rng, values, variables):
    a = _pick(rng, values)
    if a.ndim != 2:
        return ops.reverse(a, [0]) if a.ndim else ops.reshape(ops.reshape(a, [1]), [])
    return rng.choice(
        [lambda a: ops.transpose(ops.transpose(a)), lambda a: ops.reshape(a, a.shape), lambda a: a[::-1]]
    )(a)


def _read(rng, values, variables):
    return variables[rng.integers(len(variables))].value()


def _assign(rng, values, variables):
    variable = variables[rng.integers(len(variables))]
    a = _pick(rng, values)
    if a.shape == (3,):
        variable.assign(a)
    else:
        variable.assign_add(ops.reduce_max(variables[0]) * ops.ones(3))
        variable.assign(variable * 0.5)
    return variable * 0.5 if rng.integers(2) else a


_ACTIONS = {"binary": _binary, "unary": _unary, "sum": _sum, "move": _move, "read": _read, "assign": _assign}


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_give_what_they_give_eagerly(seed, interpreted_kernels):  # noqa: F811
    variables = [tf.Variable(np.float32([1, -2, 3]) * (i + 1)) for i in range(3)]
    start = [v.numpy() for v in variables]
    function = _program(seed, variables)
    compiled = Function(function)
    rng = np.random.default_rng(seed)
    for batch in (4, 4, 1, 3):
        arguments = [tf.constant(rng.standard_normal(shape).astype(np.float32)) for shape in ((batch, 3), (3,), ())]
        expected = [result.numpy() for result in function(*arguments)]
        after = [v.numpy() for v in variables]
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        for got, want in zip(compiled(*arguments), expected, strict=True):
            np.testing.assert_allclose(got.numpy(), want, 1e-6, 1e-7)
        for variable, value in zip(variables, after, strict=True):
            np.testing.assert_allclose(variable.numpy(), value, 1e-6, 1e-7)
        start = after
