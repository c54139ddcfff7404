"""Questions about the graph of layers, kernels of other libraries, and custom objects by name."""

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras import utils

keras, L = tf.keras, tf.keras.layers


def test_source_inputs():
    a, b, unused = (keras.Input((2,)) for _ in range(3))
    shared = L.Dense(2)
    joined = L.Add()([shared(a), shared(b), a])
    assert [id(tensor) for tensor in utils.get_source_inputs(joined)] == [id(a), id(b)]
    assert utils.get_source_inputs(shared(unused))[0] is unused
    assert utils.get_source_inputs(joined, shared, 1)[0] is b
    with pytest.raises(ValueError, match=r"Expected a symbolic tensor that comes from `tf.keras.Input`, received 3"):
        utils.get_source_inputs(3)


def test_kernels_are_turned_and_turned_back():
    inner = keras.Sequential([L.Conv2D(2, (2, 3), input_shape=(4, 4, 1))])
    model = keras.Sequential([inner, L.Flatten(), L.Dense(1)])
    model.build((None, 4, 4, 1))
    before = model.get_weights()
    utils.convert_all_kernels_in_model(model)
    np.testing.assert_array_equal(model.get_weights()[0], before[0][::-1, ::-1])
    for one, other in zip(model.get_weights()[1:], before[1:], strict=True):
        np.testing.assert_array_equal(one, other)
    utils.convert_all_kernels_in_model(model)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_several_gpus_are_several_processes():
    with pytest.raises(NotImplementedError, match=r"gpus=2.*tf.distribute.MirroredStrategy.*distkeras run -n"):
        utils.multi_gpu_model(keras.Sequential(), gpus=2)


def test_registered_names_and_objects():
    @utils.register_keras_serializable("mine", "Twice")
    class Doubled(L.Layer):
        def call(self, inputs):
            return inputs * 2.0

    assert utils.get_registered_name(Doubled) == "mine>Twice" and utils.get_registered_name(L.Dense) == "Dense"
    assert utils.get_registered_object("mine>Twice") is Doubled
    assert utils.get_registered_object("nothing", {"nothing": 3}) == 3
    assert utils.get_registered_object("nothing", module_objects={"nothing": 4}) == 4
    assert utils.get_registered_object("nothing") is None
    model = keras.Sequential([Doubled(input_shape=(2,))])
    assert '"mine>Twice"' in model.to_json()
    assert type(keras.models.model_from_json(model.to_json()).layers[0]) is Doubled
    with pytest.raises(ValueError, match="'mine>Twice' has already been registered"):
        utils.register_keras_serializable("mine", "Twice")(L.Dense)
    with pytest.raises(ValueError, match="must have a get_config"):
        utils.register_keras_serializable()(object)


def test_objects_from_names_and_configs():
    known = {"Dense": L.Dense, "twice": len}
    config = utils.serialize_keras_object(L.Dense(3, name="a"))
    layer = utils.deserialize_keras_object(config, module_objects=known, printable_module_name="layer")
    assert (layer.units, layer.name) == (3, "a")
    assert utils.deserialize_keras_object("twice", known) is len
    with pytest.raises(ValueError, match="Unknown brick: 'thrice'"):
        utils.deserialize_keras_object("thrice", known, printable_module_name="brick")


def test_scopes_of_custom_objects_end():
    for scope in (utils.CustomObjectScope, utils.custom_object_scope):
        with scope({"one": 1}, {"two": 2}):
            assert utils.get_custom_objects()["two"] == 2
            with scope({"one": 3}):
                assert utils.get_custom_objects() == {**utils.get_custom_objects(), "one": 3, "two": 2}
            assert utils.get_custom_objects()["one"] == 1
        assert "one" not in utils.get_custom_objects()
