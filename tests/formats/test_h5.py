"""What is written, and that it is read again."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.saving import h5_entries as entries
from tests.formats.models import MODELS, data, functional, nested, sequential, trained

SCHEDULE = tf.keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
OPTIMIZERS = {
    "adam": lambda: tf.keras.optimizers.Adam(0.01),
    "amsgrad": lambda: tf.keras.optimizers.Adam(0.01, amsgrad=True, clipnorm=1.0),
    "sgd": lambda: tf.keras.optimizers.SGD(0.1),
    "momentum": lambda: tf.keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, decay=0.01),
    "rmsprop": lambda: tf.keras.optimizers.RMSprop(0.01),
    "centered": lambda: tf.keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: tf.keras.optimizers.Adagrad(0.1),
    "adadelta": lambda: tf.keras.optimizers.Adadelta(1.0),
    "adamax": lambda: tf.keras.optimizers.Adamax(0.01),
    "nadam": lambda: tf.keras.optimizers.Nadam(0.01),
    "ftrl": lambda: tf.keras.optimizers.Ftrl(0.01),
    "schedule": lambda: tf.keras.optimizers.SGD(SCHEDULE, momentum=0.5),
}


def assert_trains_alike(model, other):
    """The next steps are equal to the bit, dropout included, from the same seed."""
    for one in (model, other):
        tf.random.set_seed(5)
        for _ in range(2):
            one.train_on_batch(*data(one))
    for value, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)


# --- round trips


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back(name, tmp_path):
    model = trained(MODELS[name])
    model.save(tmp_path / "model.h5")
    loaded = tf.keras.models.load_model(tmp_path / "model.h5")
    x, y = data(model)
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert loaded.get_config() == model.get_config() or name != "functional"
    assert loaded.metrics_names == model.metrics_names
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert [weight.name for weight in loaded.weights] == [weight.name for weight in model.weights]
    assert_trains_alike(model, loaded)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_as_if_nothing_had_been(name, tmp_path):
    model = trained(sequential, OPTIMIZERS[name]())
    model.save(tmp_path / "model.h5")
    loaded = tf.keras.models.load_model(tmp_path / "model.h5")
    assert type(loaded.optimizer) is type(model.optimizer)
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for value, expected in zip(loaded.optimizer.get_weights(), model.optimizer.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    assert_trains_alike(model, loaded)


def my_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)


def my_metric(y_true, y_pred):
    return tf.reduce_max(y_pred, axis=-1)


COMPILED = {
    "names": {"loss": "mse", "metrics": ["mae", "accuracy"]},
    "objects": {
        "loss": tf.keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        "metrics": [tf.keras.metrics.AUC(name="area"), tf.keras.metrics.CategoricalAccuracy()],
    },
    "functions": {"loss": tf.keras.losses.mean_absolute_error, "metrics": [tf.keras.metrics.mean_squared_error]},
    "own": {"loss": my_loss, "metrics": [my_metric]},
    "by output": {"loss": {"out": "mse"}, "metrics": {"out": ["mae"]}, "loss_weights": {"out": 2.0}},
    "lists": {"loss": ["mse"], "metrics": [["mae"]], "loss_weights": [0.5]},
    "weighted": {"loss": "mse", "metrics": ["mse"], "weighted_metrics": ["mae"]},
    "wrapped": {
        "loss": tf.keras.losses.MeanSquaredError(reduction="sum"),
        "metrics": [tf.keras.metrics.MeanMetricWrapper(tf.keras.metrics.mean_absolute_error, name="wrapped")],
    },
    "nothing but an optimizer": {"loss": None},
}


@pytest.mark.parametrize("name", COMPILED)
def test_what_compile_was_given_comes_back(name, tmp_path):
    model = functional()
    model.compile("sgd", **COMPILED[name])
    model.save(tmp_path / "model.h5")
    custom = {"my_loss": my_loss, "my_metric": my_metric} if name == "own" else None
    loaded = tf.keras.models.load_model(tmp_path / "model.h5", custom_objects=custom)
    assert loaded.metrics_names == model.metrics_names
    if name != "nothing but an optimizer":
        x, y = data(model)
        assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def test_own_names_must_be_given(tmp_path):
    model = trained(functional, loss=my_loss, metrics=[])
    model.save(tmp_path / "model.h5")
    with pytest.raises(ValueError, match="Unknown loss function: 'my_loss'.*custom_objects"):
        tf.keras.models.load_model(tmp_path / "model.h5")
    with tf.keras.utils.custom_object_scope({"my_loss": my_loss}):
        assert tf.keras.models.load_model(tmp_path / "model.h5").loss == "my_loss"


class Scale(tf.keras.layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.weight = self.add_weight("weight", shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.factor * self.weight

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def test_own_layers(tmp_path):
    model = tf.keras.Sequential([Scale(3.0, input_shape=(2,), name="scale")])
    model.save(tmp_path / "model.h5")
    with pytest.raises(ValueError, match="Unknown layer: 'Scale'"):
        tf.keras.models.load_model(tmp_path / "model.h5", compile=False)
    loaded = tf.keras.models.load_model(tmp_path / "model.h5", {"Scale": Scale}, compile=False)
    assert loaded.predict(np.ones((1, 2), "float32")).tolist() == [[3.0, 3.0]]


# --- options


def test_without_optimizer(tmp_path):
    model = trained(sequential)
    model.save(tmp_path / "model.h5", include_optimizer=False)
    with pytest.warns(
        UserWarning, match="No training configuration found in save file: the model was \\*not\\* compiled"
    ):
        loaded = tf.keras.models.load_model(tmp_path / "model.h5")
    with pytest.raises(RuntimeError, match="You must compile your model"):
        loaded.evaluate(*data(loaded))


def test_without_compiling(tmp_path):
    trained(sequential).save(tmp_path / "model.h5")
    assert tf.keras.models.load_model(tmp_path / "model.h5", compile=False).optimizer is None


def test_weights_only(tmp_path):
    model, other = trained(sequential), sequential()
    model.save_weights(tmp_path / "weights.h5")
    other.load_weights(tmp_path / "weights.h5")
    x, _ = data(model)
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


def test_weights_by_name(tmp_path):
    model = trained(sequential)
    model.save_weights(tmp_path / "weights.h5")
    layers = tf.keras.layers
    other = tf.keras.Sequential(
        [layers.Dense(7, input_shape=(18,), name="new"), layers.BatchNormalization(name="mine")]
    )
    before = other.get_weights()
    other.load_weights(tmp_path / "weights.h5", by_name=True)
    for value, expected in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, expected)
    other = tf.keras.Sequential([layers.Dense(2, input_shape=(18,), name="out"), layers.Dense(1, name="new")])
    other.load_weights(tmp_path / "weights.h5", by_name=True)
    np.testing.assert_array_equal(other.get_layer("out").get_weights()[0], model.get_layer("out").get_weights()[0])


def test_weights_of_a_subclassed_model(tmp_path):
    class Own(tf.keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.dense = tf.keras.layers.Dense(2, name="dense")
            self.offset = self.add_weight("offset", shape=(2,), initializer="ones")

        def call(self, inputs):
            return self.dense(inputs) + self.offset

    model, other = Own(), Own()
    with pytest.raises(ValueError, match="have not yet been created"):
        model.save_weights(tmp_path / "weights.h5")
    model(np.ones((1, 3), "float32"))
    model.offset.assign([5.0, 6.0])
    model.save_weights(tmp_path / "weights.h5")
    with pytest.raises(ValueError, match="has not created its variables yet"):
        other.load_weights(tmp_path / "weights.h5")
    other(np.ones((1, 3), "float32"))
    other.load_weights(tmp_path / "weights.h5")
    x = np.random.RandomState(0).rand(4, 3).astype("float32")
    np.testing.assert_array_equal(other(x).numpy(), model(x).numpy())
    with pytest.raises(NotImplementedError, match="requires the model to be a Functional model or a Sequential model"):
        model.save(tmp_path / "model.h5")
    assert not (tmp_path / "model.h5").exists()


def test_an_open_file_and_a_group_in_it(tmp_path):
    model = trained(sequential)
    with h5py.File(tmp_path / "many.h5", "w") as file:
        model.save(file.create_group("run/1"))
        model.save_weights(file.create_group("weights"))
        loaded = tf.keras.models.load_model(file["run/1"])
        loaded.load_weights(file["weights"])
    x, _ = data(model)
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_what_froze_after_saving_is_matched_by_name(tmp_path):
    model, other = nested(), nested()
    model.save_weights(tmp_path / "weights.h5")
    other.get_layer("block").get_layer("first").trainable = False
    other.load_weights(tmp_path / "weights.h5")
    x, _ = data(model)
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5", "model.keras"])
def test_endings_that_mean_hdf5(name, tmp_path):
    trained(sequential).save(str(tmp_path / name))
    assert h5py.is_hdf5(tmp_path / name)
    tf.keras.models.load_model(str(tmp_path / name))
    # what a file holds counts, not its name
    (tmp_path / name).rename(tmp_path / "renamed")
    tf.keras.models.load_model(tmp_path / "renamed")


# --- the layout: what TensorFlow 2.0 reads


def test_layout(tmp_path):
    model = trained(functional)
    model.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5") as file:
        assert set(file.attrs) == {"keras_version", "backend", "model_config", "training_config"}
        for name in file.attrs:  # TensorFlow 2.0 calls .decode on what it reads
            assert h5py.check_string_dtype(file.attrs.get_id(name).dtype).encoding == "ascii"
        assert file.attrs["keras_version"] == "2.2.4-tf" and file.attrs["backend"] == "tensorflow"
        group = file["model_weights"]
        names = [name.decode() for name in group.attrs["layer_names"]]
        assert names == [layer.name for layer in model.layers] and group.attrs["layer_names"].dtype.kind == "S"
        assert group["join"].attrs["weight_names"].dtype == np.float64 and group["join"].attrs[
            "weight_names"
        ].shape == (0,)
        assert group["inner"].attrs["weight_names"].tolist() == [b"id/kernel:0", b"id/bias:0"]
        np.testing.assert_array_equal(group["inner/id/kernel:0"][()], model.get_layer("inner").get_weights()[0])
        stored = [name.decode() for name in file["optimizer_weights"].attrs["weight_names"]]
        assert stored[:3] == ["Adam/iter:0", "Adam/id/kernel/m:0", "Adam/id/bias/m:0"]
        assert stored[7:9] == ["Adam/id/kernel/v:0", "Adam/id/bias/v:0"]
        assert (
            file["optimizer_weights/Adam/iter:0"].dtype == np.int64 and file["optimizer_weights/Adam/iter:0"][()] == 2
        )
        training = json.loads(file.attrs["training_config"])
    assert training["loss"] == "categorical_crossentropy" and training["metrics"] == ["accuracy"]
    assert training["optimizer_config"]["class_name"] == "Adam"


def test_sequential_models_say_what_they_are_fed(tmp_path):
    """Keras 3 misreads `batch_input_shape` unless an InputLayer comes before it."""
    sequential().save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5") as file:
        config = json.loads(file.attrs["model_config"])
    assert [entry["class_name"] for entry in config["config"]["layers"][:2]] == ["InputLayer", "Conv2D"]
    assert config["config"]["layers"][0]["config"]["batch_input_shape"] == [None, 5, 5, 1]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("mse", "mean_squared_error"),
        ("MAE", "mean_absolute_error"),
        ("categorical_crossentropy", "categorical_crossentropy"),
        ("kld", {"class_name": "KLDivergence", "config": {"name": "kullback_leibler_divergence"}}),
        (tf.keras.losses.Hinge(), {"class_name": "Hinge", "config": {"name": "hinge"}}),
    ],
)
def test_losses_are_written_in_words_that_keras_3_knows(tmp_path, given, written):
    model = functional()
    model.compile("sgd", given)
    model.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5") as file:
        loss = json.loads(file.attrs["training_config"])["loss"]
    if isinstance(written, dict):
        assert loss["config"].pop("reduction") == "sum_over_batch_size"
    assert loss == written


def test_equal_models_make_equal_files(tmp_path):
    model = trained(functional)
    for name in ("one.h5", "two.h5"):
        model.save(tmp_path / name)
        model.save_weights(tmp_path / f"weights_{name}")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    assert (tmp_path / "weights_one.h5").read_bytes() == (tmp_path / "weights_two.h5").read_bytes()
    tf.keras.models.load_model(tmp_path / "one.h5").save(tmp_path / "three.h5")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "three.h5").read_bytes()


def test_long_lists_of_names_are_split(tmp_path):
    names = [f"{'a' * 90}_{number}" for number in range(1500)]
    with h5py.File(tmp_path / "names.h5", "w") as file:
        entries.write_names(file, "layer_names", names)
        assert "layer_names" not in file.attrs
        assert all(file.attrs[name].nbytes <= entries.ATTRIBUTE_LIMIT for name in file.attrs)
        assert sorted(file.attrs) == [f"layer_names{index}" for index in range(len(file.attrs))]
        assert entries.read_names(file, "layer_names") == names
        with pytest.raises(ValueError, match="cannot hold names of over 64512 bytes"):
            entries.write_names(file, "weight_names", ["b" * 64513])


def test_a_model_with_many_layers(tmp_path):
    layers = [tf.keras.layers.Dense(1, name=f"{'layer' * 12}_{number}") for number in range(1100)]
    model = tf.keras.Sequential(layers)
    model.build((None, 1))
    model.save_weights(tmp_path / "weights.h5")
    with h5py.File(tmp_path / "weights.h5") as file:
        assert "layer_names0" in file.attrs and "layer_names" not in file.attrs
    before = model.get_weights()
    model.set_weights([np.zeros_like(value) for value in before])
    model.load_weights(tmp_path / "weights.h5")
    for value, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_names_that_occur_twice(tmp_path):
    class Twins(tf.keras.layers.Layer):
        def build(self, input_shape):
            self.one, self.two = self.add_weight("same", shape=(1,)), self.add_weight("same", shape=(1,))

    model = tf.keras.Sequential([Twins(input_shape=(1,), name="twins")])
    with pytest.raises(ValueError, match="Two weights are called 'twins/same:0'"):
        model.save_weights(tmp_path / "weights.h5")
    assert list(tmp_path.iterdir()) == []
