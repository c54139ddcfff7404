"""Gradients of some rows of a table: IndexedSlices, from the tape to the optimizer."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from tests.keras.optimizers.cases import CASES, CLIPS, LATER, STEPS, rows, table
from tests.keras.optimizers.own import OwnAdam

RECORDED = dict(np.load(Path(__file__).parent / "data" / "optimizers.npz"))
OPTIMIZERS = pytest.mark.parametrize(
    "index", range(len(CASES)), ids=[f"{name} {arguments}" for name, arguments in CASES]
)


def make(index):
    name, arguments = CASES[index]
    return getattr(tf.keras.optimizers, name)(**arguments)


def slices(step, dtype="float32"):
    values, indices = rows(step)
    return tf.IndexedSlices(tf.constant(values.astype(dtype)), tf.constant(indices), (6, 3))


def step_of(optimizer, variable, traced):
    """A function of the values and indices of a gradient."""

    def step(values, indices):
        optimizer.apply_gradients([(tf.IndexedSlices(values, indices, variable.shape), variable)])

    return tf.function(step) if traced else step


@OPTIMIZERS
@pytest.mark.parametrize("traced", [False, True])
def test_updates_are_those_of_keras(index, traced):
    """Those of some rows where TensorFlow updates some rows, of the whole where it moves all of them."""
    dense, x, whole = make(index), tf.Variable(table(), name="a/table"), tf.Variable(table(), name="a/table")
    update = step_of(make(index), x, traced)
    for step in range(STEPS):
        update(*map(tf.constant, rows(step)))
        if f"{index} table" in RECORDED:
            np.testing.assert_allclose(x.numpy(), RECORDED[f"{index} table"][step], rtol=1e-5, atol=1e-6)
        else:  # clipped: the gradient's own norm, however it is written; or none that TensorFlow 2.0 has
            dense.apply_gradients([(tf.convert_to_tensor(slices(step)), whole)])
            np.testing.assert_allclose(x.numpy(), whole.numpy(), rtol=1e-5, atol=1e-6)


def test_rows_are_what_most_optimizers_touch():
    kinds = {name: make(index).updates_rows for index, (name, _) in enumerate(CASES)}
    assert {name for name, kind in kinds.items() if not kind} == {"Adam", *LATER}
    assert all(f"{index} table" in RECORDED for index, (name, arguments) in enumerate(CASES)
               if name not in LATER and not any(clip in arguments for clip in CLIPS))  # fmt: skip


@pytest.mark.parametrize("options", [{"clipnorm": 0.5}, {"clipvalue": 0.2}, {"global_clipnorm": 0.9}])
def test_clipping_is_that_of_the_whole_gradient(options):
    both = [[tf.Variable(table()), tf.Variable([1.0, 2.0])] for _ in range(2)]
    for sparse, pair in zip((True, False), both, strict=True):
        optimizer = tf.keras.optimizers.SGD(1.0, **options)
        gradient = slices(0) if sparse else tf.convert_to_tensor(slices(0))
        optimizer.apply_gradients([(gradient, pair[0]), (tf.constant([3.0, 4.0]), pair[1])])
    for one, other in zip(*both, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6, atol=1e-7)


def test_float64_constraints_and_mixed_steps():
    x = tf.Variable(table().astype("float64"), constraint=tf.keras.constraints.NonNeg())
    y = tf.Variable(table().astype("float64"), constraint=tf.keras.constraints.NonNeg())
    sparse, dense = tf.keras.optimizers.Adam(0.1), tf.keras.optimizers.Adam(0.1)
    for step in range(STEPS):
        given = slices(step, "float64")
        sparse.apply_gradients([(given if step % 2 else tf.convert_to_tensor(given), x)])
        dense.apply_gradients([(tf.convert_to_tensor(given), y)])
    np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-12)
    assert (x.numpy() >= 0).all() and (x.numpy() == 0).any()


# --- from the tape


def bag(table, ids):
    return tf.reduce_sum(tf.square(tf.nn.embedding_lookup(table, ids)), axis=1)


def test_a_tape_gives_slices_of_a_gathered_variable():
    x, ids = tf.Variable(table()), tf.constant([[1, 4], [1, 0]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(bag(x, ids))
    gradient = tape.gradient(loss, x)
    assert isinstance(gradient, tf.IndexedSlices) and gradient.dtype == "float32"
    assert gradient.indices.numpy().tolist() == [1, 4, 1, 0]
    assert gradient.dense_shape.numpy().tolist() == [6, 3] == list(gradient.shape)
    np.testing.assert_allclose(gradient.values.numpy(), 2 * table()[[1, 4, 1, 0]])
    expected = np.zeros((6, 3), "float32")
    np.add.at(expected, [1, 4, 1, 0], 2 * table()[[1, 4, 1, 0]])
    for dense in (tf.convert_to_tensor(gradient), gradient + 0.0, tf.identity(gradient)):
        np.testing.assert_allclose(dense.numpy(), expected)


def test_slices_join_and_become_dense_beside_dense_gradients():
    x = tf.Variable(table())
    with tf.GradientTape(persistent=True) as tape:
        first, second = tf.gather(x, [1, 2]), tf.gather(x, tf.constant([2], "int64"))
        both = tf.reduce_sum(first) + tf.reduce_sum(second)
        mixed = both + tf.reduce_sum(x.value())
        scaled = tf.reduce_sum(tf.gather(2.0 * x, [0]))
    joined = tape.gradient(both, x)
    assert joined.indices.numpy().tolist() == [1, 2, 2] and joined.values.shape == (3, 3)
    dense = tape.gradient(mixed, x)
    assert isinstance(dense, tf.Tensor) and dense.numpy()[:, 0].tolist() == [1, 2, 3, 1, 1, 1]
    assert isinstance(tape.gradient(scaled, x), tf.Tensor)


def test_a_tensor_has_a_dense_gradient():
    with tf.GradientTape() as tape:
        read = tf.Variable(table()).value()
        y = tf.reduce_sum(tf.gather(read, [1, 1]))
    assert tape.gradient(y, read).numpy()[:, 0].tolist() == [0, 2, 0, 0, 0, 0]


def test_slices_can_be_differentiated():
    x = tf.Variable(table())
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = tf.reduce_sum(tf.gather(x, [1, 1]) ** 3.0)
        z = tf.reduce_sum(tf.convert_to_tensor(inner.gradient(y, x)))
    expected = np.zeros((6, 3), "float32")
    expected[1] = 12 * table()[1]
    np.testing.assert_allclose(tf.convert_to_tensor(outer.gradient(z, x)).numpy(), expected, rtol=1e-5)


def test_a_function_returns_the_tensor():
    x = tf.Variable(table())

    @tf.function
    def gradient(ids):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(tf.gather(x, ids))
        return tape.gradient(y, x)

    assert gradient(tf.constant([0, 0])).numpy()[:, 0].tolist() == [2, 0, 0, 0, 0, 0]


def test_gathering_does_not_copy_the_table_nor_change_what_was_read():
    x = tf.Variable(table())
    before, chosen = x.value(), tf.gather(x, [0])
    x.assign(tf.zeros((6, 3)))
    np.testing.assert_array_equal(before.numpy(), table())
    np.testing.assert_array_equal(chosen.numpy(), table()[:1])


# --- whole models


class Lookup(tf.keras.layers.Layer):
    def build(self, input_shape):
        self.table = self.add_weight("table", (50, 4))

    def call(self, inputs):
        return tf.reduce_mean(tf.gather(self.table, tf.cast(inputs, "int64")), axis=1)


IDS = np.random.default_rng(0).integers(0, 50, (20, 3))
TARGETS = np.random.default_rng(1).normal(size=(20, 1)).astype("float32")


def fitted(optimizer, run_eagerly=False, batch_size=6):
    tf.random.set_seed(2)
    model = tf.keras.Sequential([Lookup(input_shape=(3,)), tf.keras.layers.Dense(1)])
    model.compile(optimizer, "mse", run_eagerly=run_eagerly)
    model.fit(IDS, TARGETS, batch_size=batch_size, epochs=2, verbose=0, shuffle=False)
    return model


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad", "Ftrl"])
def test_a_compiled_step_is_the_eager_one(name):
    models = [fitted(tf.keras.optimizers.get(name), run_eagerly) for run_eagerly in (True, False)]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert [len(group.variables) for group in models[0].optimizer.groups] == [1, 2]
    untouched = np.setdiff1d(np.arange(50), IDS)
    start = fitted(tf.keras.optimizers.SGD(0.0)).get_weights()[0]
    if name != "Ftrl":
        np.testing.assert_array_equal(models[1].get_weights()[0][untouched], start[untouched])


def test_a_step_costs_what_it_touches():
    """A plan with a large table holds no second one: neither a gradient nor a copy of it."""
    x, optimizer = tf.Variable(tf.zeros((200_000, 8))), tf.keras.optimizers.SGD(0.1)

    @tf.function
    def step(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(bag(x, ids) + tf.reduce_sum(tf.gather(x, ids)))
        optimizer.apply_gradients([(tape.gradient(loss, x), x)])

    ids = tf.constant([[1, 5], [7, 7]])
    step(ids)
    graph = step.get_concrete_function(ids).graph
    assert all(value.spec.size < 1000 for equation in graph.equations for value in equation.outputs
               if equation.primitive.name != "read_variable")  # fmt: skip
    assert np.flatnonzero(x.numpy().any(axis=1)).tolist() == [1, 5, 7]


# --- optimizers of one's own


class LazyAdam(tf.keras.optimizers.Adam):
    """Adam whose averages move only in the rows that occur."""

    def _resource_apply_sparse(self, grad, var, indices):
        beta_1, beta_2 = self._get_hyper("beta_1", var.dtype), self._get_hyper("beta_2", var.dtype)
        step = tf.cast(self.iterations + 1, var.dtype)
        rate = self._decayed_lr(var.dtype) * tf.sqrt(1.0 - beta_2**step) / (1.0 - beta_1**step)
        m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
        m_rows = beta_1 * tf.gather(m, indices) + (1.0 - beta_1) * grad
        v_rows = beta_2 * tf.gather(v, indices) + (1.0 - beta_2) * grad * grad
        self._resource_scatter_update(m, indices, m_rows)
        self._resource_scatter_update(v, indices, v_rows)
        return self._resource_scatter_add(var, indices, -rate * m_rows / (tf.sqrt(v_rows) + self.epsilon))


def passing(kind):
    """A subclass whose updates of rows are those of the built-in optimizer."""

    class Passing(kind):
        def _resource_apply_sparse(self, grad, var, indices, apply_state=None):
            return super()._resource_apply_sparse(grad, var, indices, apply_state)

    return Passing


def test_rows_are_given_to_an_optimizer_that_takes_them():
    lazy, x = LazyAdam(0.1), tf.Variable(table())
    for step in (0, 1):
        lazy.apply_gradients([(slices(step), x)])
    expected = tf.Variable(table())
    plain = tf.keras.optimizers.Adam(0.1)
    plain.apply_gradients([(tf.convert_to_tensor(slices(0)), expected)])
    np.testing.assert_allclose(x.numpy()[1], expected.numpy()[1], rtol=1e-5)  # not touched again


@pytest.mark.parametrize("kind", [tf.keras.optimizers.RMSprop, tf.keras.optimizers.Adam])
def test_the_kernels_update_of_rows_may_be_called(kind):
    x, expected = tf.Variable(table()), tf.Variable(table())
    own, kernel = passing(kind)(0.1), kind(0.1)
    for step in range(STEPS):
        own.apply_gradients([(slices(step), x)])
        kernel.apply_gradients([(slices(step), expected)])
    np.testing.assert_allclose(x.numpy(), expected.numpy(), rtol=1e-6)


def test_rows_are_made_dense_for_an_optimizer_that_does_not():
    own, x, expected = OwnAdam(0.1), tf.Variable(table()), tf.Variable(table())
    plain = tf.keras.optimizers.Adam(0.1)
    for step in range(STEPS):
        step_of(own, x, traced=True)(*map(tf.constant, rows(step)))
        plain.apply_gradients([(slices(step), expected)])
    np.testing.assert_allclose(x.numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)


def test_own_rows_are_not_compiled():
    with pytest.warns(UserWarning, match="_resource_apply_sparse"):
        fitted(LazyAdam(0.1), run_eagerly=None)


# --- bad input


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: tf.IndexedSlices(tf.ones((2, 3)), [1]), "one index for each row, received shapes .2, 3. and .1,."),
        (lambda: tf.IndexedSlices(tf.ones((2, 3)), [1.0, 2.0]), "indices must be integers, received dtype float32"),
        (lambda: tf.convert_to_tensor(tf.IndexedSlices(tf.ones((1, 3)), [1])), "give IndexedSlices.values, indices"),
        (lambda: applied(tf.IndexedSlices(tf.ones((1, 2)), [1])), "values of shape .1, 2. and float32"),
        (lambda: applied(tf.IndexedSlices(tf.ones((1, 3), "float64"), [1])), "values of shape .1, 3. and float64"),
        (lambda: applied(tf.IndexedSlices(tf.ones((1, 3)), [6])), "1 indices outside of .0, 6."),
        (lambda: applied(tf.IndexedSlices(tf.ones((2, 3)), [-1, 1])), "1 indices outside of .0, 6."),
    ],
)
def test_bad_slices_are_refused(call, match):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=match):
        call()


def applied(gradient):
    x = tf.Variable(table())
    try:
        tf.keras.optimizers.SGD(1.0).apply_gradients([(gradient, x)])
    finally:
        np.testing.assert_array_equal(x.numpy(), table())
