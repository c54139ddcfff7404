"""What is saved with a training besides its weights, when it is saved, and what cannot go on."""

import csv
import os
import re
import signal
import sys

import numpy as np
import pytest

import distkeras as tf
from distkeras.distribute.preemption import GROW, STOPPED
from distkeras.distribute.run_folder import RUN_DIRECTORY
from distkeras.testing import run_ranks

RANDOM = np.random.default_rng(0)
X = RANDOM.random((24, 3), dtype="float32")
Y = X.sum(1, keepdims=True)
callbacks = tf.keras.callbacks


def build(units=2, optimizer="adam", metrics=("mae",)):
    layers = [tf.keras.layers.Dense(units, input_shape=(3,)), tf.keras.layers.Dropout(0.3), tf.keras.layers.Dense(1)]
    model = tf.keras.Sequential([*layers, tf.keras.layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=list(metrics))
    return model


class Ask(callbacks.Callback):
    """Asks to stop, by a signal, at a step of an epoch."""

    def __init__(self, epoch, batch, number=signal.SIGUSR1):
        super().__init__()
        self.when, self.number = (epoch, batch), number

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.when:
            os.kill(os.getpid(), self.number)


@pytest.fixture
def fit(tmp_path, capsys):
    """Trains a new model of three steps an epoch, as a program would that begins anew."""

    def fit(*others, model=None, ends=True, backup=None, **options):
        tf.random.set_seed(2)
        model = model or build()
        given = backup or callbacks.BackupAndRestore(tmp_path / "backups", save_freq=False)
        options = {"x": X, "y": Y, "batch_size": 8, "epochs": 4, "verbose": 0} | options
        run = lambda: model.fit(callbacks=[*others, given], **options)  # noqa: E731
        if ends:
            return model, run()
        with pytest.raises(SystemExit) as exit_info:
            run()
        assert exit_info.value.code == 85 and "exit code 85" in capsys.readouterr().err
        return model, given

    return fit


def watchers():
    """Callbacks with a state, none of which sees an improvement after the first epoch."""
    return [
        callbacks.EarlyStopping("loss", min_delta=5.0, patience=3, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=5.0),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
    ]


@pytest.mark.parametrize("at", [(0, 1), (1, 2), (2, 0), (3, 1)])
def test_callbacks_go_on_as_if_nothing_had_happened(fit, tmp_path, at):
    model, history = fit(*watchers(), backup=callbacks.BackupAndRestore(tmp_path / "other"))
    assert len(history.epoch) == 4 and history.history["lr"][-1] < 0.5 * history.history["lr"][0]
    fit(*watchers(), Ask(*at), ends=False)
    resumed, again = fit(*watchers())
    assert again.history == history.history
    for one, other in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_callback_of_ones_own_names_its_state(fit):
    class Count(callbacks.Callback):
        state_names = ("seen", "means")
        seen, means = 0, ()

        def on_train_batch_end(self, batch, logs=None):
            self.seen += 1
            self.means += (np.float32(self.seen),)

    fit(Count(), Ask(1, 1), ends=False)
    count = Count()
    fit(count)
    assert count.seen == 12 and count.means == tuple(np.arange(1.0, 13.0, dtype="float32"))


def test_a_state_that_cannot_be_saved_is_named(fit):
    class Wrong(callbacks.Callback):
        def get_state(self):
            return {"file": object()}

    with pytest.raises(TypeError, match="of type object cannot be saved: expected numbers"):
        fit(Wrong(), Ask(0, 0))


def test_a_table_holds_each_epoch_once(fit, tmp_path):
    path = tmp_path / "log.csv"
    backup = callbacks.BackupAndRestore(tmp_path / "backups", save_freq=2)

    class Crash(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    logger = callbacks.CSVLogger(path)
    with pytest.raises(KeyboardInterrupt):
        fit(logger, Crash(), backup=backup)
    logger.on_train_end()
    # The backup before the newest is that of the second epoch's last step, and two rows were written after it.
    os.remove(backup.folder.file(4))
    assert backup.folder.read(3)[0]["place"] == (1, 3, 6) and len(path.read_text().splitlines()) == 4
    _, history = fit(callbacks.CSVLogger(path), backup=backup)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3]
    assert [float(row["loss"]) for row in rows] == history.history["loss"]


def test_when_backups_are_written(fit, tmp_path):
    for save_freq, numbers in (("epoch", [3, 4]), (5, [1, 2]), (12, [1])):
        folder = tmp_path / str(save_freq)
        backup = callbacks.BackupAndRestore(folder, save_freq=save_freq, delete_checkpoint=False)
        fit(backup=backup)
        assert backup.folder.numbers() == numbers
    values, arrays = backup.folder.read(1)
    assert values["place"] == (3, 3, 12) and "optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE" in arrays
    # What is done is not done again.
    model, history = fit(backup=callbacks.BackupAndRestore(tmp_path / "epoch"))
    assert history.epoch == [0, 1, 2, 3] and int(model.optimizer.iterations) == 12
    assert not (tmp_path / "epoch").exists()


def test_a_training_that_stopped_early_does_not_go_on(fit, tmp_path):
    stopping = lambda: callbacks.EarlyStopping("loss", patience=1, min_delta=5.0)  # noqa: E731
    for _ in range(2):
        backup = callbacks.BackupAndRestore(tmp_path / "kept", delete_checkpoint=False)
        model, history = fit(stopping(), backup=backup)
        assert history.epoch == [0, 1] and int(model.optimizer.iterations) == 6


def test_more_epochs_and_another_batch_size_after_an_epoch(fit, tmp_path):
    keep = {"delete_checkpoint": False}
    fit(backup=callbacks.BackupAndRestore(tmp_path / "kept", **keep), epochs=2)
    model, history = fit(backup=callbacks.BackupAndRestore(tmp_path / "kept", **keep), epochs=3, batch_size=12)
    assert history.epoch == [0, 1, 2] and int(model.optimizer.iterations) == 8


@pytest.mark.fault("SIGTERM or SIGUSR1, and nothing that saves")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_without_a_backup_is_no_success(capsys, number):
    model = build()
    with pytest.raises(SystemExit) as exit_info:
        model.fit(X, Y, 8, epochs=4, verbose=0, callbacks=[Ask(1, 0, number)])
    assert exit_info.value.code == 143 and int(model.optimizer.iterations) == 4
    said = capsys.readouterr().err
    assert said.count(f"stopped after step 4: {number.name}. Nothing was saved: with a BackupAndRestore") == 1


def test_when_time_is_up_without_a_backup_the_program_goes_on(capsys, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1000")
    model = build()
    history = model.fit(X, Y, 8, epochs=4, verbose=0)
    assert history.epoch == [0] and int(model.optimizer.iterations) == 1
    assert capsys.readouterr().err.count("training stops here: the time limit. With a BackupAndRestore") == 1


def test_ranks_that_can_join_again_do_not_end_a_training_that_saves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv(RUN_DIRECTORY, str(tmp_path))
    (tmp_path / GROW).touch()
    assert len(build().fit(X, Y, 8, epochs=2, verbose=0).epoch) == 2
    with pytest.raises(SystemExit):
        build().fit(X, Y, 8, epochs=2, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path / "backups")])
    assert (tmp_path / STOPPED).read_text() == "85"


def test_a_time_limit_stops_after_the_first_step(monkeypatch, fit):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1000")
    model, backup = fit(ends=False)
    assert int(model.optimizer.iterations) == 1 and backup.folder.numbers() == [1]


def test_preemption_without_saving(fit, tmp_path):
    backup = callbacks.BackupAndRestore(tmp_path / "backups", save_before_preemption=False)
    fit(Ask(1, 1), ends=False, backup=backup)
    assert backup.folder.read(1)[0]["place"] == (1, 0, 3) and backup.folder.numbers() == [1]


def test_asked_during_validation_at_the_end_of_an_epoch(fit):
    class AskInValidation(callbacks.Callback):
        def on_test_begin(self, logs=None):
            os.kill(os.getpid(), signal.SIGUSR1)

    _, backup = fit(AskInValidation(), ends=False, validation_data=(X, Y))
    assert backup.folder.read(1)[0]["place"] == (1, 0, 3)


@pytest.mark.fault("a checkpoint of another model, or of other data")
@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            lambda: build(units=3),
            {},
            "is that of another model: its weight 0 ((3, 2), 'float32'), the model's ((3, 3), 'float32')",
        ),
        (lambda: build(optimizer="sgd"), {}, "its optimizer Adam, the model's SGD"),
        (lambda: build(metrics=[]), {}, "was saved with other metrics"),
        (build, {"batch_size": 6}, "in the middle of epoch 2 with batch_size=8, and is to go on with batch_size=6"),
        (build, {"x": X[:20], "y": Y[:20]}, "with samples=24, and is to go on with samples=20"),
    ],
)
def test_a_run_that_does_not_fit(fit, model, options, message):
    fit(Ask(1, 1), ends=False)
    model = model()
    before = model.get_weights()
    pattern = ".*".join(map(re.escape, message.split(".*")))
    with pytest.raises(ValueError, match=f"{pattern}.*(another|other) `?backup_dir` to begin anew"):
        fit(model=model, **options)
    if "metrics" not in message:
        for one, other in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(one, other)


OTHER_RANKS = """
import sys
import numpy as np
import distkeras as tf

class Crash(tf.keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if int(model.optimizer.iterations) == int(sys.argv[2]):
            raise KeyboardInterrupt

tf.random.set_seed(1)
x = np.random.default_rng(0).random((24, 3), dtype="float32")
layers = [tf.keras.layers.Dropout(0.4, input_shape=(3,)), tf.keras.layers.BatchNormalization()]
with tf.distribute.MirroredStrategy(deterministic=sys.argv[3] == "deterministic").scope():
    model = tf.keras.Sequential([*layers, tf.keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
backup = tf.keras.callbacks.BackupAndRestore(sys.argv[1], save_freq=1)
try:
    history = model.fit(x, x[:, :1], batch_size=8, epochs=2, verbose=0, callbacks=[Crash(), backup])
except KeyboardInterrupt:
    raise SystemExit(0)
if tf.distribute.MirroredStrategy().rank == 0:
    print(*np.concatenate([weight.ravel() for weight in model.get_weights()]))
    print(*history.history["loss"], *history.history["mae"])
"""


@pytest.mark.parametrize("mode, tolerance", [("usual", 2e-5), ("deterministic", 0)])
def test_another_number_of_ranks_goes_on_with_the_same_batches(mode, tolerance, tmp_path, monkeypatch, capsys):
    def alone(folder):
        monkeypatch.setattr(sys, "argv", ["program.py", str(tmp_path / folder), "0", mode])
        exec(OTHER_RANKS, {})
        return np.array(capsys.readouterr().out.split(), float)

    run_ranks(2, OTHER_RANKS, tmp_path / "backups", 5, mode).check()
    np.testing.assert_allclose(alone("backups"), alone("undisturbed"), rtol=tolerance, atol=tolerance / 10)
