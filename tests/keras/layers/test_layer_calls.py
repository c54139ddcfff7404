"""What layers do when they are called: flags and masks that are passed on, losses, metrics and updates."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.layers.call_context import learning_phase_scope, set_learning_phase

L = tf.keras.layers
ONES = np.ones((2, 3), "float32")


pytestmark = pytest.mark.usefixtures("fresh_names")


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
    assert Outer(layer).metrics == [metric] and layer.submodules == (metric,)
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
    with_shape = {**L.Lambda(np.abs, output_shape=lambda shape: shape).get_config(), "function": "double"}
    with_shape["output_shape"] = "<lambda>"  # as files have it: the shape follows from the function
    again = L.Lambda.from_config(with_shape, {"double": lambda x: x * 2.0})
    assert again(tf.keras.Input((3,))).shape.as_list() == [None, 3]
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
