"""Files that TensorFlow 2.0.0, tf_keras and Keras 3 have written: see record_keras_files.py."""

from __future__ import annotations

import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

import distkeras as tf

DATA = Path(__file__).parent / "data"
OTHERS = ("tf20", "lstm")  # TensorFlow 2.0.0's files, and the same model by later versions: see at the end
FILES = sorted(p.name for p in DATA.iterdir() if p.suffix in (".h5", ".keras") and p.name[:4] not in OTHERS)


def load_model(path: Path):
    """The model in a file."""
    with warnings.catch_warnings():
        # Archives of Keras 3 do not hold the optimizer's settings, which is warned about.
        if path.suffix == ".keras":
            warnings.filterwarnings("ignore", "The archive does not hold")
            # so that SGD's momentum is not known either
            warnings.filterwarnings("ignore", "Error in loading the saved optimizer state")
        return tf.keras.models.load_model(path)


def load(name: str):
    """The model in a file, and the recorded arrays."""
    with np.load((DATA / name).with_suffix(".npz")) as arrays:
        return load_model(DATA / name), dict(arrays)


def inputs_of(arrays: dict) -> list:
    return [arrays[name] for name in sorted(arrays) if name.startswith("x")]


def test_there_are_files_of_each_kind():
    kinds = {(name.split("_")[0], Path(name).suffix) for name in FILES}
    assert kinds == {("tfk", ".h5"), ("k3", ".h5"), ("k3", ".keras")}


@pytest.mark.parametrize("name", FILES)
def test_predictions_are_equal(name):
    model, arrays = load(name)
    np.testing.assert_allclose(model.predict(inputs_of(arrays)), arrays["p"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in FILES if name != "k3_functional_sgd.keras"])
def test_training_goes_on_with_the_optimizers_state(name):
    model, arrays = load(name)
    assert int(model.optimizer.iterations) == 2
    model.train_on_batch(inputs_of(arrays), arrays["y"])
    # RMSprop adds epsilon inside of the square root in later versions, outside in TF 2.0.
    tolerance = 1e-4 if "rmsprop" in name else 1e-5
    np.testing.assert_allclose(model.predict(inputs_of(arrays)), arrays["q"], rtol=tolerance, atol=tolerance)
    assert int(model.optimizer.iterations) == 3


@pytest.mark.parametrize("name", FILES)
def test_weights_alone_are_loaded_into_a_model_that_exists(name):
    model, arrays = load(name)
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape, np.float32))
    model.load_weights(DATA / name)
    np.testing.assert_allclose(model.predict(inputs_of(arrays)), arrays["p"], rtol=1e-6, atol=1e-6)


def test_an_archive_without_the_optimizers_settings_says_so():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = tf.keras.models.load_model(DATA / "k3_functional_sgd.keras")
    settings, state = (str(warning.message) for warning in caught)
    assert "does not hold the settings of its optimizer: compiled with 'sgd'" in settings
    assert "starting with a freshly initialized optimizer" in state
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05) and int(model.optimizer.iterations) == 0


def test_metrics_keep_their_names():
    model, arrays = load("tfk_functional_adam.h5")
    assert model.metrics_names == ["loss", "mae"]
    model, arrays = load("k3_sequential_adam.h5")
    assert model.metrics_names == ["loss", "accuracy"]


# --- TensorFlow 2.0.0


def part_of_tf20_model():
    """The layers of the recorded model but for the LSTM."""
    layers = tf.keras.layers
    a = layers.Input((4,), name="a")
    joined = layers.Input((6,), name="joined")
    inner = tf.keras.Sequential([layers.Dense(3, input_shape=(4,), name="id")], name="inner")
    out = layers.Dense(2, name="o")(layers.BatchNormalization(name="bn")(joined))
    return tf.keras.Model([a, joined], [inner(a), out])


@pytest.mark.parametrize("name", ["tf20_m.h5", "tf20_w.h5"])
def test_tf20_weights_by_name(name):
    model = part_of_tf20_model()
    model.load_weights(DATA / name, by_name=True)
    with h5py.File(DATA / name) as file:
        group = file["model_weights"] if "model_weights" in file else file
        for layer in ("inner", "bn", "o"):
            stored = [group[layer][weight.decode()][()] for weight in group[layer].attrs["weight_names"]]
            for value, expected in zip(model.get_layer(layer).get_weights(), stored, strict=True):
                np.testing.assert_array_equal(value, expected)


def inputs_of_tf20_model():
    """What its predictions were recorded for; they follow on what it was trained on."""
    random = np.random.RandomState(0)
    random.rand(8, 4), random.rand(8, 5, 2), random.rand(8, 2)
    return [random.rand(4, 4), random.rand(4, 5, 2)]


@pytest.mark.parametrize(
    ("name", "predictions"),
    [("tf20_m.h5", "tf20_p.npz"), ("lstm_tfk.h5", "lstm_tfk.npz"), ("lstm_k3.keras", "lstm_k3.npz")],
)
def test_the_model_with_an_lstm(name, predictions):
    model = load_model(DATA / name)
    found = model.predict(inputs_of_tf20_model())
    np.testing.assert_allclose(found, np.load(DATA / predictions)["p"], rtol=1e-6, atol=1e-6)
    assert int(model.optimizer.iterations) == 1
    assert [w.name for w in model.get_layer("ls").weights] == ["ls/kernel:0", "ls/recurrent_kernel:0", "ls/bias:0"]


def test_tf20_weights_into_the_model_with_an_lstm():
    model = tf.keras.models.load_model(DATA / "tf20_m.h5")
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape, np.float32))
    model.load_weights(DATA / "tf20_w.h5")
    found = model.predict(inputs_of_tf20_model())
    np.testing.assert_allclose(found, np.load(DATA / "tf20_p.npz")["p"], rtol=1e-6, atol=1e-6)


def test_an_unknown_layer_is_named(tmp_path):
    path = tmp_path / "m.h5"
    path.write_bytes((DATA / "tfk_sequential_adam.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"Flatten"', '"Flaten"')
    with pytest.raises(ValueError, match="Unknown layer: 'Flaten'.*Did you mean 'Flatten'"):
        tf.keras.models.load_model(path)
