"""What every layer does: names, weights, tracking, flags and masks that are passed on, losses and metrics."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.layers import naming

L = tf.keras.layers
ONES = np.ones((2, 3), "float32")


pytestmark = pytest.mark.usefixtures("fresh_names")


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
    layer.inner = L.Dense(2)
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
        (lambda: L.Input(tensor=tf.ones((1, 2))), "input_tensor is not supported"),
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
