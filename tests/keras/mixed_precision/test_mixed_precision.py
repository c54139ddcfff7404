"""Policies, loss scales and LossScaleOptimizer: as tf_keras computes, and what is asked of every part of training."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.mixed_precision import policy as policies
from distkeras.keras.saving.translate import plain_config
from tests.keras.mixed_precision import models

RECORDED = np.load(Path(__file__).parent / "data" / "mixed.npz")
layers, optimizers = tf.keras.layers, tf.keras.optimizers
Policy, LossScaleOptimizer, global_policy, set_policy = (
    getattr(tf.keras.mixed_precision.experimental, name)
    for name in ("Policy", "LossScaleOptimizer", "global_policy", "set_policy")
)
DynamicLossScale, FixedLossScale = tf.train.experimental.DynamicLossScale, tf.train.experimental.FixedLossScale


@pytest.fixture
def mixed():
    set_policy("mixed_float16")
    yield
    set_policy(None)


def scale_of(optimizer):
    return float(optimizer.loss_scale()), int(optimizer.iterations)


# --- policies


@pytest.mark.parametrize(
    ("name", "compute", "variables"),
    [
        ("float16", "float16", "float16"),
        ("float32", "float32", "float32"),
        ("float64", "float64", "float64"),
        ("mixed_float16", "float16", "float32"),
        ("infer", None, None),
    ],
)
def test_types_of_a_policy(name, compute, variables):
    policy = Policy(name)
    assert (policy.name, policy.compute_dtype, policy.variable_dtype) == (name, compute, variables)
    assert policy.should_cast_variables == (name == "mixed_float16")
    assert (policy.loss_scale is None) == (name != "mixed_float16")
    assert policies.get(policies.serialize(policy)).name == (name if compute else tf.keras.backend.floatx())


def test_configs_of_layers_hold_policies():
    assert layers.Dense(1, dtype="float64").get_config()["dtype"] == "float64"
    assert layers.Dense(1).get_config()["dtype"] == "float32"
    written = layers.Dense(1, dtype=Policy("mixed_float16", loss_scale=8)).get_config()["dtype"]
    scale = {"class_name": "FixedLossScale", "config": {"loss_scale_value": 8.0}}
    assert written == {"class_name": "Policy", "config": {"name": "mixed_float16", "loss_scale": scale}}
    read = layers.Dense.from_config({"units": 1, "dtype": json.loads(json.dumps(written))})
    assert read._policy.compute_dtype == "float16"
    assert float(read._policy.loss_scale()) == 8.0
    later = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
    entry = {"class_name": "Dense", "config": {"units": 1, "dtype": later}}
    assert layers.deserialize(plain_config(entry))._compute_dtype == "float16"
    assert plain_config(written) == written


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Policy(tf.float16), TypeError, "must be a string"),
        (lambda: Policy("mixed_int8"), ValueError, "Cannot convert value 'mixed_int8'"),
        (lambda: Policy("mixed_bfloat16"), ValueError, "NumPy has no bfloat16"),
        (lambda: Policy("float16", loss_scale="high"), ValueError, "Could not interpret loss scale identifier 'high'"),
        (lambda: layers.Dense(1, dtype={"class_name": "Dense", "config": {}}), ValueError, "Expected the config of a"),
        (lambda: FixedLossScale(0.5), ValueError, "at least 1"),
        (lambda: FixedLossScale("8"), ValueError, "must be a Python int or float"),
        (lambda: DynamicLossScale(multiplier=1), ValueError, "multiplier must be more than 1"),
        (lambda: DynamicLossScale(increment_period=0), ValueError, "increment_period must be a number of steps"),
        (lambda: LossScaleOptimizer(optimizers.SGD(), None), ValueError, "loss_scale cannot be None"),
        (lambda: LossScaleOptimizer("sgd", 8), ValueError, '"optimizer" must be one of tf.keras.optimizers'),
        (lambda: LossScaleOptimizer(optimizers.SGD(clipnorm=1.0), 8), ValueError, "with a clipnorm"),
        (lambda: LossScaleOptimizer(optimizers.SGD(clipvalue=1.0), 8), ValueError, "with a clipvalue"),
        (lambda: tf.train.experimental.enable_mixed_precision_graph_rewrite(None), NotImplementedError, "only CPUs"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_loss_scale_without_float16_is_warned_of():
    with pytest.warns(UserWarning, match="of use only where gradients are float16"):
        Policy("float32", loss_scale=2)


def test_the_global_policy_is_that_of_layers_made_after_it_is_set():
    before = layers.Dense(1)
    set_policy("mixed_float16")
    try:
        assert global_policy().name == "mixed_float16"
        assert (layers.Dense(1)._compute_dtype, layers.Dense(1).dtype) == ("float16", "float32")
        assert before._compute_dtype == tf.keras.Input((1,)).dtype.name == tf.keras.metrics.Mean().dtype == "float32"
    finally:
        set_policy(None)
    assert layers.Dense(1)._compute_dtype == global_policy().name == "float32"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_infer_takes_the_type_of_the_first_input(dtype):
    layer = layers.Dense(2, dtype=Policy("infer"))
    assert layer.dtype is None and layer.get_config()["dtype"] is None
    assert layer(tf.ones((1, 3), dtype)).dtype.name == layer.dtype == layer.kernel.dtype.name == dtype


def test_variables_are_cast_in_call_only_and_written_as_they_are():
    class Count(layers.Layer):
        def build(self, input_shape):
            self.total = self.add_weight("total", (), initializer="zeros", trainable=False)
            self.whole = self.add_weight("whole", (), initializer="ones", experimental_autocast=False)

        def call(self, inputs):
            self.total.assign_add(tf.reduce_sum(inputs) + 2.0**-11)
            self.seen = self.total.dtype, (1.0 * self.total).dtype, self.whole.value().dtype
            return inputs * self.total

    layer = Count(dtype=Policy("mixed_float16"))
    assert layer(tf.ones((2,))).dtype == tf.float16
    assert layer.seen == (tf.float16, tf.float16, tf.float32)
    layer(tf.constant([1.0 + 2.0**-10, 2.0**-10]))
    assert layer.total.dtype == layer.total.value().dtype == tf.float32
    # float16 rounds the sums to be added, and keeps no more of them beside 2; float32 keeps what it was given.
    assert float(layer.total) == 2.0 + float(np.float16(1.0 + 2.0**-9) + np.float16(2.0**-11))


# --- against tf_keras


@pytest.mark.parametrize("compiled", [False, True])
def test_outputs_and_training_are_those_of_tf_keras(compiled):
    model = models.network(tf, Policy("mixed_float16"))
    model.set_weights(models.weights(model))
    inner = tf.keras.Model(model.input, [layer.output for layer in model.layers[1:]])
    for i, value in enumerate(inner(models.IMAGES)):
        assert value.dtype == RECORDED[f"output{i}"].dtype
        np.testing.assert_allclose(value[:4].numpy(), RECORDED[f"output{i}"], rtol=4e-3, atol=4e-3)
    optimizer = LossScaleOptimizer(optimizers.SGD(0.1, momentum=0.9), DynamicLossScale(2.0**19, increment_period=2))
    if compiled:
        model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=False)
        losses = [model.train_on_batch(models.IMAGES, models.CLASSES) for _ in range(models.STEPS)]
    else:
        losses = models.train(tf, model, optimizer)
    np.testing.assert_allclose(losses, RECORDED["losses"], rtol=3e-3)
    assert 0 < int(optimizer.iterations) < models.STEPS  # some steps overflowed; tf_keras counts these too
    assert float(optimizer.loss_scale()) == RECORDED["scale"][0]
    for i, weight in enumerate(model.get_weights()):
        np.testing.assert_allclose(weight, RECORDED[f"weight{i}"], rtol=4e-3, atol=4e-3)


# --- loss scales


def test_dynamic_scales_grow_and_shrink():
    scale = DynamicLossScale(initial_loss_scale=4, increment_period=2, multiplier=2)
    good, bad = [tf.constant([1.0]), None], [tf.constant([1.0]), tf.constant(np.nan)]
    seen = []
    for gradients in (good, good, good, bad, bad, bad, bad):
        applied = scale.update(gradients)[1]
        seen.append((bool(applied), float(scale())))
    assert seen == [(True, 4), (True, 8), (True, 8), (False, 4), (False, 2), (False, 1), (False, 1)]
    largest = DynamicLossScale(initial_loss_scale=3e38, increment_period=1)
    assert bool(largest.update(good)[1]) and float(largest()) == float(np.float32(3e38))


def test_a_fixed_scale_stays_and_leaves_nothing_out():
    variable, optimizer = tf.Variable(1.0), LossScaleOptimizer(optimizers.SGD(0.5), 16)
    optimizer.apply_gradients([(tf.constant(np.inf), variable)])
    assert float(variable) == -np.inf and scale_of(optimizer) == (16.0, 1)


# --- the optimizer

MAKERS = {
    "SGD": lambda: optimizers.SGD(0.1, momentum=0.9),
    "Adam": lambda: optimizers.Adam(0.01),
    "clipped": lambda: optimizers.SGD(0.1, global_clipnorm=0.5),
    "accumulating": lambda: optimizers.SGD(0.1, gradient_accumulation_steps=2),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", MAKERS)
def test_steps_that_are_not_finite_are_as_if_they_had_not_been(name, compiled):
    rows, finite = tf.Variable(np.ones((4, 2), "float32")), tf.Variable(np.ones(3, "float32"))
    twin_rows, twin = tf.Variable(rows), tf.Variable(finite)
    optimizer, plain = LossScaleOptimizer(MAKERS[name](), DynamicLossScale(2.0**10)), MAKERS[name]()

    def step(optimizer, rows, finite, factor):
        def loss():
            return tf.reduce_sum(tf.gather(rows, [1, 2, 1]) ** 2) + tf.reduce_sum(finite**2) * factor

        optimizer.minimize(loss, [rows, finite])

    ours = (
        tf.function(lambda factor: step(optimizer, rows, finite, factor))
        if compiled
        else (lambda factor: step(optimizer, rows, finite, factor))
    )
    for factor in (1.0, 2.0, np.inf, np.nan, 3.0, 1.0):
        ours(tf.constant(factor, "float32"))
        if np.isfinite(factor):
            step(plain, twin_rows, twin, factor)
    np.testing.assert_allclose(rows.numpy(), twin_rows.numpy(), rtol=1e-6)
    np.testing.assert_allclose(finite.numpy(), twin.numpy(), rtol=1e-6)
    skipped = 1 if name == "accumulating" else 2  # of an update's batches one suffices
    assert scale_of(optimizer) == (2.0 ** (10 - skipped), int(plain.iterations))


def test_what_is_not_of_scaling_is_the_optimizer_s_inside():
    inner = optimizers.Adam(0.5)
    optimizer = LossScaleOptimizer(inner, "dynamic")
    assert isinstance(optimizer, optimizers.Optimizer)
    optimizer.lr = 0.25
    variable = tf.Variable([1.0])
    optimizer.apply_gradients([(tf.constant([1.0]), variable)])
    assert float(inner.learning_rate) == float(optimizer.learning_rate) == 0.25
    assert optimizer.weights == inner.weights and optimizer.get_slot(variable, "m") is inner.get_slot(variable, "m")
    assert optimizers.get(optimizer) is optimizer
    inner.apply_gradients([(tf.constant([np.nan]), variable)])  # is not asked
    assert np.isnan(variable.numpy())


def test_it_is_read_from_configs_of_any_version():
    optimizer = LossScaleOptimizer(optimizers.SGD(0.25), DynamicLossScale(8, increment_period=3))
    later = {"inner_optimizer": optimizers.serialize(optimizers.SGD(0.25)), "dynamic": True, "initial_scale": 8.0}
    later = {"class_name": "LossScaleOptimizer", "config": {**later, "dynamic_growth_steps": 3}}
    for config in (json.loads(json.dumps(optimizers.serialize(optimizer))), later):
        read = optimizers.deserialize(config)
        assert optimizers.serialize(read) == optimizers.serialize(optimizer)


def test_optimizers_by_variable_are_refused():
    class Own(optimizers.Optimizer):
        def _resource_apply_dense(self, grad, var, apply_state=None):
            return var.assign_sub(grad)

    with pytest.raises(ValueError, match="needs an optimizer that defines `update`; Own updates variable by variable"):
        LossScaleOptimizer(Own("own"), 8)


# --- models

X, Y = np.linspace(-1, 1, 24, dtype="float32").reshape(8, 3), np.ones((8, 2), "float32")


def compiled_model(**options):
    model = tf.keras.Sequential([layers.Dense(4, "tanh", input_shape=(3,)), layers.Dense(2, dtype="float32")])
    model.compile(optimizers.Adam(0.01), "mse", **options)
    return model


def test_compile_scales_by_the_model_s_policy(mixed):
    first, second = compiled_model(), compiled_model()
    first.fit(X, Y, verbose=0)
    assert isinstance(first.optimizer, LossScaleOptimizer)
    assert first.optimizer.loss_scale._good_steps.numpy() == 1 and second.optimizer.loss_scale._good_steps.numpy() == 0
    set_policy("float32")
    assert type(compiled_model().optimizer) is optimizers.Adam
    set_policy(Policy("mixed_float16", loss_scale=None))
    assert type(compiled_model().optimizer) is optimizers.Adam


def test_plans_train_as_steps_op_by_op_do(mixed):
    results = []
    for eagerly in (True, False):
        tf.keras.backend.clear_session()
        tf.random.set_seed(1)
        model = compiled_model(run_eagerly=eagerly)
        model.optimizer.loss_scale._current.assign(2.0**19)  # overflows at first
        losses = model.fit(X, Y, epochs=6, batch_size=4, verbose=0).history["loss"]
        results.append((losses, scale_of(model.optimizer), model.get_weights()))
    (losses, scale, weights), (others, other_scale, other_weights) = results
    assert scale == other_scale and scale[1] < 12
    np.testing.assert_allclose(losses, others, rtol=1e-6)
    for mine, theirs in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize("form", ["h5", "tf", "keras"])
def test_saved_models_keep_their_policies(mixed, tmp_path, form):
    model, path = compiled_model(), str(tmp_path / f"model.{form}")
    model.fit(X, Y, epochs=2, verbose=0)
    if form == "keras":
        with pytest.raises(ValueError, match="A LossScaleOptimizer cannot be written to an archive"):
            model.save(path, save_format="keras_v3")
    model.save(path, include_optimizer=form != "keras", save_format="keras_v3" if form == "keras" else form)
    set_policy(None)
    if form == "h5":  # as Keras 3 and tf_keras both read it
        with h5py.File(path) as file:
            written = json.loads(file.attrs["model_config"])["config"]["layers"]
        assert [entry["config"]["dtype"] for entry in written] == ["float32", "mixed_float16", "float32"]
    loaded = tf.keras.models.load_model(path, compile=form != "keras")
    assert [layer._compute_dtype for layer in loaded.layers] == ["float16", "float32"]
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    if form != "keras":
        assert isinstance(loaded.optimizer, LossScaleOptimizer)
        loaded.fit(X, Y, verbose=0), model.fit(X, Y, verbose=0)
        np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_checkpoints_hold_the_loss_scale(mixed, tmp_path):
    model = compiled_model()
    model.optimizer.loss_scale._current.assign(2.0**60)
    model.fit(X, Y, batch_size=2, verbose=0)
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "state"))
    names = [name for name, _ in tf.train.list_variables(path)]
    assert "optimizer/loss_scale/current_loss_scale/.ATTRIBUTES/VARIABLE_VALUE" in names
    other = compiled_model()
    tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(path)
    assert scale_of(other.optimizer) == scale_of(model.optimizer) != (2.0**15, 0)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
