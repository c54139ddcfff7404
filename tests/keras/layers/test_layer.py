"""What every layer does: names, weights, tracking, flags and masks that are passed on, losses and metrics."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.layers import naming
from distkeras.keras.layers.call_context import clear_learning_phase, learning_phase_scope, set_learning_phase

L = tf.keras.layers
ONES = np.ones((2, 3), "float32")


@pytest.fixture(autouse=True)
def fresh_names():
    naming.reset_uids()
    yield
    clear_learning_phase()


class Block(L.Layer):
    """A layer with layers and weights of its own, in every place where they may be."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = L.Dense(2)
        self.several = [L.Dense(2), {"deep": L.Dense(2)}]

    def build(self, input_shape):
        self.scale = self.add_weight("scale", (1,), initializer="ones")
        self.count = self.add_weight("count", (), trainable=False, initializer="zeros")

    def call(self, inputs):
        return self.several[1]["deep"](self.several[0](self.inner(inputs))) * self.scale


class Flag(L.Layer):
    """Gives 1 where it trains, 0 where not, -1 where nobody said."""

    def call(self, inputs, training=None):
        return inputs * 0.0 + (-1.0 if training is None else float(training))


class Outer(L.Layer):
    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs)


def flag_of(tensor):
    return float(tensor.numpy().ravel()[0])


# --- names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Dense", "dense"),
        ("Conv2D", "conv2d"),
        ("MaxPooling2D", "max_pooling2d"),
        ("PReLU", "p_re_lu"),
        ("LSTMCell", "lstm_cell"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("_Hidden", "private__hidden"),
    ],
)
def test_class_names_in_snake_case(name, expected):
    assert naming.snake_case(name) == expected


def test_names_are_numbered_by_class():
    assert [L.Dense(1).name, L.Dense(1).name, L.ReLU().name] == ["dense", "dense_1", "re_lu"]
    assert [L.Input((1,)).op.name, L.Input((1,)).op.name] == ["input_1", "input_2"]
    naming.reset_uids()
    assert L.Dense(1).name == "dense"


def test_weights_are_named_after_the_layers_around_them():
    block = Block()
    block(ONES)
    assert [weight.name for weight in block.weights] == [
        "block/scale:0",
        "block/dense/kernel:0",
        "block/dense/bias:0",
        "block/dense_1/kernel:0",
        "block/dense_1/bias:0",
        "block/dense_2/kernel:0",
        "block/dense_2/bias:0",
        "block/count:0",
    ]
    alone = L.Dense(2)
    alone.build((None, 3))
    assert [weight.name for weight in alone.weights] == ["kernel:0", "bias:0"]


# --- weights


def test_layers_in_lists_and_dicts_are_found():
    block = Block()
    block(ONES)
    assert [layer.name for layer in block.submodules] == ["dense", "dense_1", "dense_2"]
    assert len(block.trainable_weights) == 7 and len(block.non_trainable_weights) == 1
    assert block.count_params() == 1 + 1 + 8 + 6 + 6
    block.several.append(L.Dense(4))
    assert len(block.submodules) == 4


def test_a_replaced_attribute_is_forgotten():
    layer = L.Layer()
    layer.weight = tf.Variable(1.0)
    layer.weight = tf.Variable([2.0, 3.0])
    layer.inner = Flag()
    del layer.inner
    assert [tuple(weight.shape) for weight in layer.weights] == [(2,)]
    assert layer.submodules == ()


def test_freezing_reaches_all_layers_inside():
    block = Block()
    block(ONES)
    block.trainable = False
    assert block.trainable_weights == [] and len(block.non_trainable_weights) == 8
    assert not block.several[1]["deep"].trainable
    block.trainable = True
    block.inner.trainable = False
    assert len(block.trainable_weights) == 5


def test_get_and_set_weights():
    layer = L.Dense(2)
    layer(ONES)
    values = [np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0])]
    layer.set_weights(values)
    for expected, value in zip(values, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, value)
    with pytest.raises(ValueError, match="weight list of length 1, but the layer was expecting 2"):
        layer.set_weights(values[:1])
    with pytest.raises(ValueError, match=r"shape \(3, 2\) not compatible with provided weight shape \(2, 3\)"):
        layer.set_weights([values[0].T, values[1]])
    np.testing.assert_array_equal(layer.get_weights()[0], values[0])


def test_weights_given_to_the_constructor():
    layer = L.Dense(2, weights=[np.full((3, 2), 0.5), np.zeros(2)])
    np.testing.assert_allclose(layer(ONES).numpy(), np.full((2, 2), 1.5))


def test_add_weight_defaults_and_refusals():
    layer = L.Layer(name="layer")
    assert layer.add_weight("w", (2,)).trainable
    assert layer.add_weight("n", (2,), dtype="int32").numpy().tolist() == [0, 0]
    assert not layer.add_weight("r", (), synchronization="ON_READ").trainable
    with pytest.raises(ValueError, match="known sizes"):
        layer.add_weight("u", (None, 2))
    with pytest.raises(ValueError, match="ON_READ only for non-trainable"):
        layer.add_weight("x", (), synchronization="ON_READ", trainable=True)
    with pytest.raises(ValueError, match="partitioner"):
        layer.add_weight("p", (), partitioner=object())


def test_count_params_needs_weights():
    with pytest.raises(ValueError, match="isn't built"):
        L.Dense(2).count_params()


def test_a_deep_copy_has_weights_of_its_own():
    layer = L.Dense(2, kernel_regularizer="l2")
    layer(ONES)
    twin = copy.deepcopy(layer)
    twin.kernel.assign(np.zeros((3, 2), "float32"))
    assert float(twin.losses[0]) == 0.0 < float(layer.losses[0])


# --- construction


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="Keyword argument not understood: 'unit'"):
        L.Dense(2, unit=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.Dense(0), "units must be a positive integer"),
        (lambda: L.Dense(2, activation="rely"), "rely"),
        (lambda: L.Conv2D(4, (3, 3, 3)), "kernel_size"),
        (lambda: L.Conv2D(4, 3, padding="causal"), "padding"),
        (lambda: L.Conv2D(4, 3, strides=2, dilation_rate=2), "only one of them may exceed 1"),
        (lambda: L.Conv2D(5, 3, groups=2), "divisible by groups"),
        (lambda: L.Conv2D(4, 3, data_format="last"), "data_format"),
        (lambda: L.MaxPooling2D(0), "pool_size"),
        (lambda: L.Dropout(1.5), r"\[0, 1\)"),
        (lambda: L.Reshape((-1, -1)), "target_shape"),
        (lambda: L.Permute((2, 3)), "consecutive and start from 1"),
        (lambda: L.ZeroPadding2D(-1), "padding"),
        (lambda: L.UpSampling2D(2, interpolation="cubic"), "interpolation"),
        (lambda: L.BatchNormalization(renorm=True, fused=True), "leave `fused` out"),
        (lambda: L.BatchNormalization(renorm=True, renorm_clipping={"max": 2}), "'rmax', 'rmin' and 'dmax'"),
        (lambda: L.BatchNormalization(virtual_batch_size=2), "not supported"),
        (lambda: L.BatchNormalization(axis=[1, 1])(tf.ones((2, 3))), "Duplicate axis"),
        (lambda: L.BatchNormalization(fused=True)(tf.ones((2, 3))), "only support 4D"),
        (lambda: L.LayerNormalization(axis=[1, -1])(tf.ones((2, 3))), "Duplicate axis"),
        (lambda: L.MultiHeadAttention(2, 3, attention_axes=2)(tf.ones((2, 3, 4)), tf.ones((2, 3, 4))), "lie between"),
        (lambda: L.MultiHeadAttention(0, 3), "num_heads must be a positive integer"),
        (lambda: L.MultiHeadAttention(2, 3, dropout=1), r"\[0, 1\)"),
        (lambda: L.ReLU(max_value=-1.0), "max_value"),
        (lambda: L.Embedding(0, 3), "positive"),
        (lambda: L.RepeatVector(0), "positive"),
        (lambda: L.Input(), "`shape` argument"),
        (lambda: L.Input((2,), batch_shape=(None, 2)), "not both"),
        (lambda: L.InputLayer(), "input_shape"),
        (lambda: L.Input((2,), tensor=tf.ones((1, 2))), "not supported"),
        (lambda: L.InputSpec(ndim=2, axes={2: 3}), "greater than the maximum"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.Dense(2), (3,), "Input 0 of layer layer is incompatible with the layer: expected min_ndim=2, found ndim=1"),
        (L.Conv2D(2, 3), (4, 8, 8), r"expected ndim=4, found ndim=3. Full shape received: \[4, 8, 8\]"),
        (L.Add(), (2, 3), "should be called on a list"),
        (L.Reshape((4,)), (2, 3), "total size of new array must be unchanged"),
        (L.Cropping2D(2), (1, 4, 5, 1), "nothing is left"),
        (L.BatchNormalization(axis=3), (2, 3), "Invalid axis"),
    ],
)
def test_inputs_are_checked(layer, shape, message):
    layer._name = "layer"
    with pytest.raises(ValueError, match=message):
        layer(np.ones(shape, "float32"))


def test_a_built_layer_keeps_to_its_input_size():
    layer = L.Dense(2, name="d")
    layer(ONES)
    with pytest.raises(
        ValueError, match=r"expected axis -1 of input shape to have value 3 but received input with shape \[2, 4\]"
    ):
        layer(np.ones((2, 4), "float32"))
    with pytest.raises(ValueError, match="Layer d expects 1 inputs, but it received 2"):
        layer([ONES, ONES])


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (L.Add(), [(2, 3)], "at least 2 inputs. Got 1"),
        (L.Add(), [(2, 3), (2, 4)], "could not be broadcast"),
        (L.Add(), [(2, 3), (3, 3)], "different batch sizes"),
        (L.Subtract(), [(2, 3)] * 3, "exactly 2 inputs"),
        (L.Concatenate(axis=1), [(2, 3, 4), (2, 3, 5)], "matching shapes except for the concat axis"),
        (L.Dot(1), [(2, 3), (2, 4)], "Dimension incompatibility 3 != 4"),
    ],
)
def test_merges_check_their_inputs(layer, shapes, message):
    with pytest.raises(ValueError, match=message):
        layer([np.ones(shape, "float32") for shape in shapes])


def test_configs_of_layers_with_arguments_must_be_written():
    class Power(L.Layer):
        def __init__(self, exponent, **kwargs):
            super().__init__(**kwargs)

    with pytest.raises(NotImplementedError, match="Power has .*exponent"):
        Power(2).get_config()


def test_inputs_are_cast_to_the_type_of_the_layer():
    assert L.Dense(2)(np.ones((2, 3))).dtype == tf.float32
    assert L.Dense(2, dtype="float64")(ONES).dtype == tf.float64
    assert L.Flatten(autocast=False)(np.ones((2, 3))).dtype == tf.float64
    assert L.Flatten()(np.ones((2, 3), "int32")).dtype == tf.int32


# --- training and masks


def test_training_flag_comes_from_the_call_then_the_calls_around_then_the_learning_phase():
    inner = Flag()
    outer = Outer(inner)
    assert flag_of(outer(ONES)) == -1
    assert flag_of(inner(ONES, training=True)) == 1
    assert flag_of(inner(ONES, True)) == 1

    class Telling(Outer):
        def call(self, inputs, training=None):
            return self.inner(inputs)

    assert flag_of(Outer(Telling(inner))(ONES)) == -1
    assert flag_of(Telling(inner)(ONES, training=True)) == 1
    set_learning_phase(1)
    assert flag_of(outer(ONES)) == 1
    assert flag_of(Telling(inner)(ONES, training=False)) == 0
    with learning_phase_scope(0):
        assert flag_of(outer(ONES)) == 0


def test_a_default_in_call_holds_where_nobody_says_otherwise():
    class Eager(L.Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, inputs, training=True):
            return self.inner(inputs)

    layer = Eager(Flag())
    assert flag_of(layer(ONES)) == 1
    assert flag_of(layer(ONES, training=False)) == 0


def test_training_is_not_given_to_layers_that_do_not_know_it():
    np.testing.assert_array_equal(L.ReLU()(ONES, training=True).numpy(), ONES)


def test_masks_are_passed_on_and_arrive():
    class Sum(L.Layer):
        def call(self, inputs, mask=None):
            return tf.reduce_sum(inputs * tf.expand_dims(tf.cast(mask, "float32"), -1), axis=1)

    x = np.array([[1, 2, 0], [3, 0, 0]])
    embedded = L.Embedding(4, 2, mask_zero=True, embeddings_initializer="ones")(x)
    hidden = L.Dense(2, kernel_initializer="ones")(embedded)
    assert hidden._keras_mask.numpy().tolist() == (x != 0).tolist()
    np.testing.assert_array_equal(Sum()(hidden).numpy(), [[4, 4], [2, 2]])
    np.testing.assert_array_equal(L.GlobalAveragePooling1D()(hidden).numpy(), [[2, 2], [2, 2]])
    both = L.Concatenate(axis=1)([hidden, tf.ones((2, 1, 2))])
    assert both._keras_mask.numpy().tolist() == [[True, True, False, True], [True, False, False, True]]
    assert getattr(L.Flatten()(hidden), "_keras_mask", None) is None


def test_dropout_drops_in_training_only_and_keeps_the_sum():
    tf.random.set_seed(3)
    x = np.ones((200, 50), "float32")
    layer = L.Dropout(0.25)
    assert layer(x).numpy().tolist() == x.tolist()
    y = layer(x, training=True).numpy()
    assert set(np.unique(y).round(5)) == {0.0, np.float32(1.33333)}
    assert abs(y.mean() - 1) < 0.03
    assert (layer(x, training=True).numpy() != y).any()
    assert (L.Dropout(0.25)(x, training=True).numpy() != y).any()


def test_spatial_dropout_drops_whole_channels():
    y = L.SpatialDropout2D(0.5)(np.ones((8, 3, 4, 16), "float32"), training=True).numpy()
    assert ((y == 0).all(axis=(1, 2)) | (y == 2).all(axis=(1, 2))).all() and (y == 0).any() and (y == 2).any()


def test_noise_has_the_deviation_asked_for():
    x = np.full((200, 50), 3.0, "float32")
    assert abs(L.GaussianNoise(0.5)(x, training=True).numpy().std() - 0.5) < 0.02
    assert abs(L.GaussianDropout(0.2)(x, training=True).numpy().std() - 1.5) < 0.05


# --- losses, metrics, updates


def test_losses_of_weights_calls_and_activities():
    dense = L.Dense(
        1, kernel_regularizer=tf.keras.regularizers.l2(0.5), kernel_initializer="ones", activity_regularizer="l1"
    )
    assert dense.losses == []
    dense(ONES)
    assert [float(loss) for loss in dense.losses] == [pytest.approx(0.03), 1.5]
    dense(2 * ONES)
    assert [float(loss) for loss in dense.losses] == [pytest.approx(0.06), 1.5]
    assert [float(loss) for loss in dense.get_losses_for(None)] == [1.5]


def test_losses_of_a_layer_called_twice_add_up_within_one_call():
    class Twice(L.Layer):
        def __init__(self):
            super().__init__()
            self.inner = L.ActivityRegularization(l1=1.0)

        def call(self, inputs):
            return self.inner(inputs) + self.inner(inputs)

    layer = Twice()
    layer(ONES)
    assert [float(loss) for loss in layer.losses] == [3.0, 3.0]
    layer(ONES)
    assert len(layer.losses) == 2


def test_add_loss_takes_functions_and_refuses_constants():
    layer = L.Layer()
    weight = tf.Variable(3.0)
    layer.add_loss(lambda: weight * 2.0)
    assert float(layer.losses[0]) == 6.0
    weight.assign(1.0)
    assert float(layer.losses[0]) == 2.0
    with pytest.raises(ValueError, match="outside of a call"):
        layer.add_loss(tf.constant(1.0))


def test_metrics_are_made_once_and_collect():
    class Watched(L.Layer):
        def call(self, inputs):
            self.add_metric(tf.reduce_sum(inputs), name="total", aggregation="mean")
            return inputs

    layer = Watched()
    layer(ONES)
    layer(3 * ONES)
    (metric,) = layer.metrics
    assert metric.name == "total" and float(metric.result()) == 12.0
    assert Outer(layer).metrics == [metric]
    with pytest.raises(ValueError, match="provide a name"):
        layer.add_metric(tf.constant(1.0), aggregation="mean")
    with pytest.raises(ValueError, match="only `mean`"):
        layer.add_metric(tf.constant(1.0), aggregation="sum", name="x")
    with pytest.raises(ValueError, match="pass aggregation='mean'"):
        layer.add_metric(tf.constant(1.0), name="x")


def test_the_result_of_a_metric_is_reported_as_that_metric():
    class Watched(L.Layer):
        def __init__(self):
            super().__init__()
            self.holder = {}

        def call(self, inputs):
            metric = self.holder.setdefault("metric", tf.keras.metrics.Mean(name="seen"))
            self.add_metric(metric(inputs))
            return inputs

    layer = Watched()
    layer(ONES)
    layer(3 * ONES)
    (metric,) = layer.metrics
    assert metric.name == "seen" and float(metric.result()) == 2.0


def test_metrics_as_attributes_are_metrics_and_not_layers():
    layer = L.Layer()
    layer.seen = tf.keras.metrics.Mean(name="seen")
    assert layer.metrics == [layer.seen] and layer._sublayers() == []
    assert [weight.name for weight in layer.weights] == ["total:0", "count:0"]


def test_updates_are_left_out_where_a_layer_around_is_frozen():
    class Counting(L.Layer):
        def build(self, input_shape):
            self.calls = self.add_weight("calls", (), trainable=False, initializer="zeros")

        def call(self, inputs):
            self.add_update(lambda: self.calls.assign_add(1.0))
            return inputs

    layer = Outer(Counting())
    layer(ONES)
    layer.trainable = False
    layer(ONES)
    assert float(layer.inner.calls) == 1.0 and layer.updates == []


# --- layers with more to them


def test_batch_normalization_statistics_follow_the_batches():
    layer = L.BatchNormalization(momentum=0.5)
    x = np.array([[1.0], [3.0]], "float32")
    layer(x, training=True)
    assert layer.moving_mean.numpy().tolist() == [1.0]
    assert layer.moving_variance.numpy().tolist() == [1.0]
    layer.trainable = False
    layer(x + 10.0, training=True)
    assert layer.moving_mean.numpy().tolist() == [1.0]


def test_batch_normalization_of_images_keeps_the_unbiased_variance():
    x = np.arange(8, dtype="float32").reshape(2, 2, 2, 1)
    fused, plain = L.BatchNormalization(momentum=0.0), L.BatchNormalization(momentum=0.0, fused=False)
    fused(x, training=True), plain(x, training=True)
    np.testing.assert_allclose(fused.moving_variance.numpy(), x.var(ddof=1), rtol=1e-6)
    np.testing.assert_allclose(plain.moving_variance.numpy(), x.var(), rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "arguments"),
    [
        ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same"}),
        ("MaxPooling2D", {"pool_size": 2}),
        ("AveragePooling2D", {"pool_size": 2}),
        ("GlobalMaxPooling2D", {}),
        ("ZeroPadding2D", {"padding": 1}),
        ("UpSampling2D", {"size": 2}),
        ("BatchNormalization", {"axis": 1}),
    ],
)
def test_channels_first_is_channels_last_transposed(layer, arguments):
    x = np.random.RandomState(0).rand(2, 6, 5, 3).astype("float32")
    first_arguments = {**arguments} if layer == "BatchNormalization" else {**arguments, "data_format": "channels_first"}
    last_arguments = {} if layer == "BatchNormalization" else arguments
    first, last = getattr(L, layer)(**first_arguments), getattr(L, layer)(**last_arguments)
    last(x)
    first(x.transpose(0, 3, 1, 2))
    first.set_weights(last.get_weights())
    expected = last(x).numpy()
    got = first(x.transpose(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(got.transpose(0, 2, 3, 1) if got.ndim == 4 else got, expected, rtol=1e-6)


def test_grouped_convolution_is_convolution_of_each_part():
    x = np.random.RandomState(0).rand(2, 6, 5, 4).astype("float32")
    grouped = L.Conv2D(6, 3, groups=2)
    y = grouped(x).numpy()
    kernel, _ = grouped.get_weights()
    assert kernel.shape == (3, 3, 2, 6)
    for part in range(2):
        alone = L.Conv2D(3, 3, weights=[kernel[..., 3 * part : 3 * part + 3], np.zeros(3)])
        np.testing.assert_allclose(
            alone(x[..., 2 * part : 2 * part + 2]).numpy(), y[..., 3 * part : 3 * part + 3], rtol=1e-5
        )


def test_lambda_passes_what_its_function_takes():
    def scaled(inputs, factor, training=None):
        return inputs * (factor if training else 0.0)

    layer = L.Lambda(scaled, arguments={"factor": 3.0})
    np.testing.assert_array_equal(layer(ONES, training=True).numpy(), 3 * ONES)
    np.testing.assert_array_equal(layer(ONES).numpy(), 0 * ONES)
    twin = L.deserialize(L.serialize(layer))
    np.testing.assert_array_equal(twin(ONES, training=True).numpy(), 3 * ONES)


def test_lambda_is_found_by_name_and_code_is_never_run():
    config = {**L.Lambda(np.abs).get_config(), "function": "double"}
    assert float(L.Lambda.from_config(config, {"double": lambda x: x * 2.0})(np.float32(2.0))) == 4.0
    with pytest.raises(ValueError, match="Unknown function of a Lambda layer: 'double'"):
        L.Lambda.from_config(config)
    with pytest.raises(ValueError, match="never run"):
        L.Lambda.from_config({**config, "function": ["4wEAAAAA", None, None]})


def test_functional_forms_of_merges():
    x, y = np.full((2, 3), 2.0, "float32"), np.full((2, 3), 3.0, "float32")
    results = {"add": 5, "subtract": -1, "multiply": 6, "average": 2.5, "maximum": 3, "minimum": 2}
    for name, value in results.items():
        np.testing.assert_array_equal(getattr(L, name)([x, y]).numpy(), np.full((2, 3), value))
    assert L.concatenate([x, y], axis=0).shape == (4, 3)
    np.testing.assert_array_equal(L.dot([x, y], axes=1).numpy(), [[18.0], [18.0]])
