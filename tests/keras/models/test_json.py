"""Configs as text: what TensorFlow 2.0.0 wrote is read, and written again to the character."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import distkeras as tf

keras = tf.keras
FILE = Path(__file__).parents[2] / "formats" / "data" / "tf20_m.h5"
# Stands for the file's LSTM, whose own tests are elsewhere.
FLATTEN = {
    "class_name": "Flatten",
    "config": {"name": "ls", "trainable": True, "dtype": "float32", "data_format": "channels_last"},
}


@pytest.fixture(scope="module")
def written_by_tf20():
    with h5py.File(FILE) as file:
        entry = json.loads(file.attrs["model_config"])
    layers = entry["config"]["layers"]
    layers[3] = {**layers[3], **FLATTEN}
    return json.dumps({**entry, "keras_version": "2.2.4-tf", "backend": "tensorflow"})


def test_a_config_is_written_as_tf20_does(written_by_tf20):
    model = keras.models.model_from_json(written_by_tf20)
    assert [type(layer).__name__ for layer in model.layers][:3] == ["InputLayer", "InputLayer", "Sequential"]
    assert model.to_json() == written_by_tf20


def test_arguments_go_to_the_writers(written_by_tf20):
    model = keras.models.model_from_json(written_by_tf20)
    assert model.to_json(indent=2, sort_keys=True) == json.dumps(json.loads(written_by_tf20), indent=2, sort_keys=True)
    assert model.to_yaml(indent=4).splitlines()[2].startswith("    name")


def test_yaml_says_the_same_as_json(written_by_tf20):
    model = keras.models.model_from_json(written_by_tf20)
    assert keras.models.model_from_yaml(model.to_yaml()).to_json() == written_by_tf20


def test_functional_is_another_name_of_model():
    model = keras.Model(*[keras.Input((2,), name="x")] * 2)
    entry = json.loads(model.to_json())
    assert entry["class_name"] == "Model"
    entry["class_name"] = "Functional"  # as TensorFlow 2.3 and later have it
    assert keras.models.model_from_json(json.dumps(entry)).to_json() == model.to_json()


def test_custom_objects_in_every_reader():
    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2.0

    def thrice(x):
        return x * 3.0

    model = keras.Sequential([Twice(input_shape=(2,)), keras.layers.Dense(2, activation=thrice)])
    custom = {"Twice": Twice, "thrice": thrice}
    readers = [
        lambda **options: keras.models.model_from_json(model.to_json(), **options),
        lambda **options: keras.models.model_from_yaml(model.to_yaml(), **options),
        lambda **options: keras.models.model_from_config(json.loads(model.to_json()), **options),
        lambda **options: keras.Sequential.from_config(model.get_config(), **options),
    ]
    for read in readers:
        with pytest.raises(ValueError, match="Unknown layer: 'Twice'"):
            read()
        with keras.utils.custom_object_scope(custom):
            copies = [read(custom_objects=custom), read()]
        for copy in copies:
            copy.set_weights(model.get_weights())
            x = np.ones((1, 2), "float32")
            np.testing.assert_array_equal(copy.predict(x), model.predict(x))


def test_no_yaml_makes_objects():
    for text in ("!!python/object/apply:os.system ['true']", "!!python/name:os.system"):
        with pytest.raises(Exception, match="could not determine a constructor"):
            keras.models.model_from_yaml(text)
