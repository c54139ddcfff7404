"""The functional API: graphs of layers, ops on symbolic tensors, models in models."""

from __future__ import annotations

import json

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.layers import naming

L, keras = tf.keras.layers, tf.keras
ONES = np.ones((2, 3), "float32")


@pytest.fixture(autouse=True)
def fresh_names():
    naming.reset_uids()


# --- symbolic tensors


def test_symbolic_tensors_describe_themselves():
    x = keras.Input((3, None), name="x", dtype="float64")
    assert repr(x) == "<tf.Tensor 'x:0' shape=(None, 3, None) dtype=float64>"
    y = L.Dense(2, name="d")(keras.Input((3,)))
    assert (y.name, y.shape, y.dtype) == ("d/Identity:0", tf.TensorShape([None, 2]), tf.float32)


@pytest.mark.parametrize(
    "use",
    [bool, float, len, list, np.asarray, lambda x: x.numpy(), lambda x: 1 if x > 0 else 0],
    ids=["bool", "float", "len", "list", "asarray", "numpy", "if"],
)
def test_symbolic_tensors_are_not_values(use):
    with pytest.raises(TypeError, match="symbolic tensor"):
        use(keras.Input((3,), name="x"))


def test_unknown_sizes_stay_unknown_and_known_ones_are_exact():
    x = keras.Input((None, 8), name="x")
    assert L.Permute((2, 1))(x).shape == [None, 8, None]
    assert L.Dense(4)(x).shape == [None, None, 4]
    assert L.GlobalMaxPooling1D()(x).shape == [None, 8]
    assert L.Reshape((-1, 4))(x).shape == [None, None, 4]
    assert L.Flatten()(x).shape == [None, None]
    image = keras.Input((None, None, 3))
    assert L.Conv2D(5, 3, strides=2)(image).shape == [None, None, None, 5]
    assert L.GlobalAveragePooling2D()(image).shape == [None, 3]
    assert L.Dense(4)(keras.Input((8,), batch_size=7)).shape == [7, 4]


# --- ops on symbolic tensors


OPS = {
    "operators": lambda x: (2.0 * x - 1.0) / (x * x + 1.0) + -x,
    "reductions": lambda x: tf.reduce_mean(x, axis=-1, keepdims=True) + tf.reduce_max(x, axis=1, keepdims=True),
    "indexing": lambda x: x[:, 1:, tf.newaxis] * x[..., :1, None],
    "matmul": lambda x: x @ tf.constant([[1.0], [2.0], [3.0]]),
    "lists": lambda x: tf.concat([x, tf.stack([x, x], axis=0)[0]], axis=1),
    "nn": lambda x: tf.nn.relu(x) + tf.nn.softmax(x),
    "comparisons": lambda x: tf.where(x > 0.5, x, tf.zeros_like(x)),
    "casts": lambda x: tf.cast(tf.cast(x * 10.0, tf.int32), tf.float32),
    "shapes": lambda x: tf.reshape(x, (tf.shape(x)[0], 3, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", OPS)
def test_ops_on_symbolic_tensors_become_layers(name):
    x = keras.Input((3,), name="x")
    y = OPS[name](x)
    model = keras.Model(x, y)
    data = np.random.RandomState(0).rand(4, 3).astype("float32")
    expected = OPS[name](tf.constant(data)).numpy()
    np.testing.assert_allclose(model(data).numpy(), expected, rtol=1e-6)
    assert tuple(y.shape)[1:] == expected.shape[1:] and y.shape[0] is None
    copy = keras.models.model_from_json(model.to_json())
    np.testing.assert_allclose(copy(data).numpy(), expected, rtol=1e-6)


def test_op_layers_are_named_after_their_ops():
    x = keras.Input((3,), name="x")
    model = keras.Model(x, (x + 1.0) + 2.0)
    assert [layer.name for layer in model.layers] == ["x", "tf_op_layer_add", "tf_op_layer_add_1"]


def test_an_op_s_name_is_its_layer_s():
    x = tf.keras.Input((2,), name="x")
    model = tf.keras.Model(x, tf.add(tf.square(x, name="squared"), tf.square(x, name="squared")))
    assert [layer.name for layer in model.layers[1:]] == [
        "tf_op_layer_squared",
        "tf_op_layer_squared_1",
        "tf_op_layer_add",
    ]


def test_variables_in_ops_are_trained():
    scale = tf.Variable(2.0, name="scale")
    x = keras.Input((1,))
    model = keras.Model(x, x * scale)
    assert [weight is scale for weight in model.trainable_weights] == [True]


# --- graphs


def test_layers_are_looked_up_by_name_and_index():
    x = keras.Input((3,), name="x")
    model = keras.Model(x, L.Dense(2, name="d")(x))
    assert model.get_layer("d") is model.layers[1] is model.get_layer(index=1)
    with pytest.raises(ValueError, match="No such layer: e"):
        model.get_layer("e")
    with pytest.raises(ValueError, match="index 5 but model only has 2"):
        model.get_layer(index=5)
    with pytest.raises(ValueError, match="name or layer index"):
        model.get_layer()


def test_ends_and_shapes():
    x, y = keras.Input((3,)), keras.Input((4,))
    model = keras.Model([x, y], [L.Dense(2)(x), L.Dense(5)(y)])
    assert model.input_shape == [(None, 3), (None, 4)] and model.output_shape == [(None, 2), (None, 5)]
    assert model.input[0] is x and model.outputs[1].shape == [None, 5]
    assert model.compute_output_shape([(None, 3), (None, 4)]) == [(None, 2), (None, 5)]
    single = keras.Model(x, L.Dense(2)(x))
    assert single.input is x and single.output_shape == (None, 2)
    assert single(ONES).shape == (2, 2)


def test_layers_know_their_calls():
    x, y = keras.Input((3,)), keras.Input((3,))
    layer = L.Dense(2, name="d")
    with pytest.raises(AttributeError, match="not connected"):
        layer.input  # noqa: B018
    with pytest.raises(AttributeError, match="never been called"):
        layer.output_shape  # noqa: B018
    first = layer(x)
    assert layer.input is x and layer.output is first
    second = layer(y)
    assert layer.get_output_at(1) is second and layer.output_shape == (None, 2)
    with pytest.raises(AttributeError, match="multiple inbound nodes"):
        layer.output  # noqa: B018
    with pytest.raises(ValueError, match="at node 2, but the layer d has only 2"):
        layer.get_input_at(2)


def test_part_of_a_model_is_a_model():
    x = keras.Input((3,))
    hidden = L.Dense(4, name="hidden")(x)
    model = keras.Model(x, L.Dense(2)(hidden))
    features = keras.Model(model.input, model.get_layer("hidden").output)
    assert features(ONES).shape == (2, 4) and features.layers[1] is model.layers[1]


def test_arguments_of_calls_are_kept():
    x = keras.Input((3,))
    y = L.Dropout(0.5)(x, training=True)
    model = keras.Model(x, y)
    for one in (model, keras.models.model_from_json(model.to_json()), keras.models.clone_model(model)):
        assert (one(np.ones((50, 3), "float32"), training=False).numpy() == 0).any()


def test_symbolic_tensors_as_keyword_arguments():
    class Scale(L.Layer):
        def call(self, inputs, factor=None):
            return inputs * factor

    x, factor = keras.Input((3,), name="x"), keras.Input((1,), name="factor")
    model = keras.Model([x, factor], Scale(name="scale")(x, factor=factor))
    with keras.utils.custom_object_scope({"Scale": Scale}):
        copy = keras.models.model_from_json(model.to_json())
    for one in (model, copy, keras.models.clone_model(model)):
        np.testing.assert_array_equal(one([ONES, np.full((2, 1), 3.0, "float32")]).numpy(), 3 * ONES)


def test_inputs_by_name_position_and_missing_axis():
    x, y = keras.Input((3,), name="x"), keras.Input((1,), name="y")
    model = keras.Model([x, y], L.Concatenate()([x, y]))
    expected = np.array([[1, 1, 1, 5], [1, 1, 1, 5]], "float32")
    np.testing.assert_array_equal(model([ONES, np.full(2, 5.0)]).numpy(), expected)
    np.testing.assert_array_equal(model({"y": np.full((2, 1), 5), "x": ONES}).numpy(), expected)
    with pytest.raises(ValueError, match="expects 2 inputs, .'x', 'y'., but it received 1"):
        model(ONES)
    with pytest.raises(ValueError, match="Missing data for input 'y'"):
        model({"x": ONES})


def test_training_reaches_the_layers():
    x = keras.Input((3,))
    model = keras.Model(x, L.Dropout(0.5)(x))
    data = np.ones((50, 3), "float32")
    assert (model(data).numpy() == 1).all()
    assert (model(data, training=True).numpy() == 0).any()
    assert (model.call(tf.constant(data), training=True).numpy() == 0).any()
    outer = keras.Input((3,))
    assert (keras.Model(outer, model(outer))(data, training=True).numpy() == 0).any()


def test_masks_go_through_models():
    x = keras.Input((None,))
    h = L.Embedding(4, 2, mask_zero=True, embeddings_initializer="ones")(x)
    model = keras.Model(x, L.Dense(1, kernel_initializer="ones")(h))
    out = model(np.array([[1, 0, 2]]))
    assert out._keras_mask.numpy().tolist() == [[True, False, True]]
    pooled = keras.Model(x, L.GlobalAveragePooling1D()(model(x)))
    np.testing.assert_array_equal(pooled(np.array([[1, 0, 2]])).numpy(), [[2.0]])


def test_freezing_a_nested_model_freezes_its_layers():
    x = keras.Input((3,))
    inner = keras.Model(x, L.Dense(2, kernel_regularizer="l2")(x))
    outer = keras.Model(x, L.Dense(1)(inner(x)))
    inner.trainable = False
    assert len(outer.trainable_weights) == 2 and len(outer.non_trainable_weights) == 2
    assert len(outer.losses) == 1


def disconnected():
    return keras.Model(keras.Input((3,)), L.Dense(2)(keras.Input((3,), name="other")))


def of_hidden():
    hidden = L.Dense(2, name="hidden")(keras.Input((3,)))
    return keras.Model(hidden, L.Dense(1)(hidden))


def twice_named():
    x = keras.Input((3,))
    return keras.Model(x, L.Dense(2, name="d")(L.Dense(2, name="d")(x)))


def redundant():
    x = keras.Input((3,))
    return keras.Model([x, x], L.Dense(2)(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (disconnected, 'Graph disconnected: cannot obtain value for tensor .* at layer "other"'),
        (of_hidden, "must come from `tf.keras.Input`. Received .*'hidden'"),
        (twice_named, 'The name "d" is used 2 times'),
        (redundant, "redundant"),
        (lambda: keras.Model(keras.Input((3,)), tf.ones((2, 3))), "Output tensors to a Model must be symbolic"),
        (lambda: keras.Model(inputs=keras.Input((3,))), "needs both `inputs` and `outputs`"),
    ],
)
def test_wrong_graphs_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["layers"][1].update(class_name="Dens"), "Unknown layer: 'Dens'.*Did you mean 'Dense'"),
        (lambda c: c["layers"][1]["inbound_nodes"][0][0].__setitem__(0, "y"), "refers to the layer 'y'"),
        (lambda c: c["layers"][1]["inbound_nodes"][0][0].__setitem__(1, 3), "depend on calls that it does not have"),
        (lambda c: c["output_layers"][0].__setitem__(2, 4), "output 4 of layer 'd', which has 1"),
        (lambda c: c["output_layers"][0].__setitem__(1, 4), r"refers to the call \['d', 4, 0\]"),
    ],
)
def test_broken_configs_are_refused(change, message):
    x = keras.Input((3,), name="x")
    entry = json.loads(keras.Model(x, L.Dense(2, name="d")(x)).to_json())
    change(entry["config"])
    with pytest.raises(ValueError, match=message):
        keras.models.model_from_json(json.dumps(entry))


# --- losses and metrics of symbolic tensors


def test_losses_and_metrics_of_symbolic_tensors():
    x = keras.Input((3,), name="x")
    hidden = L.Dense(2, kernel_initializer="ones", name="hidden")(x)
    model = keras.Model(x, L.Dense(1, name="out")(hidden))
    model.add_loss(tf.reduce_mean(hidden) * 2.0)
    model.add_metric(hidden, name="size", aggregation="mean")
    copy = keras.models.model_from_json(model.to_json())
    copy.set_weights(model.get_weights())
    for one in (model, copy, keras.models.clone_model(model)):
        one(ONES)
        assert [float(loss) for loss in one.losses] == [6.0]
        assert [(metric.name, float(metric.result())) for metric in one.metrics] == [("size", 3.0)]
        assert one.output_names == ["out"]


def test_a_model_in_a_model_adds_its_losses_for_each_call():
    x = keras.Input((3,))
    inner = keras.Model(x, L.ActivityRegularization(l1=1.0)(x))
    outer = keras.Model(x, L.Add()([inner(x), inner(x)]))
    outer(ONES)
    assert [float(loss) for loss in outer.losses] == [3.0, 3.0]


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_losses_of_a_model_that_was_never_called_are_symbols(run_eagerly):
    x, shared = keras.Input((3,)), L.Dense(2, activity_regularizer="l2", kernel_regularizer="l1")
    model = keras.Model(x, L.Add()([shared(x), shared(x)]))
    model.add_loss(tf.reduce_sum(model.output))
    symbols = [loss for loss in model.losses if isinstance(loss, type(x))]
    assert len(model.losses) == 4 and [loss.shape.rank for loss in symbols] == [0, 0, 0]
    nested = keras.Sequential([L.Bidirectional(L.LSTM(2, activity_regularizer="l2"))])
    assert nested.losses == []
    nested.build((None, 3, 1))
    assert len(nested.losses) == 2
    model(ONES)
    assert not any(isinstance(loss, type(x)) for loss in model.losses) and len(model.losses) == 4
    model.compile("sgd", "mse", run_eagerly=run_eagerly)
    model.fit(ONES, ONES[:, :2], verbose=0)
    assert len(model.losses) == 4


def test_layers_that_need_values_declare_their_shape():
    class Sorted(L.Layer):
        def call(self, inputs):
            return tf.constant(np.sort(inputs.numpy(), axis=-1))

        def compute_output_shape(self, input_shape):
            return input_shape

    x = keras.Input((3,))
    model = keras.Model(x, Sorted(dynamic=True)(x))
    assert model.dynamic and model.output_shape == (None, 3)
    np.testing.assert_array_equal(model(np.array([[3.0, 1.0, 2.0]])).numpy(), [[1.0, 2.0, 3.0]])
    assert keras.Model(x, Sorted()(x)).output_shape == (None, 3)
    with pytest.raises(NotImplementedError, match="compute_output_shape"):
        L.Lambda(lambda v: v, dynamic=True).__class__.__mro__[1](dynamic=True)(x)
