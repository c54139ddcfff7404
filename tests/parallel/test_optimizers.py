"""Gradients are summed over the ranks before they are clipped and applied, whatever part of them there is."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import _settings
from tests.keras.optimizers.own import OwnAdam

SHAPES = [(40, 30), (30,), (30, 7), (7,)]


def variables():
    rng = np.random.default_rng(1)
    return [tf.Variable(rng.standard_normal(shape).astype("float32"), name=f"v{i}") for i, shape in enumerate(SHAPES)]


def gradient(rank, step, i):
    return np.random.default_rng([rank, step, i]).standard_normal(SHAPES[i]).astype("float32")


def apply(optimizer, held, ranks, step, which):
    """One update by the sum of the gradients of `ranks`."""
    pairs = [(sum(gradient(rank, step, i) for rank in ranks), held[i]) for i in which]
    optimizer.apply_gradients([(tf.constant(value), variable) for value, variable in pairs])


def make(name, strategy, **arguments):
    with strategy.scope():
        return tf.keras.optimizers.get({"class_name": name, "config": arguments})


@pytest.fixture(params=[("0.0001", 4), ("25", 1)], ids=["4 buckets", "1 bucket"])
def buckets(request, monkeypatch):
    monkeypatch.setenv("DISTKERAS_BUCKET_CAP_MB", request.param[0])
    _settings.current.cache_clear()
    yield request.param[1]
    _settings.current.cache_clear()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "clipnorm": 2.0}),
        ("SGD", {"learning_rate": 0.1, "clipvalue": 0.3}),
        ("SGD", {"learning_rate": 0.1, "global_clipnorm": 3.0}),
        ("Adam", {"learning_rate": 0.01}),
        ("RMSprop", {"learning_rate": 0.01, "centered": True}),
        ("LAMB", {"learning_rate": 0.1, "weight_decay": 0.1, "exclude_from_weight_decay": ["v1", "v3"]}),
        ("LARS", {"learning_rate": 1.0, "trust_coefficient": 0.1}),
    ],
)
def test_summed_over_ranks(communicator, buckets, name, arguments):
    parallel = make(name, tf.distribute.MirroredStrategy(), **arguments)
    alone = make(name, tf.distribute.OneDeviceStrategy(), **arguments)
    mine, theirs = variables(), variables()
    parallel.build(mine)
    alone.build(theirs)
    assert len(parallel.groups[0].reducer.ready) == (buckets if communicator.size > 1 else 0)
    # All variables, some of them, and some again: reductions that no gradient waits for must not be left out.
    for step, which in enumerate([(0, 1, 2, 3), (1,), (0, 3), (3, 2, 1, 0)]):
        apply(parallel, mine, [communicator.rank], step, which)
        apply(alone, theirs, range(communicator.size), step, which)
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=2e-5, atol=2e-6)
        assert all((one.numpy() == value).all() for value in communicator.allgather(one.numpy()))
    assert int(parallel.iterations) == 4


def slices(rank, step):
    """Rows of a table of 9; rank 1 has none at first."""
    rng = np.random.default_rng([rank, step])
    count = 0 if (rank, step) == (1, 0) else 3 + rank
    return rng.standard_normal((count, 2)).astype("float32"), rng.integers(0, 9, count)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adadelta", "Nadam"])
@pytest.mark.parametrize("clip", [{}, {"global_clipnorm": 1.0}])
def test_rows_of_all_ranks_are_joined(communicator, name, clip):
    made = []
    for strategy, ranks in (
        (tf.distribute.MirroredStrategy(), [communicator.rank]),
        (tf.distribute.OneDeviceStrategy(), range(communicator.size)),
    ):
        optimizer = make(name, strategy, learning_rate=0.1, **clip)
        x, y = tf.Variable(np.ones((9, 2), "float32")), tf.Variable([1.0, 2.0])
        for step in range(3):
            values, indices = map(np.concatenate, zip(*(slices(rank, step) for rank in ranks), strict=True))
            total = sum(np.full(2, rank + 1.0, "float32") for rank in ranks)
            optimizer.apply_gradients([(tf.IndexedSlices(values, indices, (9, 2)), x), (tf.constant(total), y)])
        made.append((x.numpy(), y.numpy()))
    for one, other in zip(*made, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        assert all((one == value).all() for value in communicator.allgather(one))


class Lookup(tf.keras.layers.Layer):
    def build(self, input_shape):
        self.table = self.add_weight("table", (30, 4), initializer="ones")

    def call(self, inputs):
        return tf.reduce_sum(tf.gather(self.table, tf.cast(inputs, "int64")), axis=1)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_model_with_a_table(communicator, run_eagerly):
    ids = np.random.default_rng(5).integers(0, 30, (11, 3))
    fitted = []
    for strategy in (tf.distribute.MirroredStrategy(), tf.distribute.OneDeviceStrategy()):
        with strategy.scope():
            dense = tf.keras.layers.Dense(1, kernel_initializer="ones")
            model = tf.keras.Sequential([Lookup(input_shape=(3,)), dense])
            model.compile(tf.keras.optimizers.Adagrad(0.1), "mse", run_eagerly=run_eagerly)
        model.fit(ids, ids.sum(axis=1, keepdims=True) / 10, batch_size=5, epochs=2, verbose=0)
        fitted.append(model.get_weights())
    for one, other in zip(*fitted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_an_optimizer_in_tensor_operations(communicator, buckets):
    with tf.distribute.MirroredStrategy().scope():
        parallel = OwnAdam(0.01, clipnorm=2.0)
    alone = make("Adam", tf.distribute.OneDeviceStrategy(), learning_rate=0.01, clipnorm=2.0)
    mine, theirs = variables(), variables()
    for step, which in enumerate([(0, 1, 2, 3), (1,), (3, 2, 1, 0)]):
        apply(parallel, mine, [communicator.rank], step, which)
        apply(alone, theirs, range(communicator.size), step, which)
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=2e-5, atol=2e-6)
        assert all((one.numpy() == value).all() for value in communicator.allgather(one.numpy()))


def test_left_as_they_are_if_asked(communicator):
    optimizer = make("SGD", tf.distribute.MirroredStrategy(), learning_rate=1.0)
    x = tf.Variable([0.0, 0.0])
    optimizer.apply_gradients([(tf.constant([1.0, communicator.rank]), x)], experimental_aggregate_gradients=False)
    assert x.numpy().tolist() == [-1.0, -float(communicator.rank)]
    optimizer.apply_gradients([(tf.constant([1.0, 0.0]), x)])
    assert x.numpy().tolist() == [-1.0 - communicator.size, -float(communicator.rank)]
