"""The rest of what Layer has in TensorFlow 2.0: scopes, signatures, structures of inputs and outputs, eager layers."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

L = tf.keras.layers

# The attributes that TensorFlow 2.0's page of Layer lists.
ATTRIBUTES = """
activity_regularizer dtype dynamic input input_mask input_shape input_spec losses metrics name name_scope
non_trainable_variables non_trainable_weights output output_mask output_shape submodules trainable
trainable_variables trainable_weights updates variables weights add_loss add_metric add_update add_variable
add_weight apply build call compute_mask compute_output_shape compute_output_signature count_params from_config
get_config get_input_at get_input_mask_at get_input_shape_at get_losses_for get_output_at get_output_mask_at
get_output_shape_at get_updates_for get_weights set_weights with_name_scope inbound_nodes outbound_nodes stateful
supports_masking
""".split()


def test_every_attribute_is_there():
    layer = L.Dense(2)
    layer(tf.keras.Input((3,)))
    for name in ATTRIBUTES:
        getattr(layer, name)


def test_scopes():
    class Twice(L.Layer):
        @L.Layer.with_name_scope
        def grow(self):
            return self.add_weight("w", ())

    layer = Twice(name="twice")
    assert layer.grow().name == "twice/w:0"
    with layer.name_scope as scope:
        assert scope == "twice/" and layer.add_variable("v", ()).name == "twice/v:0"


def test_apply_is_a_call_and_dense_takes_whole_numbers():
    layer = L.Dense(2, kernel_initializer="ones")
    assert layer.apply(tf.constant([[1, 2]])).numpy().tolist() == [[3.0, 3.0]]
    assert layer(np.array([[True, False]])).numpy().tolist() == [[1.0, 1.0]]
    inputs = tf.keras.Input((2,), dtype="int32")
    assert tf.keras.Model(inputs, layer(inputs)).predict(np.array([[1, 2]])).tolist() == [[3.0, 3.0]]


def test_signatures_of_outputs():
    spec = L.Dense(3).compute_output_signature(tf.TensorSpec((None, 2), tf.float32))
    assert spec == tf.TensorSpec((None, 3), tf.float32)
    pair = [tf.TensorSpec((None, 2), tf.float32), tf.TensorSpec((None, 4), tf.float32)]
    assert L.Concatenate().compute_output_signature(pair).shape.as_list() == [None, 6]


class Mixer(L.Layer):
    def call(self, inputs):
        first, (second, third) = inputs["first"], inputs["rest"]
        return {"sum": first + second, "pair": (first, [third])}


def test_structures_go_in_and_come_out():
    one, two, three = (tf.keras.Input((2,)) for _ in range(3))
    layer = Mixer()
    outputs = layer({"first": one, "rest": (two, three)})
    assert layer.input_shape == {"first": (None, 2), "rest": ((None, 2), (None, 2))}
    assert layer.output_shape == {"sum": (None, 2), "pair": ((None, 2), [(None, 2)])}
    model = tf.keras.Model({"a": one, "b": [two, three]}, outputs)
    x = np.ones((4, 2), "float32")
    result = model({"a": x, "b": [2 * x, 3 * x]})
    assert float(result["sum"][0, 0]) == 3 and float(result["pair"][1][0][0, 0]) == 3


class Branching(L.Layer):
    """Python decides by values, which only eager tensors have."""

    def call(self, inputs):
        return inputs * 2.0 if float(tf.reduce_sum(inputs)) > 0 else inputs

    def compute_output_shape(self, input_shape):
        return input_shape


def test_dynamic_layers_run_eagerly_inside_of_fit():
    model = tf.keras.Sequential([Branching(dynamic=True, input_shape=(2,)), L.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    assert model.run_eagerly and model.output_shape == (None, 1)
    history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0).history["loss"]
    assert history[0] == pytest.approx(9.0) and history[-1] < history[0]
    with pytest.raises(ValueError, match="can only be run eagerly"):
        model.compile("sgd", "mse", run_eagerly=False)
    with pytest.raises(NotImplementedError, match="must implement compute_output_shape"):
        L.Lambda(lambda x: x, dynamic=True).__class__.__base__(dynamic=True)(tf.keras.Input((2,)))


def test_softmax_over_several_axes_sums_to_one_over_them():
    x = np.random.RandomState(0).standard_normal((2, 3, 4)).astype("float32")
    outputs = L.Softmax(axis=[1, 2])(x).numpy()
    np.testing.assert_allclose(outputs, np.exp(x) / np.exp(x).sum((1, 2), keepdims=True), rtol=1e-5)


def test_the_noise_of_selu_networks_keeps_mean_and_deviation():
    x = np.random.RandomState(0).standard_normal((400, 50)).astype("float32")
    layer = L.AlphaDropout(0.3, seed=1)
    noisy = layer(x, training=True).numpy()
    assert abs(noisy.mean()) < 0.03 and abs(noisy.std() - 1) < 0.03
    assert layer(tf.constant(x)).numpy().tolist() == x.tolist()
    dropped = layer(np.ones_like(x), training=True).numpy() < 0
    assert abs(dropped.mean() - 0.3) < 0.02
    rows = L.AlphaDropout(0.3, noise_shape=(None, 1))(np.ones_like(x), training=True).numpy() < 0
    assert set(rows.mean(axis=1)) == {0.0, 1.0}


def test_volumes_lose_whole_channels():
    outputs = L.SpatialDropout3D(0.5)(np.ones((8, 2, 2, 2, 16), "float32"), training=True).numpy()
    per_channel = outputs.reshape(8, 8, 16)
    assert (per_channel == per_channel[:, :1]).all() and 0 < (outputs == 0).mean() < 1


def test_metrics_of_a_layer_have_names_of_their_own():
    class Twice(L.Layer):
        def __init__(self, *names):
            super().__init__()
            self.first, self.second = (tf.keras.metrics.Mean(name=name) for name in names)

        def call(self, inputs):
            self.add_metric(self.first(inputs))
            self.add_metric(self.second(inputs))
            return inputs

    apart = Twice("a", "b")
    apart(tf.ones((2, 3)))
    assert [metric.name for metric in apart.metrics] == ["a", "b"]
    with pytest.raises(ValueError, match="different names.*2 metrics with the name 'a'"):
        Twice("a", "a")(tf.ones((2, 3)))
