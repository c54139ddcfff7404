"""Chains: steps run chunk by chunk of samples give what they give one after the other."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops
from distkeras.core.host import HostCall, host_call
from distkeras.core.spec import TensorSpec
from distkeras.graph import chains
from distkeras.graph.chains import Chain
from distkeras.graph.plan import Plan
from distkeras.graph.trace import trace
from distkeras.kernels.caches import second_level_bytes
from tests.graph.interpreted import interpreted_kernels  # noqa: F401  (a fixture)
from tests.graph.test_rows import batched_examples, check

L = tf.keras.layers
RNG = np.random.default_rng(0)


@pytest.fixture
def cache_of(monkeypatch):
    """Lets plans think that the second-level cache has so many bytes."""
    monkeypatch.setattr(chains, "LEAST_SHARE", 0.1)
    monkeypatch.setattr(chains, "MOST_WHOLE", 8)
    return lambda size: monkeypatch.setattr(chains, "second_level_bytes", lambda: size)


def plan_of(function, arrays):
    graph, _ = trace(lambda *inputs: function(*inputs), [TensorSpec(array.shape, array.dtype) for array in arrays])
    return Plan(graph)


def run(plan, arrays, state=(1, 2, 3)):
    for buffer, array in zip(plan.inputs, arrays, strict=True):
        np.copyto(buffer, array)
    if plan.random_state is not None:
        plan.random_state[:] = state
    plan.run()
    return [output.copy() for output in plan.outputs]


def chains_of(plan):
    return [step for step in plan.steps if isinstance(step, Chain)]


def names(found):
    return [getattr(getattr(member.step, "primitive", None), "name", "fused") for member in found.members]


def check_both(function, arrays, cache_of, size=400, least=1):
    """The outputs in chains, which are those without; the chains."""
    cache_of(1 << 40)
    whole = plan_of(function, arrays)
    cache_of(size)
    parts = plan_of(function, arrays)
    assert not chains_of(whole) and len(chains_of(parts)) >= least, parts
    expected, received = run(whole, arrays), run(parts, arrays)
    for one, other in zip(expected, received, strict=True):
        np.testing.assert_allclose(other, one, 2e-5, 2e-5)
    return received, chains_of(parts)


def _cases():
    for name, example, arrays, batched in batched_examples():
        floats = [i for i in sorted(batched) if arrays[i].dtype == np.float32]
        if floats:
            yield pytest.param(example, batched, floats[0], id=name)


@pytest.mark.parametrize("example, batched, linked", list(_cases()))
def test_each_primitive_in_chunks(example, batched, linked, cache_of, interpreted_kernels):  # noqa: F811
    """Whether it joins what comes before and after, is left out, or adds up sums."""
    arrays = example.arguments(np.float32)
    arrays = [np.concatenate([array] * 7) if i in batched else array for i, array in enumerate(arrays)]
    size = max(256, 16 * arrays[linked].nbytes // len(arrays[linked]))

    def function(*tensors):
        inputs = list(tensors)
        inputs[linked] = ops.identity(inputs[linked] * 1.0 + 0.0)
        outputs = example(*inputs)
        outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
        return [ops.square(value) if value.dtype == "float32" else value for value in outputs]

    check_both(function, arrays, cache_of, size, least=0)


X = RNG.standard_normal((11, 8, 6, 3)).astype("float32")
W = RNG.standard_normal((3, 3, 3, 5)).astype("float32")


def pooled(x, w, **params):
    return ops.max_pool2d(ops.relu(ops.conv2d(x, w, **{"padding": "SAME", **params})), 2)


@pytest.mark.parametrize("params", [{}, {"strides": 2}, {"dilations": 2}, {"padding": "VALID"}], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_result_of_a_convolution_is_not_kept(params, dtype, cache_of):
    _, (found,) = check_both(lambda x, w: pooled(x, w, **params), [X.astype(dtype), W.astype(dtype)], cache_of, 12000)
    assert len(names(found)) == 3 and found.size < 11
    assert all(value.spec.shape[0] == 11 for value in found.inside) and len(found.outputs) == 1


def test_less_memory_is_needed(cache_of):
    cache_of(1 << 40)
    whole = plan_of(pooled, [X, W])
    cache_of(12000)
    parts = plan_of(pooled, [X, W])
    assert parts.nbytes < whole.nbytes / 1.5


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
def test_any_batch(batch, cache_of):
    check_both(pooled, [X[:batch], W], cache_of, 4000, least=int(batch > 1))


def test_one_native_run_makes_the_calls_of_all_chunks(cache_of):
    cache_of(12000)
    plan = plan_of(lambda x, w: ops.reduce_sum(pooled(x, w), 0), [X, W])
    assert len(plan.calls) > 6 and len(plan._replayed) == 1


def test_large_weights_are_not_read_for_few_samples(cache_of, monkeypatch):
    def function(x, w):
        return ops.reduce_max(ops.square(ops.relu(ops.matmul(ops.exp(x), w))) + 1.0, 1)

    arrays = [RNG.standard_normal((64, 24)).astype("float32"), RNG.standard_normal((24, 40)).astype("float32")]
    _, (found,) = check_both(function, arrays, cache_of, 3000)
    assert names(found) == ["fused", "matmul", "fused", "reduce_max"]
    monkeypatch.setattr(chains, "MOST_WHOLE", 0.1)
    _, (found,) = check_both(function, arrays, cache_of, 3000)
    assert names(found) == ["fused", "reduce_max"]


def test_sums_are_added_up_over_chunks(cache_of):
    def function(x, w):
        y = ops.square(ops.conv2d(x, w, padding="SAME"))
        return ops.reduce_sum(y, [0, 1, 2]), ops.reduce_sum(ops.exp(-y), 0)

    _, (found,) = check_both(function, [X, W], cache_of, 12000)
    assert "reduce_sum" in names(found) and not set(found.inside) & set(found.outputs)


def test_what_others_need_is_kept(cache_of):
    def function(x, w):
        y = ops.conv2d(x, w, padding="SAME")
        z = ops.conv2d(y, ops.transpose(w, (0, 1, 3, 2)), padding="SAME")
        return y, ops.max_pool2d(z, 2)

    _, (found,) = check_both(function, [X, W], cache_of, 12000)
    assert names(found) == ["conv2d", "max_pool2d"]


def test_what_needs_a_sum_comes_after_the_chain(cache_of):
    def function(x):
        y = ops.exp(ops.conv2d(x, W, padding="SAME"))
        total = ops.reduce_sum(y, 0)
        return ops.reduce_max(ops.square(y - total), [1, 2]) + ops.reduce_sum(total)

    check_both(function, [X], cache_of, 12000, least=0)


def test_chains_that_need_each_others_results(cache_of):
    """Each of two chains would have to come before the other."""

    def function(x, z):
        a, b = ops.conv2d(x, W, padding="SAME"), ops.conv2d(z, W, padding="SAME")
        small = ops.reduce_max(a, [1, 2])[:, :1], ops.reduce_max(b, [1, 2])[:, :1]
        first = ops.max_pool2d(ops.avg_pool2d(a, 1) + ops.reshape(small[1], (11, 1, 1, 1)), 2)
        second = ops.max_pool2d(ops.avg_pool2d(b, 1) + ops.reshape(small[0], (11, 1, 1, 1)), 2)
        return first, second

    check_both(function, [X, X[::-1].copy()], cache_of, 12000)


def test_what_has_an_effect_keeps_its_place(cache_of):
    v = tf.Variable(np.ones(5, "float32"))

    def function(x):
        y = ops.conv2d(x, W, padding="SAME")
        host_call(HostCall("change", lambda: v._array.fill(5), writes=[v]))
        return ops.max_pool2d(y * v, 2)

    cache_of(12000)
    plan = plan_of(function, [X])
    (found,) = chains_of(plan)
    assert names(found) == ["fused", "max_pool2d"]
    np.testing.assert_allclose(run(plan, [X])[0], ops.max_pool2d(5 * ops.conv2d(X, W, padding="SAME"), 2), 1e-5, 1e-5)


def test_sequences_and_volumes(cache_of):
    sequence = RNG.standard_normal((12, 30, 2)).astype("float32")
    of_sequence = RNG.standard_normal((3, 2, 4)).astype("float32")
    _, (found,) = check_both(
        lambda x, w: ops.max_pool1d(ops.relu(ops.conv1d(x, w)), 2), [sequence, of_sequence], cache_of, 2000
    )
    assert "reshape" in names(found)
    volume = RNG.standard_normal((6, 5, 6, 6, 2)).astype("float32")
    of_volume = RNG.standard_normal((3, 3, 3, 2, 4)).astype("float32")
    check_both(lambda x, w: ops.max_pool3d(ops.relu(ops.conv3d(x, w)), 2), [volume, of_volume], cache_of, 12000)


def test_random_numbers_are_those_of_the_samples(cache_of):
    def function(x):
        return ops.max_pool2d(ops.dropout(ops.conv2d(x, W, padding="SAME"), 0.5, stream=1), 2)

    cache_of(1 << 40)
    whole = plan_of(function, [X])
    cache_of(12000)
    parts = plan_of(function, [X])
    assert "dropout" in names(chains_of(parts)[0])
    np.testing.assert_array_equal(run(whole, [X])[0], run(parts, [X])[0])


def test_ranks_with_chunks_give_the_bits_of_one_process(cache_of):
    cache_of(12000)

    def function(x, w):
        y = ops.square(ops.conv2d(x, w, padding="SAME"))
        return ops.avg_pool2d(y, 2), ops.reduce_sum(ops.max_pool2d(y, 2), 0)

    check(function, [X, W], [True, False], count=5)


def _model(name):
    kernel = {"kernel_initializer": tf.keras.initializers.GlorotUniform(seed=1)}
    layers = {
        "pool": [L.Conv2D(6, 3, activation="relu", **kernel), L.MaxPooling2D(), L.Conv2D(4, 3, **kernel), L.ReLU()],
        "dropout": [L.Conv2D(6, 3, strides=2, **kernel), L.Dropout(0.4), L.ReLU(), L.AveragePooling2D()],
        "norm": [
            L.Conv2D(6, 3, padding="same", **kernel),
            L.BatchNormalization(),
            L.ReLU(),
            L.MaxPooling2D(3, strides=2, padding="same"),
            L.SeparableConv2D(4, 3, depthwise_initializer=tf.keras.initializers.GlorotUniform(seed=2), **kernel),
        ],
        "columns": [L.Reshape((72, 2)), L.Conv1D(6, 3, activation="relu", **kernel), L.MaxPooling1D()],
    }
    model = tf.keras.Sequential([tf.keras.Input((12, 12, 1)), *layers[name], L.Flatten(), L.Dense(3, **kernel)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("name", ["pool", "dropout", "norm", "columns"])
def test_models_learn_the_same(name, cache_of, monkeypatch):
    x, y = RNG.standard_normal((9, 12, 12, 1)).astype("float32"), RNG.standard_normal((9, 3)).astype("float32")
    results, counts = [], []
    init = Plan.__init__

    def counting(self, *args, **kwargs):
        init(self, *args, **kwargs)
        counts[-1] += len(chains_of(self))

    monkeypatch.setattr(Plan, "__init__", counting)
    for size in (1 << 40, 20000):
        cache_of(size)
        counts.append(0)
        tf.random.set_seed(5)
        model = _model(name)
        losses = [model.train_on_batch(x, y) for _ in range(3)]
        results.append([*losses, *model.get_weights(), model.predict(x)])
    assert counts[0] == 0 and counts[1] >= 1
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(other, one, 1e-4, 1e-5)


def test_the_size_of_the_cache(tmp_path):
    assert second_level_bytes() >= 1 << 17
    for index, level, size in ((0, 1, "48K"), (1, 2, "3M")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "level").write_text(f"{level}\n")
        (tmp_path / f"index{index}" / "size").write_text(size + "\n")
    assert second_level_bytes(tmp_path) == 3 << 20
    assert second_level_bytes(tmp_path / "none") == 1 << 20
