"""Where files go: whole or not at all, by one rank, and not over others unless wanted."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import h5py
import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.saving import files, h5_weights
from distkeras.testing import run_ranks
from tests.formats.models import data, sequential, trained


def test_a_failed_save_leaves_the_file_before_it(tmp_path, monkeypatch):
    model = trained(sequential)
    model.save(tmp_path / "model.h5")
    before = (tmp_path / "model.h5").read_bytes()
    written = []

    def fail(group, name, value):
        written.append(name)
        if len(written) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5_weights.entries, "write_array", fail)
    model.train_on_batch(*data(model))
    with pytest.raises(OSError, match="No space left on device"):
        model.save(tmp_path / "model.h5")
    assert (tmp_path / "model.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.h5"]


KILLED = """
import os, signal, sys
import numpy as np
import distkeras as tf
from distkeras.keras.saving import files
model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
model.set_weights([np.full((3, 2), 1.0), np.zeros(2)])
model.save_weights(sys.argv[1])
model.set_weights([np.full((3, 2), 2.0), np.zeros(2)])
setattr(files.os, sys.argv[2], lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))
model.save_weights(sys.argv[1])
"""


KILLED_CHECKPOINT = """
import os, signal, sys
import numpy as np
import distkeras as tf
from distkeras.keras.saving import files
model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
for number in range(3):
    model.set_weights([np.full((3, 2), number), np.zeros(2)])
    model.save_weights(sys.argv[1])
calls = 0
def killed(*arguments, function=getattr(files.os, sys.argv[2])):
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    function(*arguments)
setattr(files.os, sys.argv[2], killed)
model.set_weights([np.full((3, 2), 3), np.zeros(2)])
model.save_weights(sys.argv[1])
"""


@pytest.mark.parametrize(("moment", "found"), [(("replace", 1), 2), (("replace", 2), 2), (("replace", 3), 3)])
def test_a_killed_save_leaves_a_whole_checkpoint(tmp_path, moment, found):
    """At the data, at the index, at the file that names the latest; the next save leaves nothing behind."""
    path = str(tmp_path / "weights")
    arguments = [sys.executable, "-c", KILLED_CHECKPOINT, path, moment[0], str(moment[1])]
    root = os.path.dirname(os.path.dirname(tf.__file__))
    assert subprocess.run(arguments, env={**os.environ, "PYTHONPATH": root}, timeout=60).returncode == -9
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    model.load_weights(tf.train.latest_checkpoint(tmp_path)).assert_consumed()
    np.testing.assert_array_equal(model.get_weights()[0], np.full((3, 2), found, "float32"))
    model.save_weights(path)
    tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))]).load_weights(path).assert_consumed()
    assert len(list(tmp_path.glob("weights.*"))) == 2


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_killed_save_leaves_the_file_before_it(tmp_path, moment):
    path = str(tmp_path / "weights.h5")
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, path, moment],
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(tf.__file__))},
        timeout=60,
    )
    assert ended.returncode == -9
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    model.load_weights(path)
    np.testing.assert_array_equal(model.get_weights()[0], np.full((3, 2), 1.0, "float32"))


def test_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    calls = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: calls.append("fsync") or fsync(descriptor))
    monkeypatch.setattr(files.os, "replace", lambda *paths: calls.append("replace") or replace(*paths))
    sequential().save_weights(tmp_path / "weights.h5")
    assert calls == ["fsync", "replace", "fsync"]


def test_files_have_the_usual_permissions(tmp_path):
    sequential().save_weights(tmp_path / "weights.h5")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "weights.h5").stat().st_mode) == 0o666 & ~mask


def test_symbolic_links_are_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.h5").symlink_to(tmp_path / "real" / "weights.h5")
    sequential().save_weights(tmp_path / "link.h5")
    assert (tmp_path / "link.h5").is_symlink() and h5py.is_hdf5(tmp_path / "real" / "weights.h5")


def test_folders_that_do_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="its folder does not exist; make it with os.makedirs"):
        sequential().save(tmp_path / "no" / "model.h5")


# --- overwriting


class Terminal:
    def __init__(self, answers):
        self.answers = list(answers)

    def isatty(self):
        return True

    def readline(self):
        return self.answers.pop(0) + "\n"


@pytest.mark.parametrize("method", ["save", "save_weights"])
def test_existing_files_of_tensorflows_format_are_not_overwritten_unasked(tmp_path, method):
    path, model = tmp_path / "some", sequential()
    for overwrite in (False, True):
        getattr(model, method)(path, overwrite=overwrite)
    with pytest.raises(FileExistsError, match="pass overwrite=True to replace it"):
        getattr(model, method)(path, overwrite=False)


@pytest.mark.parametrize("method", ["save", "save_weights"])
def test_existing_files_are_not_overwritten_unasked(tmp_path, method):
    path = tmp_path / "file.h5"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="pass overwrite=True to replace it"):
        getattr(sequential(), method)(path, overwrite=False)
    assert path.read_text() == "precious"
    getattr(sequential(), method)(path)
    assert h5py.is_hdf5(path)


@pytest.mark.parametrize(("answers", "replaced"), [(["n"], False), (["y"], True), (["what", " Y "], True)])
def test_at_a_terminal_one_is_asked(tmp_path, monkeypatch, capsys, answers, replaced):
    path = tmp_path / "file.h5"
    path.write_text("precious")
    monkeypatch.setattr(sys, "stdin", Terminal(answers))
    sequential().save(path, overwrite=False)
    assert h5py.is_hdf5(path) is replaced
    assert "file.h5 already exists - overwrite? [y/n]" in capsys.readouterr().out


# --- formats


@pytest.mark.parametrize("save_format", [None, "tf", "TensorFlow "])
def test_paths_that_mean_tensorflows_format(tmp_path, save_format):
    sequential().save(tmp_path / "model", save_format=save_format)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "assets",
        "keras_metadata.pb",
        "saved_model.pb",
        "variables",
    ]
    sequential().save_weights(tmp_path / "new" / "weights.ckpt", save_format=save_format)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "checkpoint",
        "weights.ckpt.data-00000-of-00001",
        "weights.ckpt.index",
    ]


def test_formats_by_name(tmp_path):
    for name in ("h5", "HDF5", " keras "):
        sequential().save(tmp_path / "model", save_format=name)
        assert h5py.is_hdf5(tmp_path / "model")
    with pytest.raises(ValueError, match='Unknown format "zork". Was expecting one of {"tf", "h5"}'):
        sequential().save(tmp_path / "model.h5", save_format="zork")
    with pytest.raises(ValueError, match="contradicts the path"):
        sequential().save_weights(tmp_path / "model.h5", save_format="tf")


def test_arguments_of_saved_models(tmp_path):
    for argument, match in {"signatures": "becomes one file", "options": "must be a .*SaveOptions or None"}.items():
        with pytest.raises(ValueError, match=match):
            sequential().save(tmp_path / "model.h5", **{argument: object()})


# --- ranks

RANKS = """
import sys
import numpy as np
import distkeras as tf
from tests.formats.models import data, sequential

tf.random.set_seed(1)
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    model = sequential()
    model.compile(tf.keras.optimizers.Adam(0.0), "categorical_crossentropy")
for weight in model.weights:
    weight.assign(np.full(weight.shape, 0.5))
checkpoint = tf.keras.callbacks.ModelCheckpoint(sys.argv[1] + ".epoch{epoch}.h5")
model.fit(*data(model), epochs=2, verbose=0, callbacks=[checkpoint])
for variable in [*model.weights, *model.optimizer.weights[1:]]:
    variable.assign(np.full(variable.shape, 0.25))
for path in (sys.argv[1], sys.argv[1] + ".folder"):
    model.save(path)
    loaded = tf.keras.models.load_model(path)
    assert all((a == b).all() for a, b in zip(loaded.get_weights(), model.get_weights()))
try:
    model.save(sys.argv[1] + "/no/model.h5")
    raise SystemExit("the folder does not exist")
except OSError as error:
    print(f"{strategy.rank}: {error}", flush=True)
strategy.communicator.barrier()
"""


def test_one_rank_writes_what_one_process_would(tmp_path):
    for ranks in (1, 3):
        result = run_ranks(ranks, RANKS, tmp_path / f"{ranks}.h5", timeout=120).check()
        lines = sorted(line for line in result.stdout.splitlines() if "folder does not exist" in line)
        assert [line.split(":")[0] for line in lines] == [str(rank) for rank in range(ranks)], result.stdout
        assert (tmp_path / f"{ranks}.h5.epoch1.h5").exists() and (tmp_path / f"{ranks}.h5.epoch2.h5").exists()
    alone = (tmp_path / "1.h5").read_bytes()
    assert (tmp_path / "3.h5").read_bytes() == alone
    files_alone = [path for path in (tmp_path / "1.h5.folder").rglob("*") if path.is_file()]
    assert len(files_alone) == 4
    for path in files_alone:
        other = tmp_path / "3.h5.folder" / path.relative_to(tmp_path / "1.h5.folder")
        assert other.read_bytes() == path.read_bytes()
