"""Writing objects into configs and finding them again by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

import distkeras as tf
from distkeras._registry import Registry
from distkeras.keras.saving.serialize import (
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    json_value,
    register_keras_serializable,
    serialize_keras_object,
)

L = tf.keras.layers


class Scale(L.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def model_with_scale():
    return tf.keras.Sequential([Scale(3.0, input_shape=(2,), name="scale")])


def test_layers_of_ones_own_are_announced_for_reading():
    text = model_with_scale().to_json()
    with pytest.raises(ValueError, match="Unknown layer: 'Scale'. If it is your own, pass it as custom_objects"):
        tf.keras.models.model_from_json(text)
    with custom_object_scope({"Scale": Scale}):
        assert tf.keras.models.model_from_json(text).layers[0].factor == 3.0
    assert "Scale" not in get_custom_objects()
    assert tf.keras.models.model_from_json(text, {"Scale": Scale}).layers[0].factor == 3.0
    get_custom_objects()["Scale"] = Scale
    assert tf.keras.models.model_from_json(text).layers[0].factor == 3.0
    del get_custom_objects()["Scale"]


def test_registered_objects_need_no_announcement():
    entry = register_keras_serializable("tests", "Scaling")(type("Scaling", (Scale,), {}))
    try:
        written = serialize_keras_object(entry(2.0))
        assert written["class_name"] == "tests>Scaling"
        assert isinstance(L.deserialize(written), entry)
        with pytest.raises(ValueError, match="already been registered"):
            register_keras_serializable("tests", "Scaling")(Scale)
        with pytest.raises(ValueError, match="get_config"):
            register_keras_serializable()(type("Plain", (), {}))
    finally:
        del get_custom_objects()["tests>Scaling"]


def test_functions_are_written_by_name():
    def steep(x):
        return x * 10.0

    layer = L.Dense(1, activation=steep)
    config = json.loads(json.dumps(L.serialize(layer), default=json_value))
    assert config["config"]["activation"] == "steep"
    with custom_object_scope({"steep": steep}):
        assert L.deserialize(config).activation is steep


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ({"class_name": "Dense"}, "expected the keys 'class_name' and 'config'"),
        ("Dence", "Did you mean 'Dense'"),
        (3, "Could not interpret layer identifier 3"),
    ],
)
def test_what_is_no_config_is_refused(identifier, message):
    with pytest.raises(ValueError, match=message):
        deserialize_keras_object(identifier, L.LAYERS, printable_module_name="layer")


def test_identifiers_in_all_forms():
    registry = Registry("shape")
    square = registry.register("square")(type("Square", (), {}))
    assert isinstance(deserialize_keras_object("square", registry), square)
    assert isinstance(deserialize_keras_object({"class_name": "square", "config": {}}, registry), square)
    assert deserialize_keras_object(None, registry) is None
    assert deserialize_keras_object(len, registry) is len
    assert serialize_keras_object(None) is None and serialize_keras_object(len) == "len"
    with pytest.raises(ValueError, match="Cannot serialize 3"):
        serialize_keras_object(3)


def test_values_that_json_has_no_form_for():
    values = [
        np.float32(0.5),
        np.arange(2),
        tf.float32,
        np.dtype("int8"),
        tf.constant([1]),
        len,
        tf.TensorShape([None, 2]),
    ]
    written = json.loads(json.dumps(values, default=json_value))
    assert written == [0.5, [0, 1], "float32", "int8", [1], "len", [None, 2]]
    with pytest.raises(TypeError, match="Not JSON serializable"):
        json.dumps(object(), default=json_value)
