"""Stacks of layers, and models defined by their `call`."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.layers import naming

L, keras = tf.keras.layers, tf.keras
ONES = np.ones((2, 3), "float32")


@pytest.fixture(autouse=True)
def fresh_names():
    naming.reset_uids()


# --- stacks


def test_a_stack_with_an_input_shape_is_built_at_once():
    model = keras.Sequential([L.Dense(4, input_shape=(3,)), L.Dense(2)])
    assert model.built and model.output_shape == (None, 2) and model.input_names == ["dense_input"]
    assert [layer.name for layer in model.layers] == ["dense", "dense_1"]
    assert [weight.name for weight in model.weights][:2] == ["dense/kernel:0", "dense/bias:0"]
    assert len(model.weights) == 4


@pytest.mark.parametrize("first", [L.Input((3,)), L.InputLayer((3,))], ids=["Input", "InputLayer"])
def test_a_stack_on_an_input(first):
    model = keras.Sequential([first, L.Dense(2)])
    assert model.output_shape == (None, 2) and len(model.layers) == 1
    assert model.get_config()["layers"][0]["config"]["batch_input_shape"] == (None, 3)


def test_a_stack_without_an_input_shape_waits_for_data():
    model = keras.Sequential([L.Dense(4), L.Dense(2)])
    assert not model.built and model.weights == [] and model.outputs is None
    with pytest.raises(ValueError, match="has not yet been built"):
        model.summary()
    assert model(ONES).shape == (2, 2)
    assert model.built and model.output_shape == (None, 2) and len(model.weights) == 4
    assert model.get_config()["build_input_shape"] == (None, 3)
    assert keras.Sequential.from_config(model.get_config()).output_shape == (None, 2)


def test_a_stack_is_built_for_a_shape():
    model = keras.Sequential([L.Dense(4), L.Dense(2)])
    with pytest.raises(ValueError, match="must provide an `input_shape`"):
        model.build()
    model.build((None, 3))
    assert model.count_params() == 16 + 10


def test_a_stack_takes_other_lengths_than_the_first():
    model = keras.Sequential([L.Dense(2, kernel_initializer="ones"), L.GlobalMaxPooling1D()])
    assert model(np.ones((2, 4, 3), "float32")).shape == model(np.ones((2, 7, 3), "float32")).shape == (2, 2)


def test_growing_and_shrinking():
    model = keras.Sequential()
    model.add(L.Dense(4, input_shape=(3,)))
    model.add(L.Dense(2))
    model.pop()
    assert model.output_shape == (None, 4) and len(model.weights) == 2
    model.add(L.Dense(5))
    assert model(ONES).shape == (2, 5)
    model.pop(), model.pop()
    assert model.layers == [] and model.outputs is None
    with pytest.raises(TypeError, match="no layers"):
        model.pop()


def test_wrong_additions_are_refused():
    model = keras.Sequential([L.Dense(4, input_shape=(3,), name="d")])
    with pytest.raises(TypeError, match="must be an instance of class Layer"):
        model.add("dense")
    with pytest.raises(ValueError, match="unique names"):
        model.add(L.Dense(2, name="d"))
    with pytest.raises(ValueError, match="single output"):
        model.add(L.Lambda(lambda x: [x, x]))
    with pytest.raises(ValueError, match="no layers yet"):
        keras.Sequential()(ONES)


def test_stacks_in_stacks_and_graphs():
    inner = keras.Sequential([L.Dense(4, input_shape=(3,)), L.ReLU()])
    outer = keras.Sequential([inner, L.Dense(2)])
    assert outer.output_shape == (None, 2) and [layer.name for layer in outer.layers] == ["sequential", "dense_1"]
    copy = keras.models.model_from_json(outer.to_json())
    copy.set_weights(outer.get_weights())
    np.testing.assert_array_equal(copy(ONES).numpy(), outer(ONES).numpy())
    x = keras.Input((3,))
    waiting = keras.Sequential([L.Dense(4)])
    assert keras.Model(x, waiting(x)).output_shape == (None, 4) and waiting.output_shape == (None, 4)


def test_a_stack_with_a_layer_that_needs_values():
    class Sorted(L.Layer):
        def call(self, inputs):
            return tf.constant(np.sort(inputs.numpy(), axis=-1))

    model = keras.Sequential([Sorted(), L.Dense(2)])
    assert model(ONES).shape == (2, 2) and model.outputs is None
    assert model(ONES).shape == (2, 2)


def test_embeddings_begin_a_stack_by_themselves():
    model = keras.Sequential([L.Embedding(5, 3), L.GlobalAveragePooling1D(), L.Dense(1)])
    assert model.output_shape == (None, 1)
    assert model(np.array([[1, 2, 3], [0, 0, 4]])).shape == (2, 1)


def test_classes_of_a_classifier():
    model = keras.Sequential([L.Lambda(lambda x: x, input_shape=(3,))])
    x = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], "float32")
    assert model.predict_classes(x).tolist() == [1, 0]
    np.testing.assert_array_equal(model.predict_proba(x), x)
    one = keras.Sequential([L.Lambda(lambda x: x[:, :1], input_shape=(3,))])
    assert one.predict_classes(x * 3).tolist() == [[0], [1]]


# --- models defined by their call


class Custom(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = L.Dense(4)
        self.blocks = [L.Dense(4), L.BatchNormalization()]
        self.offset = tf.Variable(0.0, name="offset")
        self.drop = L.Dropout(0.5)

    def call(self, inputs, training=False):
        x = self.first(inputs)
        for block in self.blocks:
            x = block(x)
        return self.drop(x) + self.offset


def test_a_model_of_ones_own():
    model = Custom()
    assert not model.built and model(ONES).shape == (2, 4) and model.built
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "batch_normalization", "dropout"]
    assert [weight.name for weight in model.weights] == [
        "custom/dense/kernel:0",
        "custom/dense/bias:0",
        "custom/dense_1/kernel:0",
        "custom/dense_1/bias:0",
        "custom/batch_normalization/gamma:0",
        "custom/batch_normalization/beta:0",
        "custom/batch_normalization/moving_mean:0",
        "custom/batch_normalization/moving_variance:0",
        "offset:0",
    ]
    assert len(model.trainable_weights) == 7
    assert (model(np.ones((50, 3), "float32"), training=True).numpy() == 0).any()


def test_build_makes_the_weights_without_data():
    model = Custom()
    model.build((None, 3))
    assert model.count_params() == 16 + 20 + 16 + 1
    assert model.weights[0].name == "dense/kernel:0"
    assert model.compute_output_shape((None, 3)) == (None, 4)


@pytest.mark.parametrize(
    ("shape", "message"), [(None, "must be defined"), (3, "not one of the valid types")], ids=["none", "int"]
)
def test_build_checks_the_shape(shape, message):
    with pytest.raises(ValueError, match=message):
        Custom().build(shape)


def test_build_is_refused_where_call_needs_more():
    class Two(keras.Model):
        def call(self, inputs, other):
            return inputs + other

    with pytest.raises(ValueError, match="required for its `call` method: .'other'."):
        Two().build((None, 3))


def test_a_model_of_ones_own_has_no_config():
    with pytest.raises(NotImplementedError, match="defined by its `call`"):
        Custom().to_json()
    with pytest.raises(ValueError, match="subclassed model instead"):
        keras.models.clone_model(Custom())


def test_call_must_be_defined():
    class Empty(keras.Model):
        pass

    with pytest.raises(NotImplementedError, match="implement a `call` method"):
        Empty()(ONES)


def test_init_must_come_first():
    class Late(keras.Model):
        def __init__(self):
            self.dense = L.Dense(2)
            super().__init__()

    with pytest.raises(RuntimeError, match="forgot to call `super"):
        Late()


def test_a_subclass_with_a_graph():
    class Named(keras.Model):
        def __init__(self, units):
            x = keras.Input((3,))
            super().__init__(inputs=x, outputs=L.Dense(units)(x), name="named")
            self.units = units

        def doubled(self, x):
            return self(x) * 2.0

    model = Named(2)
    assert model.output_shape == (None, 2) and model.doubled(ONES).shape == (2, 2)


def test_unknown_arguments_of_models_are_refused():
    with pytest.raises(TypeError, match="'color'"):
        keras.Model(color="red")
    with pytest.raises(TypeError, match="inputs, outputs and name"):
        keras.Model(1, 2, "three", 4)


def test_resetting_states_reaches_stateful_layers():
    class Counter(L.Layer):
        def __init__(self):
            super().__init__()
            self.stateful = True
            self.resets = 0

        def reset_states(self):
            self.resets += 1

    model = keras.Sequential([Counter(), L.Dense(2)])
    assert model.stateful
    model.reset_states()
    assert model.layers[0].resets == 1


def test_a_model_remembers_the_strategy_it_was_made_in():
    from distkeras.distribute.strategies import get_strategy

    assert keras.Sequential().distribute_strategy is get_strategy()
