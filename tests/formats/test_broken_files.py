"""Files that are damaged, or made to do harm: a clear error, no code run, nothing large allocated."""

from __future__ import annotations

import json
import resource
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import distkeras as tf
from distkeras.errors import FileFormatError
from distkeras.keras.saving import h5_entries as entries
from tests.formats.models import sequential, trained

DATA = Path(__file__).parent / "data"


@pytest.fixture
def path(tmp_path) -> Path:
    """A model of two layers, compiled and trained."""
    layers = tf.keras.layers
    stack = [layers.Dense(3, input_shape=(4,), name="first"), layers.Dense(2, activation="softmax", name="second")]
    trained(lambda: tf.keras.Sequential(stack, name="model")).save(tmp_path / "model.h5")
    return tmp_path / "model.h5"


def edit_config(path: Path, change) -> None:
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)


def load(path: Path):
    return tf.keras.models.load_model(path)


# --- no model at all


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file.*nothing.h5"):
        load(tmp_path / "nothing.h5")
    with pytest.raises(OSError, match="no such file"):
        sequential().load_weights(str(tmp_path / "nothing.h5"))


def test_other_files(tmp_path):
    (tmp_path / "text.h5").write_text("This is not a model.")
    with pytest.raises(
        FileFormatError, match="text.h5 is neither HDF5 nor a Keras archive: it has 20 bytes and begins with b'This is"
    ):
        load(tmp_path / "text.h5")
    (tmp_path / "empty.h5").touch()
    with pytest.raises(FileFormatError, match="it has 0 bytes"):
        load(tmp_path / "empty.h5")


def test_formats_of_tensorflow(tmp_path):
    with pytest.raises(FileFormatError, match="is a folder without the file saved_model.pb"):
        load(tmp_path)
    (tmp_path / "weights.index").touch()
    with pytest.raises(FileFormatError, match="is a TensorFlow checkpoint, which holds only weights"):
        load(tmp_path / "weights")


def test_hdf5_without_a_model(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = np.arange(3)
    with pytest.raises(
        FileFormatError, match="entry /model_config is missing.*No model found.*The file holds no model"
    ):
        load(tmp_path / "data.h5")
    with pytest.raises(FileFormatError, match="entry /layer_names is missing"):
        sequential().load_weights(tmp_path / "data.h5")
    sequential().save_weights(tmp_path / "weights.h5")
    with pytest.raises(
        FileFormatError, match="The file holds only weights: build the model and use model.load_weights"
    ):
        load(tmp_path / "weights.h5")


# --- damage


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_cut_short(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(FileFormatError, match="model.h5 is a damaged HDF5 file of .* bytes, perhaps cut short"):
        load(path)


def test_bytes_changed_anywhere(path):
    """Every load ends well or with one of the documented errors."""
    content = path.read_bytes()
    random = np.random.RandomState(0)
    outcomes = set()
    for _ in range(60):
        damaged = bytearray(content)
        for position in random.randint(0, len(content), 12):
            damaged[position] = random.randint(256)
        path.write_bytes(damaged)
        try:
            tf.keras.models.load_model(path, compile=False)
            outcomes.add("loaded")
        except (OSError, ValueError) as error:
            outcomes.add(type(error).__name__)
            assert str(error)
    assert len(outcomes) > 1


ENTRIES = {
    "model_weights": "entry /model_weights is missing",
    "model_weights/first": "entry /model_weights/first is missing",
    "model_weights/first/first/kernel:0": "entry /model_weights/first/first/kernel:0 is missing",
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_missing_entries_are_named(path, entry):
    with h5py.File(path, "a") as file:
        del file[entry]
    with pytest.raises(FileFormatError, match=f"model.h5: {ENTRIES[entry]}"):
        load(path)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "3", '{"class_name": "Sequential"}', "null"])
def test_configs_that_are_none(path, text):
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = text
    with pytest.raises((FileFormatError, ValueError), match="model_config|config"):
        load(path)


CHANGES = {
    "units": lambda config: config["config"]["layers"][1]["config"].update(units="many"),
    "missing": lambda config: config["config"]["layers"][1]["config"].pop("units"),
    "unknown": lambda config: config["config"]["layers"][1]["config"].update(colour="red"),
    "null": lambda config: config["config"].update(layers=None),
    "number": lambda config: config["config"].update(layers=[7]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_configs_that_make_no_sense(path, name):
    edit_config(path, CHANGES[name])
    with pytest.raises((FileFormatError, ValueError)) as caught:
        load(path)
    assert str(caught.value)


def test_shapes_that_do_not_fit(path):
    layers = tf.keras.layers
    other = tf.keras.Sequential([layers.Dense(3, input_shape=(5,), name="one"), layers.Dense(2, name="two")])
    before = other.get_weights()
    with pytest.raises(
        ValueError, match=r'Layer #0 \(named "one"\), weight .one/kernel:0. has shape \(5, 3\).*\(4, 3\)'
    ):
        other.load_weights(path)
    other = tf.keras.Sequential([layers.Dense(3, input_shape=(4,), name="one"), layers.Dense(7, name="two")])
    before = other.get_weights()
    with pytest.raises(ValueError, match="has shape"):
        other.load_weights(path)
    for value, expected in zip(other.get_weights(), before, strict=True):  # nor was the layer that fits
        np.testing.assert_array_equal(value, expected)


def test_numbers_of_layers_and_weights_that_do_not_fit(path):
    layers = tf.keras.layers
    with pytest.raises(ValueError, match="a weight file containing 2 layers into a model with 1 layers"):
        tf.keras.Sequential([layers.Dense(3, input_shape=(4,))]).load_weights(path)
    other = tf.keras.Sequential([layers.Dense(3, input_shape=(4,), use_bias=False, name="first"), layers.Dense(2)])
    for by_name in (False, True):
        with pytest.raises(
            ValueError, match="the new layer first expects 1 weights, but the saved weights have 2 elements"
        ):
            other.load_weights(path, by_name=by_name)


def test_optimizer_state_that_does_not_fit_is_left_out(path):
    with h5py.File(path, "a") as file:
        names = file["optimizer_weights"].attrs["weight_names"]
        del file["optimizer_weights"].attrs["weight_names"]
        file["optimizer_weights"].attrs["weight_names"] = names[:-1]
    with pytest.warns(UserWarning, match="Error in loading the saved optimizer state: its weights are others"):
        model = load(path)
    assert int(model.optimizer.iterations) == 0


@pytest.mark.parametrize(("attribute", "value"), [("keras_version", b"1.2.2"), ("backend", b"theano")])
def test_files_of_other_layouts(path, attribute, value):
    with h5py.File(path, "a") as file:
        file["model_weights"].attrs[attribute] = value
    with pytest.raises(FileFormatError, match="whose kernels are laid out differently"):
        load(path)


# --- harm


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_config_that_asks_for_terabytes(path):
    edit_config(path, lambda config: config["config"]["layers"][1]["config"].update(units=10**12))
    before = peak_memory()
    with pytest.raises(FileFormatError, match=r"'kernel' of shape \(4, 1000000000000\) is larger than what is stored"):
        load(path)
    assert peak_memory() - before < 2**27


def test_an_array_that_claims_terabytes(path):
    with h5py.File(path, "a") as file:
        del file["model_weights/first/first/kernel:0"]
        file["model_weights/first/first"].create_dataset("kernel:0", (4, 10**11), "f4", chunks=(4, 1000))
    edit_config(path, lambda config: config["config"]["layers"][1]["config"].update(units=10**11))
    before = peak_memory()
    with pytest.raises(FileFormatError, match="kernel:0 claims 1600000000000 bytes, more than are stored"):
        load(path)
    assert peak_memory() - before < 2**27


def test_an_array_that_lies_in_another_file(path, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(range(48)))
    with h5py.File(path, "a") as file:
        del file["model_weights/first/first/kernel:0"]
        external = [(str(tmp_path / "secret"), 0, 48)]
        file["model_weights/first/first"].create_dataset("kernel:0", (4, 3), "f4", external=external)
    with pytest.raises(FileFormatError, match="kernel:0 takes its content from another file"):
        load(path)


def test_an_array_that_is_a_view_of_another_file(path, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.ones((4, 3), "f4")
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "x", (4, 3))
    with h5py.File(path, "a", libver="latest") as file:
        del file["model_weights/first/first/kernel:0"]
        file["model_weights/first/first"].create_virtual_dataset("kernel:0", layout)
    with pytest.raises(FileFormatError, match="kernel:0 takes its content from another file"):
        load(path)


@pytest.mark.parametrize("link", [h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink("/model_weights/second")])
def test_links_are_not_followed(path, tmp_path, link):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other.create_group("x")
    with h5py.File(path, "a") as file:
        del file["model_weights/first"]
        file["model_weights/first"] = link
    with pytest.raises(FileFormatError, match="entry /model_weights/first is a link"):
        load(path)


@pytest.mark.parametrize("value", [np.array([b"x"] * 12).reshape(4, 3), np.zeros((4, 3), [("a", "f4")])])
def test_arrays_of_what_is_not_a_number(path, value):
    with h5py.File(path, "a") as file:
        del file["model_weights/first/first/kernel:0"]
        file["model_weights/first/first/kernel:0"] = value
    with pytest.raises(FileFormatError, match="expected numbers"):
        load(path)


@pytest.mark.parametrize("value", [3, 2.5, np.arange(3), "text"])
def test_lists_of_names_that_are_none(path, value):
    with h5py.File(path, "a") as file:
        file["model_weights"].attrs["layer_names"] = value
    with pytest.raises(FileFormatError, match="entry /model_weights/layer_names is no list of names"):
        load(path)


def test_code_of_lambda_layers_is_never_run(path):
    def make_lambda(config):
        entry = {"name": "evil", "function": ["4wEAAAAAAAAA", None, None], "function_type": "lambda"}
        config["config"]["layers"].append({"class_name": "Lambda", "config": entry})

    edit_config(path, make_lambda)
    with pytest.raises(ValueError, match="stores the function of a Lambda layer as code, which is never run"):
        load(path)


# --- archives of Keras 3


@pytest.fixture
def archive(tmp_path) -> Path:
    path = tmp_path / "model.keras"
    path.write_bytes((DATA / "k3_sequential_adam.keras").read_bytes())
    return path


def rewrite(archive: Path, changes: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(archive) as source:
        content = {name: source.read(name) for name in source.namelist()}
    content.update(changes)
    with zipfile.ZipFile(archive, "w", compression) as target:
        for name, value in content.items():
            if value is not None:
                target.writestr(name, value)


BROKEN_ARCHIVES = {
    "no config": ({"config.json": None}, "entry config.json is missing"),
    "no weights": ({"model.weights.h5": None}, "entry model.weights.h5 is missing"),
    "no json": ({"config.json": b"{"}, "entry config.json cannot be read"),
    "deep json": ({"config.json": b"[" * 100_000}, "entry config.json cannot be read"),
    "no model": ({"config.json": b"[]"}, "it describes no model"),
    "no hdf5": ({"model.weights.h5": b"weights"}, "entry model.weights.h5 is not HDF5"),
}


@pytest.mark.parametrize("name", BROKEN_ARCHIVES)
def test_broken_archives(archive, name):
    changes, message = BROKEN_ARCHIVES[name]
    rewrite(archive, changes)
    with pytest.raises(FileFormatError, match=message):
        load(archive)


@pytest.mark.parametrize("part", [0.2, 0.6, 0.95])
def test_archives_cut_short(archive, part):
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(FileFormatError):
        load(archive)


def test_an_archive_that_unpacks_to_gigabytes(archive):
    rewrite(archive, {"model.weights.h5": bytes(2**26)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(FileFormatError, match="is over 20 times as large as the file"):
        load(archive)


def test_an_archive_that_asks_for_terabytes(archive):
    with zipfile.ZipFile(archive) as source:
        config = source.read("config.json").replace(b'"units": 4', b'"units": 4000000000000')
    rewrite(archive, {"config.json": config})
    with pytest.raises(FileFormatError, match="is larger than what is stored"):
        load(archive)


def test_attributes_are_checked_before_they_are_read(path):
    with h5py.File(path) as file:
        assert entries.read_text(file, "nothing") is None
        with pytest.raises(FileFormatError, match="is of type ndarray, expected a text"):
            entries.read_text(file["model_weights"], "layer_names")
