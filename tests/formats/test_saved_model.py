"""SavedModels, written here and by TensorFlow (without its graphs): see record_checkpoints.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras import _wire as wire
from distkeras.errors import FileFormatError
from distkeras.keras.saving import saved_model_files, saved_model_graph, tf_graph
from tests.formats.checkpoint_models import MODELS, data
from tests.formats.models import MODELS as MORE_MODELS
from tests.formats.models import data as data_for
from tests.formats.models import trained as trained_model
from tests.formats.test_tf_checkpoint import assert_same_state, trained

DATA = Path(__file__).parent / "data"
layers = tf.keras.layers


def load(path, **arguments):
    return tf.keras.models.load_model(path, **arguments)


# --- what TensorFlow has written


@pytest.mark.parametrize("name", ["functional_adam", "sequential_newer_adam"])
def test_what_tf_keras_has_written(name):
    model = load(DATA / f"tfk_sm_{name}")
    with np.load(DATA / f"tfk_ck_{name}.npz") as arrays:
        np.testing.assert_allclose(model.predict(arrays["x"]), arrays["p"], rtol=1e-6, atol=1e-6)
        model.train_on_batch(arrays["x"], arrays["y"])
        np.testing.assert_allclose(model.predict(arrays["x"]), arrays["q"], rtol=1e-5, atol=1e-5)
    assert int(model.optimizer.iterations) == 3


def test_the_config_that_tensorflow_2_0_has_written():
    metadata = saved_model_files.read_objects(str(DATA / "tf20_sm"))[0].metadata
    assert metadata["class_name"] == "Model" and metadata["training_config"]["loss"] == "mse"
    assert [entry["class_name"] for entry in metadata["config"]["layers"]] == [
        "InputLayer",
        "LSTM",
        "BatchNormalization",
        "Dense",
    ]


def test_what_tensorflow_2_0_has_written():
    model = load(DATA / "tf20_sm")
    other = load(DATA / "tf20_sm", compile=False)
    for value, expected in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    assert int(model.optimizer.iterations) == 1 and float(model.optimizer.learning_rate) == pytest.approx(0.01)
    kernel = model.get_layer("ls").cell.kernel
    key = "variables/0/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE"
    expected = tf.train.load_variable(DATA / "tf20_sm" / "variables" / "variables", key)
    np.testing.assert_array_equal(model.optimizer.get_slot(kernel, "m").numpy(), expected)
    assert model.predict(np.zeros((2, 5, 2))).shape == (2, 2)


def test_the_variables_of_a_model_of_unknown_layers(monkeypatch):
    """Without a config, the variables can be had all the same."""
    monkeypatch.setattr(saved_model_files, "KERAS_KIND", "none of these")
    restored = tf.saved_model.load(DATA / "tf20_sm")
    assert len(restored.variables) == 9 and len(restored.trainable_variables) == 7 and restored.signatures == {}
    cell = getattr(restored, "layer_with_weights-0").cell
    assert cell.kernel is restored.variables[0] and cell.kernel.name == "ls/kernel:0" and cell.kernel.trainable
    key = "variables/0/.ATTRIBUTES/VARIABLE_VALUE"
    expected = tf.train.load_variable(DATA / "tf20_sm" / "variables" / "variables", key)
    np.testing.assert_array_equal(cell.kernel.numpy(), expected)
    with pytest.raises(NotImplementedError, match="without a `__call__`.*or make the object in Python"):
        restored(np.zeros((2, 5, 2)))
    with pytest.raises(AttributeError, match="no attribute 'predict': it has the variables, and the functions"):
        restored.predict(np.zeros((2, 5, 2)))


# --- written here


@pytest.mark.parametrize("name", MORE_MODELS)
def test_round_trip(tmp_path, name):
    expected = trained_model(MORE_MODELS[name])
    expected.save(tmp_path / "model")
    model = load(tmp_path / "model")
    assert_same_state(model, expected)
    assert model.to_json() == expected.to_json() and model.metrics_names == expected.metrics_names
    x, _ = data_for(expected)
    np.testing.assert_array_equal(model.predict(x), expected.predict(x))
    again = tf.keras.models.clone_model(model)
    again.load_weights(tmp_path / "model").assert_existing_objects_matched()
    np.testing.assert_array_equal(again.predict(x), expected.predict(x))


def test_the_optimizer_can_be_left_out(tmp_path):
    model = trained("functional")
    model.save(tmp_path / "model", include_optimizer=False)
    assert int(model.optimizer.iterations) == 2
    with pytest.warns(UserWarning, match="No training configuration found"):
        loaded = load(tmp_path / "model")
    assert loaded.optimizer is None
    names = [name for name, _ in tf.train.list_variables(tmp_path / "model" / "variables" / "variables")]
    assert not any("optimizer" in name or "SLOT" in name for name in names)


def test_models_that_are_not_compiled(tmp_path):
    MODELS["functional"](tf).save(tmp_path / "model")
    with pytest.warns(UserWarning, match="No training configuration found"):
        load(tmp_path / "model")
    assert load(tmp_path / "model", compile=False).optimizer is None


def test_stacks_that_were_built_by_data(tmp_path):
    model = tf.keras.Sequential([layers.Dense(3), layers.Dense(2)])
    x = data()[0]
    expected = model(x).numpy()
    model.save(tmp_path / "model", save_format="tf")
    np.testing.assert_array_equal(load(tmp_path / "model", compile=False)(x), expected)


def test_classes_of_ones_own(tmp_path):
    class Twice(layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    def loss(y_true, y_pred):
        return tf.reduce_mean((y_true - y_pred) ** 2, -1)

    model = tf.keras.Sequential([layers.Dense(2, input_shape=(4,)), Twice()])
    model.compile("sgd", loss)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="Unknown layer: 'Twice'.*custom_objects"):
        load(tmp_path / "model")
    loaded = load(tmp_path / "model", custom_objects={"Twice": Twice, "loss": loss})
    assert loaded.evaluate(*data(), verbose=0) == model.evaluate(*data(), verbose=0)


def test_models_by_subclassing_that_have_a_config(tmp_path):
    class Own(tf.keras.Model):
        def __init__(self, units, name=None):
            super().__init__(name=name)
            self.dense = layers.Dense(units)

        def call(self, inputs):
            return self.dense(inputs)

        def get_config(self):
            return {"units": self.dense.units, "name": self.name}

    model = Own(2)
    expected = model(data()[0]).numpy()
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model", custom_objects={"Own": Own}, compile=False)
    np.testing.assert_array_equal(loaded(data()[0]), expected)


def test_a_model_that_tensorflow_saved_without_a_config(tmp_path):
    folder = broken(tmp_path, lambda objects: objects[0].metadata.pop("config"))
    with pytest.raises(ValueError, match="without a config, since it is defined by its `call`.*load_weights"):
        load(folder)
    model = MODELS["functional"](tf)
    model.load_weights(folder)
    with np.load(DATA / "tfk_ck_functional_adam.npz") as arrays:
        np.testing.assert_allclose(model.predict(arrays["x"]), arrays["p"], rtol=1e-6, atol=1e-6)


def test_saving_twice_replaces(tmp_path):
    MODELS["functional"](tf).save(tmp_path / "model")
    labels = tmp_path / "model" / "assets" / "labels.txt"
    labels.write_text("cat dog")
    model = trained("sequential")
    model.save(tmp_path / "model")
    assert_same_state(load(tmp_path / "model"), model)
    assert labels.read_text() == "cat dog"


def test_names_of_layers_are_not_known(tmp_path):
    MODELS["functional"](tf).save(tmp_path / "model")
    with pytest.raises(NotImplementedError, match="got by_name=True"):
        MODELS["functional"](tf).load_weights(tmp_path / "model", by_name=True)


# --- tf.saved_model


def test_signatures_of_models(tmp_path):
    x = data()[0]
    model = MODELS["functional"](tf)
    tf.saved_model.save(model, tmp_path / "model")
    assert tf.saved_model.contains_saved_model(tmp_path / "model")
    assert not tf.saved_model.contains_saved_model(tmp_path)
    loaded = tf.saved_model.load(tmp_path / "model", tags="serve")
    infer = loaded.signatures[tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY]
    for outputs in (infer(tf.constant(x)), infer(x=x)):
        assert list(outputs) == ["out"]
        np.testing.assert_allclose(outputs["out"], model(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(loaded(x), model(x))
    with pytest.raises(TypeError, match=r"takes the inputs \['x'\] by name.*received 0 without names and \['z'\]"):
        infer(z=x)


def test_signatures_of_several_inputs(tmp_path):
    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b")
    model = tf.keras.Model([a, b], [layers.add([a, b], name="sum"), layers.multiply([a, b], name="product")])
    tf.saved_model.save(model, tmp_path / "model")
    infer = tf.saved_model.load(tmp_path / "model").signatures["serving_default"]
    outputs = infer(b=np.full((1, 2), 3.0, "f"), a=np.full((1, 2), 2.0, "f"))
    assert infer.structured_input_signature == ((), {"a": tf.TensorSpec((None, 2)), "b": tf.TensorSpec((None, 2))})
    assert list(infer.structured_outputs) == ["product", "sum"] and infer.outputs == [tf.TensorSpec((None, 2))] * 2
    assert {name: value.numpy().tolist() for name, value in outputs.items()} == {
        "sum": [[5.0, 5.0]],
        "product": [[6.0, 6.0]],
    }
    with pytest.raises(TypeError, match="received 2 without names"):
        infer(1, 2)


def test_any_objects(tmp_path):
    saved = tf.train.Checkpoint(
        v=tf.Variable(3, trainable=False, name="three"), listed=[tf.Variable(1.0)], mapped={"a": tf.Variable(True)}
    )
    tf.saved_model.save(saved, tmp_path / "objects")
    loaded = tf.saved_model.load(tmp_path / "objects")
    assert int(loaded.v) == 3 and loaded.v.name == "three:0" and not loaded.v.trainable
    assert float(loaded.listed[0]) == 1.0 and loaded.listed[0].trainable and bool(loaded.mapped["a"])
    with pytest.raises(FileFormatError, match="holds no Keras model but an object of the kind '_generic_user_object'"):
        load(tmp_path / "objects")


def test_layers_and_metrics(tmp_path):
    """Whatever else can be in a checkpoint."""
    saved = tf.train.Checkpoint(model=trained("subclassed"), metric=tf.keras.metrics.Mean(), pair=(tf.Variable(1), 2))
    saved.metric.update_state([1.0, 3.0])
    tf.saved_model.save(saved, tmp_path / "objects")
    kinds = [entry.kind for entry in saved_model_files.read_objects(str(tmp_path / "objects"))]
    assert {"_tf_keras_model", "_tf_keras_sequential", "_tf_keras_layer", "_tf_keras_metric", "optimizer"} < set(kinds)
    assert {"trackable_list_wrapper", "trackable_dict_wrapper", "trackable_tuple_wrapper"} < set(kinds)
    loaded = tf.saved_model.load(tmp_path / "objects")
    assert float(loaded.metric.total) == 4.0 and int(loaded.pair[0]) == 1 and len(loaded.pair) == 1
    np.testing.assert_array_equal(loaded.model.block.steps[1].kernel, saved.model.block.steps[1].kernel)
    assert int(loaded.model.optimizer.iter) == 2


def test_functions_of_unknown_arguments_are_not_written(tmp_path):
    saved = tf.train.Checkpoint(v=tf.Variable(3))
    saved.twice = tf.function(lambda: 2 * saved.v)
    with pytest.warns(UserWarning, match="the function 'twice', which has no input_signature and was not called yet"):
        tf.saved_model.save(saved, tmp_path / "objects")


def test_calls_that_cannot_work(tmp_path):
    model = MODELS["functional"](tf)
    for obj in (model, tf.train.Checkpoint()):
        with pytest.raises(ValueError, match="`options` must be a tf.saved_model.SaveOptions or None"):
            tf.saved_model.save(obj, tmp_path / "model", options=object())
        with pytest.raises(ValueError, match="Expected a TensorFlow function to generate a signature for, but got 3"):
            tf.saved_model.save(obj, tmp_path / "model", signatures=3)
        with pytest.raises(ValueError, match="The names of signatures are texts, received 1"):
            tf.saved_model.save(obj, tmp_path / "model", {1: tf.function(lambda x: x, [tf.TensorSpec(())])})
    with pytest.raises(ValueError, match="save_debug_info=True is not available"):
        tf.saved_model.SaveOptions(save_debug_info=True)
    with pytest.raises(ValueError, match="`signatures` are functions of a SavedModel, and .* becomes one file"):
        model.save(tmp_path / "model.h5", signatures={})
    with pytest.raises(ValueError, match="Expected a Trackable object for export, got 3"):
        tf.saved_model.save(3, tmp_path / "model")
    with pytest.raises(FileFormatError, match="is no folder with a file saved_model.pb"):
        tf.saved_model.load(tmp_path)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"has the tags \['serve'\], not \['train'\]"):
        tf.saved_model.load(tmp_path / "model", tags=["train"])


# --- damage


@pytest.fixture
def folder(tmp_path) -> Path:
    """A SavedModel that TensorFlow has written, to be damaged."""
    shutil.copytree(DATA / "tfk_sm_functional_adam", tmp_path / "model")
    return tmp_path / "model"


def broken(tmp_path: Path, change, source: str = "") -> Path:
    """That SavedModel, or another one, with its objects changed, and written as in TF 2.0."""
    folder = tmp_path / "changed"
    shutil.copytree(tmp_path / source if source else DATA / "tfk_sm_functional_adam", folder)
    objects = saved_model_files.read_objects(str(folder))
    (folder / "keras_metadata.pb").unlink()
    change(objects)
    gathered = tf_graph.Gathered([entry.node for entry in objects], [None] * len(objects))
    described = [(entry.kind, entry.metadata) for entry in objects]
    (folder / "saved_model.pb").write_bytes(saved_model_graph.encode(gathered, described))
    return folder


@pytest.mark.parametrize("name", ["saved_model.pb", "keras_metadata.pb"])
def test_files_that_are_cut_short(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FileFormatError, match=f"{name}: .*The file is damaged"):
        load(folder)


def test_files_of_another_kind(folder):
    (folder / "keras_metadata.pb").unlink()
    (folder / "saved_model.pb").write_bytes(wire.field(1, 1))
    with pytest.raises(FileFormatError, match="it holds no objects of TensorFlow 2"):
        load(folder)
    for nodes in (b"", wire.field(1, wire.field(1, wire.field(1, 9)))):
        (folder / "saved_model.pb").write_bytes(wire.field(2, wire.field(7, nodes)))
        with pytest.raises(FileFormatError, match=r"refers to an object that is not among its [01]\."):
            load(folder)


def test_variables_that_are_missing(folder):
    shutil.rmtree(folder / "variables")
    with pytest.raises(FileFormatError, match="the folder variables is missing, or has no file variables.index"):
        load(folder)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (b"{", "Expecting"),
        (b"[1]", "the metadata of an object are not a dict"),
        (b'{"a":' * 100_000, "nested too deeply|Expecting"),
    ],
)
def test_metadata_that_make_no_sense(folder, metadata, message):
    (folder / "keras_metadata.pb").write_bytes(wire.field(1, wire.field(5, metadata)))
    with pytest.raises(FileFormatError, match=message):
        load(folder)


def test_metadata_of_other_objects(folder):
    (folder / "keras_metadata.pb").write_bytes(wire.field(1, wire.field(2, 10_000) + wire.field(5, b"{}")))
    with pytest.raises(FileFormatError, match="it tells of the object 10000, but there are"):
        load(folder)


CHANGES = {
    "units": lambda config: config["layers"][1]["config"].update(units="many"),
    "missing": lambda config: config["layers"][-1]["config"].pop("units"),
    "huge": lambda config: config["layers"][-1]["config"].update(units=1 << 40),
    "null": lambda config: config.update(layers=None),
    "number": lambda config: config.update(layers=[7]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_configs_that_make_no_sense(tmp_path, name):
    folder = broken(tmp_path, lambda objects: CHANGES[name](objects[0].metadata["config"]))
    with pytest.raises((FileFormatError, ValueError)) as caught:
        load(folder)
    assert str(caught.value)


def test_weights_that_are_missing(tmp_path):
    model = tf.keras.Sequential([layers.Dense(2, use_bias=False, input_shape=(4,))])
    model.compile("adam", "mse")
    model.train_on_batch(*data())
    model.save(tmp_path / "model")
    folder = broken(
        tmp_path, lambda objects: objects[0].metadata["config"]["layers"][0]["config"].update(use_bias=True), "model"
    )
    with pytest.raises(FileFormatError, match=r"changed has no values for 1 of the model's weights, such as \['dense"):
        load(folder)


def test_variables_that_claim_too_much(tmp_path):
    tf.saved_model.save(tf.train.Checkpoint(v=tf.Variable([1.0])), tmp_path / "objects")
    path = tmp_path / "objects" / "saved_model.pb"
    shape = wire.field(2, wire.field(2, wire.field(1, 1 << 40)))
    variable = wire.field(1, wire.field(7, wire.field(1, 1) + shape))
    root = wire.field(
        1, wire.field(1, wire.field(1, 1) + wire.field(2, "v")) + wire.field(4, wire.field(1, "_generic"))
    )
    path.write_bytes(wire.field(2, wire.field(7, root + variable)))
    with pytest.raises(FileFormatError, match="variables of 1099511627776 elements are claimed, but only"):
        tf.saved_model.load(tmp_path / "objects")
