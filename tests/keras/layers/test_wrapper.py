"""TimeDistributed and wrappers of one's own."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

L = tf.keras.layers
X = np.arange(48, dtype="float32").reshape(2, 4, 6) / 48


class Centered(L.Layer):
    """Depends on the batch it is given."""

    def call(self, inputs):
        return inputs - tf.reduce_mean(inputs, axis=0, keepdims=True)


class Halved(L.Wrapper):
    def call(self, inputs):
        return self.layer(inputs) * 0.5


class MaskedSum(L.Layer):
    def call(self, inputs, mask=None):
        kept = inputs if mask is None else inputs * tf.cast(mask, inputs.dtype)[..., tf.newaxis]
        return tf.reduce_sum(kept, axis=1)


def test_a_layer_of_ones_own_with_a_fixed_batch_is_applied_step_by_step():
    np.testing.assert_allclose(L.TimeDistributed(Centered())(X), X - X.mean(0), atol=1e-6)
    fixed = tf.keras.Input(batch_shape=(2, 4, 6))
    np.testing.assert_allclose(tf.keras.Model(fixed, L.TimeDistributed(Centered())(fixed))(X), X - X.mean(0), atol=1e-6)
    free = tf.keras.Input((4, 6))
    np.testing.assert_allclose(
        tf.keras.Model(free, L.TimeDistributed(Centered())(free))(X), X - X.mean((0, 1)), atol=1e-6
    )


def test_masked_steps_repeat_the_output_before():
    inputs = tf.constant(X)
    inputs._keras_mask = tf.constant([[False, True, False, True], [True, True, True, False]])
    outputs = L.TimeDistributed(Centered())(inputs).numpy()
    centered = X - X.mean(0)
    expected = np.stack([[0 * X[0, 0], centered[0, 1], centered[0, 1], centered[0, 3]],
                         [*centered[1, :3], centered[1, 2]]])  # fmt: skip
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_masks_within_steps_reach_the_layer():
    inputs = tf.ones((2, 3, 4, 5))
    inputs._keras_mask = tf.constant(np.arange(24).reshape(2, 3, 4) % 3 == 0)
    outputs = L.TimeDistributed(MaskedSum())(inputs)
    free = tf.keras.Input((3, 4, 5))
    layer = L.TimeDistributed(MaskedSum())
    layer(free)
    np.testing.assert_array_equal(layer(inputs)[..., 0], inputs._keras_mask.numpy().sum(-1))
    assert outputs.shape == (2, 3, 5)
    assert layer(inputs)._keras_mask.numpy().tolist() == inputs._keras_mask.numpy().any(-1).tolist()


def test_a_layer_that_knows_no_masks_keeps_that_of_the_steps():
    inputs = tf.ones((2, 3, 4))
    inputs._keras_mask = tf.constant([[True, False, True]] * 2)
    assert L.TimeDistributed(L.Flatten())(inputs)._keras_mask.numpy().tolist() == [[True, False, True]] * 2


def test_activities_are_regularised_once():
    layer = L.TimeDistributed(L.Dense(3, activity_regularizer=tf.keras.regularizers.l2(1.0)))
    outputs = layer(X)
    assert [float(loss) for loss in layer.losses] == pytest.approx([float((outputs.numpy() ** 2).sum() / len(X))])


@pytest.mark.parametrize("inner", [
    lambda: tf.keras.Sequential([L.Dense(3), L.Dense(2)]),
    lambda: tf.keras.Sequential([L.Dense(3, input_shape=(6,)), L.BatchNormalization(), L.Dense(2)]),
    lambda: Halved(L.Dense(2)),
])  # fmt: skip
def test_models_and_wrappers_inside_train_and_are_saved(inner, tmp_path):
    inputs = tf.keras.Input((4, 6))
    model = tf.keras.Model(inputs, L.TimeDistributed(inner(), name="steps")(inputs))
    assert model.output_shape == (None, 4, 2)
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, np.zeros((2, 4, 2)), verbose=0)
    assert any((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "model.h5")
    loaded = tf.keras.models.load_model(tmp_path / "model.h5", custom_objects={"Halved": Halved})
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_a_model_inside_runs_once_and_its_mask_goes_on():
    inner = tf.keras.Sequential([L.Masking(), L.BatchNormalization(momentum=0.0)])
    layer = L.TimeDistributed(inner)
    steps = np.stack([X, 0 * X], axis=2)
    outputs = layer(steps, training=True)
    np.testing.assert_allclose(inner.layers[1].moving_mean.numpy(), steps.mean((0, 1, 2)), rtol=1e-5)
    kept = outputs._keras_mask.numpy()
    assert kept.shape == (2, 4, 2) and kept[..., 0].all() and not kept[..., 1].any()
    half = tf.keras.Sequential([L.BatchNormalization(momentum=0.5)])
    L.TimeDistributed(half)(X, training=True)
    np.testing.assert_allclose(half.layers[0].moving_mean.numpy(), X.mean((0, 1)) / 2, rtol=1e-5)


def test_weights_are_named_after_the_wrapper():
    layer = L.TimeDistributed(L.Dense(2), name="steps")
    layer(X)
    assert [weight.name for weight in layer.weights] == ["steps/kernel:0", "steps/bias:0"]
    layer.trainable = False
    assert not layer.layer.trainable and not layer.trainable_weights
