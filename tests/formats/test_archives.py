"""Archives of Keras 3 are written, and read again; check_in_keras.py has Keras itself read them."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.saving.archive_writing import UNKNOWN_LAYERS
from tests.formats.exported_models import FIRST_CASES, build, normal
from tests.formats.models import MODELS, data, trained

layers, optimizers = tf.keras.layers, tf.keras.optimizers


def config_of(path) -> dict:
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        return json.loads(archive.read("config.json"))


@pytest.mark.parametrize("name", sorted(FIRST_CASES))
def test_every_layer(name: str, tmp_path):
    model, inputs, outputs = build(name)
    path = tmp_path / "model.keras"
    if name in UNKNOWN_LAYERS:
        with pytest.raises(ValueError, match=f"{name} has no counterpart in Keras 3"):
            model.save(path, save_format="keras_v3")
        assert not list(tmp_path.iterdir())
        return
    model.save(path, save_format="keras_v3")
    again = tf.keras.models.load_model(path, compile=False)
    results = tf.nest.flatten(again(inputs if len(inputs) > 1 else inputs[0], training=False))
    for result, expected in zip(results, outputs.values(), strict=True):
        np.testing.assert_array_equal(result.numpy(), expected)


OPTIMIZERS = {
    "adam": lambda: optimizers.Adam(0.01, clipnorm=1.0),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_training_goes_on(name: str, make, tmp_path):
    model = trained(MODELS[name], make(), "mse", ["mae"])
    path = tmp_path / "model.keras"
    model.save(path, save_format="keras_v3")
    again = tf.keras.models.load_model(path)
    x, y = data(model)
    assert again.optimizer.iterations.numpy() == model.optimizer.iterations.numpy() > 0
    for value, expected in zip(again.optimizer.get_weights(), model.optimizer.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    for one in (model, again):
        tf.random.set_seed(4)
        one.train_on_batch(x, y)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_what_the_config_says(tmp_path):
    query = tf.keras.Input((5, 4), name="query")
    output = layers.MultiHeadAttention(2, 3, name="attention")(query, value=query)
    model = tf.keras.Model(query, layers.BatchNormalization(name="norm")(output))
    model.compile(optimizers.Adam(0.5), "mse", metrics=[tf.keras.metrics.AUC(name="area")])
    model.save(tmp_path / "a.keras", save_format="keras_v3")
    model.save(tmp_path / "b.keras", save_format="keras_v3")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    config = config_of(tmp_path / "a.keras")
    assert (config["module"], config["class_name"]) == ("keras.src.models.functional", "Functional")
    inputs, attention, norm = config["config"]["layers"]
    assert inputs["module"] == "keras.layers" and inputs["config"]["batch_shape"] == [None, 5, 4]
    assert "query_shape" not in attention["config"] and norm["config"]["axis"] == 2
    (call,) = attention["inbound_nodes"]
    told = {"shape": [None, 5, 4], "dtype": "float32", "keras_history": ["query", 0, 0]}
    assert call["kwargs"]["value"] == {"class_name": "__keras_tensor__", "config": told}
    optimizer, (area,) = config["compile_config"]["optimizer"], config["compile_config"]["metrics"]
    assert (optimizer["module"], optimizer["class_name"]) == ("keras.optimizers", "Adam")
    assert optimizer["config"]["learning_rate"] == 0.5 and "decay" not in optimizer["config"]
    assert (area["module"], area["class_name"]) == ("keras.metrics", "AUC")


def test_without_the_optimizer(tmp_path):
    model = trained(MODELS["functional"], optimizers.Adam(0.01), "mse", ["mae"])
    model.save(tmp_path / "model.keras", include_optimizer=False, save_format="keras_v3")
    assert "compile_config" not in config_of(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match="not\\* compiled"):
        assert tf.keras.models.load_model(tmp_path / "model.keras").optimizer is None


def simple(**settings) -> tf.keras.Model:
    model = tf.keras.Sequential([layers.Dense(2, input_shape=(3,))])
    model.compile(optimizers.SGD(0.1, **settings), "mse")
    return model


class Pair(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(2)

    def call(self, inputs):
        return self.first(inputs)


REFUSED = {
    "another ending": (simple, "model.h5", 'save_format="keras_v3" needs a path that ends in .keras'),
    "a folder": (simple, "model", "needs a path that ends in .keras"),
    "decay": (lambda: simple(decay=0.1), "model.keras", r"SGD\(decay=...\) has no counterpart in Keras 3"),
    "layers elsewhere": (lambda: tf.keras.Sequential([tf.keras.Input((3,)), Pair(name="pair")]), "model.keras",
                         "The layer 'pair' keeps the layers .* use save_format='h5'"),
    "several axes": (lambda: tf.keras.Sequential([layers.BatchNormalization(axis=[1, 2], input_shape=(2, 3))]),
                     "model.keras", "BatchNormalization with .* has no counterpart"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "name", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(make, name: str, message: str, tmp_path):
    with pytest.raises(ValueError, match=message):
        make().save(tmp_path / name, save_format="keras_v3")
    assert not list(tmp_path.iterdir())


def test_models_by_subclassing_have_no_config(tmp_path):
    class Own(tf.keras.Model):
        def call(self, inputs):
            return inputs

    model = Own()
    model(normal(2, 3))
    with pytest.raises(NotImplementedError):
        model.save(tmp_path / "model.keras", save_format="keras_v3")
    assert not list(tmp_path.iterdir())
