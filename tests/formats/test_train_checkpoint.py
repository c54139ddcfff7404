"""tf.train: Checkpoint, CheckpointManager, the file that knows the latest, and what looks into checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.saving import checkpoint as checkpoint_module
from tests.formats.checkpoint_models import MODELS, data, objects
from tests.formats.test_tf_checkpoint import assert_same_state, compiled, trained

DATA = Path(__file__).parent / "data"


# --- Checkpoint


def test_what_tensorflow_has_written():
    checkpoint = objects(tf, 0)
    checkpoint.restore(DATA / "tfk_objects-1").assert_consumed()
    for variable in [checkpoint.step, *checkpoint.listed, checkpoint.mapped["one"], *checkpoint.mapped["more"]]:
        assert (variable.numpy() == 1).all()
    assert float(checkpoint.metric.result()) == 3.0 and int(checkpoint.save_counter) == 1


def test_names_are_those_of_tensorflow(tmp_path):
    path = objects(tf, 1).save(tmp_path / "objects")
    assert path == str(tmp_path / "objects-1")
    assert tf.train.list_variables(path) == tf.train.list_variables(DATA / "tfk_objects-1")


def test_counting(tmp_path):
    checkpoint = tf.train.Checkpoint(v=tf.Variable(1.0))
    assert [checkpoint.save(tmp_path / "new" / "c")[-3:] for _ in range(2)] == ["c-1", "c-2"]
    assert checkpoint.write(tmp_path / "new" / "w") == str(tmp_path / "new" / "w")
    assert tf.train.latest_checkpoint(tmp_path / "new") == str(tmp_path / "new" / "c-2")
    other = tf.train.Checkpoint(v=tf.Variable(0.0))
    other.restore(tf.train.latest_checkpoint(tmp_path / "new")).assert_consumed()
    assert other.save(tmp_path / "new" / "c")[-3:] == "c-3"
    other.read(tmp_path / "new" / "w")


def test_a_model_and_an_optimizer_of_ones_own_loop(tmp_path):
    def step(model, optimizer):
        x, y = data()
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x) - y) ** 2)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    def made():
        return tf.train.Checkpoint(model=MODELS["subclassed"](tf), optimizer=tf.keras.optimizers.Adam(0.01))

    expected, other = made(), made()
    step(expected.model, expected.optimizer)
    status = other.restore(expected.save(tmp_path / "c"))
    for checkpoint in (expected, other):
        step(checkpoint.model, checkpoint.optimizer)
    status.assert_consumed()
    other.model.optimizer, expected.model.optimizer = other.optimizer, expected.optimizer
    assert_same_state(other.model, expected.model)
    assert int(other.optimizer.iterations) == 2


def test_newer_optimizers_of_ones_own_loop():
    """They keep lists, not slots; which variables these are about, the checkpoint does not say."""
    optimizer, model = tf.keras.optimizers.Adam(0.5), MODELS["sequential"](tf)
    tf.train.Checkpoint(optimizer=optimizer, model=model).restore(DATA / "tfk_loop")
    assert int(optimizer.iterations) == 1 and float(optimizer.learning_rate) == pytest.approx(0.01)
    stored = tf.train.load_variable(DATA / "tfk_loop", "optimizer/_variables/1/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(optimizer.get_slot(model.trainable_variables[0], "m").numpy(), stored)


def test_the_state_of_an_optimizer_without_its_model(tmp_path):
    """Slots belong to variables: they are only stored, and found, together with those."""
    model = trained("sequential")
    path = tf.train.Checkpoint(optimizer=model.optimizer).save(tmp_path / "c")
    names = [name for name, _ in tf.train.list_variables(path)]
    assert "optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE" in names and not any("SLOT" in name for name in names)
    other = tf.train.Checkpoint(optimizer=tf.keras.optimizers.Adam(0.5))
    other.restore(path).assert_consumed()
    assert int(other.optimizer.iterations) == 2 and float(other.optimizer.learning_rate) == pytest.approx(0.01)


def test_optimizers_with_more_state(tmp_path):
    model = MODELS["sequential"](tf)
    model.compile(tf.keras.optimizers.Nadam(0.01), "mse")
    model.train_on_batch(*data())
    model.save_weights(tmp_path / "c")
    assert "optimizer/momentum_cache/.ATTRIBUTES/VARIABLE_VALUE" in dict(tf.train.list_variables(tmp_path / "c"))
    other = MODELS["sequential"](tf)
    other.compile(tf.keras.optimizers.Nadam(0.01), "mse")
    other.load_weights(tmp_path / "c").assert_consumed()
    assert_same_state(other, model)


def test_optimizers_of_ones_own(tmp_path):
    class Signs(tf.keras.optimizers.Optimizer):
        def __init__(self, learning_rate=0.1, name="Signs", **kwargs):
            super().__init__(name, **kwargs)
            self._set_hyper("learning_rate", learning_rate)
            self.total = self.add_weight("total", ())

        def _create_slots(self, var_list):
            for var in var_list:
                self.add_slot(var, "steps")

        def _resource_apply_dense(self, grad, var):
            self.total.assign_add(1.0)
            self.get_slot(var, "steps").assign_add(tf.ones_like(grad))
            var.assign_sub(self._decayed_lr(var.dtype) * tf.sign(grad))

    def made():
        return tf.train.Checkpoint(optimizer=Signs(), v=tf.Variable([1.0, 2.0]))

    expected, other = made(), made()
    expected.optimizer.apply_gradients([(tf.constant([1.0, -1.0]), expected.v)])
    other.restore(expected.save(tmp_path / "c")).assert_consumed()
    assert other.v.numpy().tolist() == expected.v.numpy().tolist() and float(other.optimizer.total) == 1.0
    assert other.optimizer.get_slot(other.v, "steps").numpy().tolist() == [1.0, 1.0]


def test_attributes_that_are_set_later(tmp_path):
    first = tf.train.Checkpoint()
    first.inner = tf.train.Checkpoint(v=tf.Variable(3.0))
    path = first.save(tmp_path / "c")
    second = tf.train.Checkpoint()
    status = second.restore(path)
    with pytest.raises(AssertionError, match="1 values have no place in the program, such as .'inner/v/"):
        status.assert_consumed()
    second.inner = tf.train.Checkpoint(v=tf.Variable(0.0))
    assert float(second.inner.v) == 3.0
    status.assert_consumed()


def test_one_variable_by_two_names(tmp_path):
    v = tf.Variable(3.0)
    path = tf.train.Checkpoint(a=v, b=[v]).write(tmp_path / "c")
    assert [name for name, _ in tf.train.list_variables(path)][1:] == ["a/.ATTRIBUTES/VARIABLE_VALUE"]
    w = tf.Variable(0.0)
    tf.train.Checkpoint(b=[w]).restore(path).assert_consumed()
    assert float(w) == 3.0


def test_restoring_nothing():
    status = tf.train.Checkpoint(v=tf.Variable(1.0)).restore(None)
    assert status.expect_partial() is status
    status.initialize_or_restore()
    for name in ("assert_consumed", "assert_existing_objects_matched", "assert_nontrivial_match"):
        with pytest.raises(AssertionError, match="No checkpoint specified"):
            getattr(status, name)()


def test_objects_that_hold_nothing():
    with pytest.raises(
        ValueError, match=r"expecting a trackable object for 'step'.* got 3. For a number, use a tf.Var"
    ):
        tf.train.Checkpoint(v=tf.Variable(1.0), step=3)
    with pytest.raises(ValueError, match="trackable object for 'model'"):
        tf.train.Checkpoint(model=tf.keras.Model)


def test_dicts_need_names(tmp_path):
    checkpoint = tf.train.Checkpoint()
    checkpoint.mapped = {1: tf.Variable(1.0)}
    with pytest.raises(ValueError, match="has the key 1, and keys must be texts: use '1', or a list"):
        checkpoint.save(tmp_path / "c")


# --- the latest


def test_latest_checkpoint(tmp_path):
    assert tf.train.latest_checkpoint(tmp_path) is None and tf.train.get_checkpoint_state(tmp_path) is None
    model = trained("sequential")
    model.save_weights(tmp_path / "one")
    model.save_weights(tmp_path / "two")
    assert tf.train.latest_checkpoint(tmp_path) == str(tmp_path / "two")
    other = compiled("sequential")
    other.load_weights(tf.train.latest_checkpoint(tmp_path)).assert_consumed()
    os.rename(tmp_path, tmp_path.with_name("moved"))
    assert tf.train.latest_checkpoint(tmp_path.with_name("moved")) == str(tmp_path.with_name("moved") / "two")
    (tmp_path.with_name("moved") / "two.index").unlink()
    assert tf.train.latest_checkpoint(tmp_path.with_name("moved")) is None


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tf.train.Checkpoint(v=tf.Variable(1.0)).save("folder/c")
    assert tf.train.latest_checkpoint("folder") == os.path.join("folder", "c-1")
    tf.train.Checkpoint(v=tf.Variable(1.0)).save("c")
    assert tf.train.latest_checkpoint(".") == os.path.join(".", "c-1")


def test_the_file_as_tensorflow_writes_it(tmp_path):
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "a\\"\\303\\274\\n"\nall_model_checkpoint_paths: "old"\n'
        'all_model_checkpoint_paths: "/else/where"\nall_model_checkpoint_timestamps: 1570000000.25\n'
        "last_preserved_timestamp: 1.5e9\nsomething_new: 3\n"
    )
    state = tf.train.get_checkpoint_state(tmp_path)
    assert state.model_checkpoint_path == f'{tmp_path}/a"ü\n'
    assert state.all_model_checkpoint_paths == [f"{tmp_path}/old", "/else/where"]
    assert state.all_model_checkpoint_timestamps == [1570000000.25] and state.last_preserved_timestamp == 1.5e9
    os.rename(tmp_path / "checkpoint", tmp_path / "other")
    assert tf.train.get_checkpoint_state(tmp_path, "other") == state


def test_odd_names(tmp_path):
    path = tf.train.Checkpoint(v=tf.Variable(1.0)).save(tmp_path / 'a "b" \\ ü')
    assert tf.train.latest_checkpoint(tmp_path) == path


@pytest.mark.parametrize("text", ["", "nothing", 'model_checkpoint_path: "open', "model_checkpoint_path: 3"])
def test_a_file_that_makes_no_sense(tmp_path, text):
    (tmp_path / "checkpoint").write_text(text)
    with pytest.warns(UserWarning, match="checkpoint cannot be understood and is ignored"):
        assert tf.train.get_checkpoint_state(tmp_path) is None


# --- looking into checkpoints


def test_reading_arrays_by_name(tmp_path):
    path = tf.train.Checkpoint(v=tf.Variable([[1.0, 2.0]]), n=tf.Variable(3)).save(tmp_path / "c")
    for place in (path, tmp_path):
        reader = tf.train.load_checkpoint(place)
        key = "v/.ATTRIBUTES/VARIABLE_VALUE"
        assert reader.has_tensor(key) and not reader.has_tensor("v")
        assert reader.get_variable_to_shape_map()[key] == [1, 2]
        assert reader.get_variable_to_dtype_map()[key] == tf.float32
        np.testing.assert_array_equal(reader.get_tensor(key), [[1.0, 2.0]])
        assert tf.train.load_variable(place, "n/.ATTRIBUTES/VARIABLE_VALUE") == 3
        assert (key, [1, 2]) in tf.train.list_variables(place)
        assert b"v/.ATTRIBUTES/VARIABLE_VALUE (DT_FLOAT32) [1, 2]" in reader.debug_string().splitlines()
    with pytest.raises(KeyError, match="holds nothing called 'v'"):
        tf.train.load_variable(path, "v")


def test_folders_without_checkpoints(tmp_path):
    with pytest.raises(ValueError, match="Couldn't find 'checkpoint' file or checkpoints in given directory"):
        tf.train.load_checkpoint(tmp_path)


# --- CheckpointManager


@pytest.fixture
def clock(monkeypatch):
    """Seconds since 1970, to be set."""

    class Clock:
        now = 1e9

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(checkpoint_module, "time", clock)
    return clock


def names(paths) -> list[str]:
    return [os.path.basename(path) for path in paths]


def files(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.index"))


def test_the_latest_are_kept(tmp_path):
    checkpoint = tf.train.Checkpoint(v=tf.Variable(0.0))
    manager = tf.train.CheckpointManager(checkpoint, tmp_path / "new", max_to_keep=2)
    assert manager.latest_checkpoint is None and manager.checkpoints == []
    for number in range(1, 4):
        assert manager.save() == manager.latest_checkpoint == str(tmp_path / "new" / f"ckpt-{number}")
    assert names(manager.checkpoints) == files(tmp_path / "new") == ["ckpt-2", "ckpt-3"]
    assert len(list((tmp_path / "new").iterdir())) == 5 and manager.directory == str(tmp_path / "new")
    again = tf.train.CheckpointManager(tf.train.Checkpoint(v=tf.Variable(0.0)), tmp_path / "new", max_to_keep=2)
    assert again.latest_checkpoint == manager.latest_checkpoint and again.checkpoints == manager.checkpoints
    again._checkpoint.restore(again.latest_checkpoint).assert_consumed()
    assert names([again.save()]) == ["ckpt-4"] and files(tmp_path / "new") == ["ckpt-3", "ckpt-4"]


def test_names_and_numbers_of_ones_own(tmp_path):
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(), tmp_path, max_to_keep=1, checkpoint_name="epoch")
    for number in (7, tf.Variable(9), 9):
        manager.save(checkpoint_number=number)
    assert files(tmp_path) == names(manager.checkpoints) == ["epoch-9"]


def test_all_are_kept(tmp_path):
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(), tmp_path, max_to_keep=None)
    for _ in range(4):
        manager.save()
    assert len(files(tmp_path)) == len(manager.checkpoints) == 4


def test_one_in_some_hours_is_kept_for_good(tmp_path, clock):
    def manager():
        return tf.train.CheckpointManager(checkpoint, tmp_path, max_to_keep=1, keep_checkpoint_every_n_hours=2)

    checkpoint = tf.train.Checkpoint()
    first = manager()
    for hours in (1, 2.5, 3, 4, 5):
        clock.now = 1e9 + 3600 * hours
        first.save()
    assert files(tmp_path) == ["ckpt-2", "ckpt-5"] and names(first.checkpoints) == ["ckpt-5"]
    second = manager()
    assert names(second.checkpoints) == ["ckpt-5"]
    clock.now += 3600
    second.save()
    assert files(tmp_path) == ["ckpt-2", "ckpt-5", "ckpt-6"]


def test_a_clock_that_goes_back_deletes_nothing(tmp_path, clock):
    checkpoint = tf.train.Checkpoint()
    tf.train.CheckpointManager(checkpoint, tmp_path, max_to_keep=3).save()
    clock.now -= 1e6
    manager = tf.train.CheckpointManager(checkpoint, tmp_path, max_to_keep=3)
    manager.save()
    assert files(tmp_path) == ["ckpt-1", "ckpt-2"]


@pytest.mark.parametrize("count", [0, -1])
def test_nothing_to_keep(tmp_path, count):
    with pytest.raises(ValueError, match="Expected a positive integer or `None` for `max_to_keep`, got"):
        tf.train.CheckpointManager(tf.train.Checkpoint(), tmp_path, max_to_keep=count)


def test_the_callback(tmp_path):
    model = trained("sequential")
    path = str(tmp_path / "epoch{epoch}")
    callback = tf.keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    model.fit(*data(), epochs=2, verbose=0, callbacks=[callback])
    assert names([tf.train.latest_checkpoint(tmp_path)]) == ["epoch2"]
    other = compiled("sequential")
    restart = tf.keras.callbacks.ModelCheckpoint(
        str(tmp_path / "epoch2"), save_weights_only=True, load_weights_on_restart=True, save_freq=1000
    )
    other.fit(*data(), epochs=1, verbose=0, callbacks=[restart])
    assert int(other.optimizer.iterations) == 5
