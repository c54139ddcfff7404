import csv
import os

import numpy as np
import pytest

from distkeras.keras import callbacks
from tests.keras.callbacks.fakes import Model, Optimizer, Strategy, run_epochs


def losses(*values, name="val_loss"):
    return [{name: value} for value in values]


# --- the list


class Recorder(callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            return lambda *args, **kwargs: self.calls.append((name, *args))
        return super().__getattribute__(name)


def test_the_list_calls_all_in_order():
    recorders = [Recorder(), Recorder()]
    callback_list = callbacks.CallbackList(recorders)
    callback_list.set_model("model")
    callback_list.set_params({"epochs": 3})
    callback_list.call("on_train_begin")
    callback_list.on_epoch_begin(2)
    callback_list.on_train_batch_end(5, {"loss": 1.0})
    callback_list.on_epoch_end(2, logs={"loss": 2.0})
    for recorder in recorders:
        assert recorder.model == "model" and recorder.params == {"epochs": 3}
        assert recorder.calls == [
            ("on_train_begin", {}),
            ("on_epoch_begin", 2, {}),
            ("on_train_batch_end", 5, {"loss": 1.0}),
            ("on_epoch_end", 2, {"loss": 2.0}),
        ]


def test_older_names_of_batch_hooks_are_called():
    class Old(callbacks.Callback):
        seen = ()

        def on_batch_begin(self, batch, logs=None):
            self.seen += (("begin", batch),)

        def on_batch_end(self, batch, logs=None):
            self.seen += (("end", batch, logs["loss"]),)

    old = Old()
    callback_list = callbacks.CallbackList(old)
    callback_list.call("on_train_batch_begin", 1)
    callback_list.call("on_train_batch_end", 1, {"loss": 0.5})
    callback_list.call("on_test_batch_end", 2, {"loss": 0.5})
    assert old.seen == (("begin", 1), ("end", 1, 0.5))


@pytest.mark.parametrize("wrong", [callbacks.History, "History", 3], ids=repr)
def test_what_is_no_callback(wrong):
    with pytest.raises(TypeError, match="Expected `callbacks` to hold instances"):
        callbacks.CallbackList([wrong])


def test_history_keeps_values_that_are_not_always_there():
    history = callbacks.History()
    run_epochs(history, [{"loss": 1.0}, {"loss": 0.5, "val_loss": 0.7}])
    assert history.epoch == [0, 1]
    assert history.history == {"loss": [1.0, 0.5], "val_loss": [0.7]}


def test_base_logger_weights_by_batch_size():
    logger = callbacks.BaseLogger(stateful_metrics=["acc"])
    logger.set_params({"metrics": ["loss", "acc"]})
    logger.on_epoch_begin(0)
    logger.on_train_batch_end(0, {"loss": 1.0, "acc": 0.5, "size": 3})
    logger.on_train_batch_end(1, {"loss": 5.0, "acc": 0.75, "size": 1})
    logs = {}
    logger.on_epoch_end(0, logs)
    assert logs == {"loss": 2.0, "acc": 0.75}


# --- EarlyStopping


@pytest.mark.parametrize(
    ("settings", "values", "ran"),
    [
        ({}, [3, 2, 2, 1], 3),
        ({"patience": 1}, [3, 2, 2, 1, 1], 3),
        ({"patience": 2}, [3, 2, 2.5, 2.5, 1], 4),
        ({"min_delta": 0.5}, [3, 2, 1.6, 0], 3),
        ({"min_delta": -0.5}, [3, 2, 1.4, 0.8], 4),
        ({"baseline": 1.5}, [2, 1], 1),
        ({"monitor": "val_acc"}, [0.1, 0.2, 0.2], 3),
        ({"monitor": "val_acc", "mode": "min"}, [0.1, 0.2, 0.2], 2),
        ({"mode": "max"}, [1, 2, 1.5, 3], 3),
    ],
)
def test_early_stopping_stops_after(settings, values, ran):
    callback = callbacks.EarlyStopping(**settings)
    assert len(run_epochs(callback, losses(*values, name=callback.monitor))) == ran


def test_early_stopping_restores_the_best_weights(capsys):
    callback = callbacks.EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    model = Model()
    run_epochs(callback, losses(3, 1, 2, 2), model)
    assert model.weights == [1] and callback.stopped_epoch == 3
    assert capsys.readouterr().out == (
        "Restoring model weights from the end of the best epoch.\nEpoch 00004: early stopping\n"
    )


def test_early_stopping_begins_anew_with_each_fit():
    callback = callbacks.EarlyStopping(patience=1)
    for _ in range(2):
        assert len(run_epochs(callback, losses(3, 4), Model())) == 2
        assert callback.best == 3


def test_a_metric_that_is_not_there():
    callback = callbacks.EarlyStopping(monitor="val_los")
    with pytest.warns(
        UserWarning, match="metric `val_los` which is not available. Available metrics are: loss,val_loss"
    ):
        run_epochs(callback, [{"loss": 1.0, "val_loss": 1.0}])


@pytest.mark.parametrize("kind", [callbacks.EarlyStopping, callbacks.ReduceLROnPlateau])
def test_an_unknown_mode(kind):
    with pytest.raises(ValueError, match="`mode` must be 'auto', 'min' or 'max', received 'maximum'"):
        kind(mode="maximum")


def test_ranks_stop_when_rank_zero_would():
    callback = callbacks.EarlyStopping()
    model = Model(Strategy(rank=1, said_by_rank_zero=[1.0, 2.0]))
    run_epochs(callback, losses(5.0, 4.0), model)
    assert model.stop_training and callback.best == 1.0


# --- learning rates


def test_scheduler_by_epoch_and_by_rate(capsys):
    logs = run_epochs(callbacks.LearningRateScheduler(lambda epoch: 0.5**epoch), [{}] * 3)
    assert [entry["lr"] for entry in logs] == [1.0, 0.5, 0.25]
    logs = run_epochs(callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.1, verbose=1), [{}] * 2)
    assert [entry["lr"] for entry in logs] == pytest.approx([0.1, 0.01])
    assert "\nEpoch 00001: LearningRateScheduler reducing learning rate to 0.1." in capsys.readouterr().out


def test_scheduler_passes_on_what_the_schedule_raises():
    def schedule(epoch, rate):
        raise TypeError("a mistake inside")

    with pytest.raises(TypeError, match="a mistake inside"):
        run_epochs(callbacks.LearningRateScheduler(schedule), [{}])


@pytest.mark.parametrize("value", ["0.1", None, 1, True])
def test_scheduler_wants_a_float(value):
    with pytest.raises(ValueError, match='output of the "schedule" function should be float'):
        run_epochs(callbacks.LearningRateScheduler(lambda epoch: value), [{}])


@pytest.mark.parametrize("kind", ["scheduler", "plateau"])
def test_learning_rates_that_cannot_be_set(kind):
    make = {
        "scheduler": lambda: callbacks.LearningRateScheduler(lambda epoch: 0.1),
        "plateau": callbacks.ReduceLROnPlateau,
    }
    for optimizer, message in (
        (None, 'must have a "lr"'),
        (Optimizer(lr=lambda step: 0.1), "which a callback cannot set"),
    ):
        model = Model()
        model.optimizer = optimizer
        with pytest.raises(ValueError, match=message):
            run_epochs(make[kind](), losses(1.0), model)


@pytest.mark.parametrize(
    ("settings", "values", "rates"),
    [
        ({"patience": 1}, [3, 3, 3, 3], [1, 1, 0.1, 0.01]),
        ({"patience": 2, "factor": 0.5}, [3, 3, 3, 2, 2, 2], [1, 1, 1, 0.5, 0.5, 0.5]),
        ({"patience": 1, "cooldown": 2}, [3, 3, 3, 3, 3], [1, 1, 0.1, 0.1, 0.01]),
        ({"patience": 1, "min_lr": 0.05}, [3, 3, 3, 3], [1, 1, 0.1, 0.05]),
        ({"patience": 1, "min_delta": 1.0}, [3, 2.5, 2.5], [1, 1, 0.1]),
        ({"patience": 1, "monitor": "val_acc"}, [0.5, 0.4, 0.3], [1, 1, 0.1]),
    ],
)
def test_plateau(settings, values, rates):
    callback = callbacks.ReduceLROnPlateau(**settings)
    logs = run_epochs(callback, losses(*values, name=callback.monitor))
    assert [entry["lr"] for entry in logs] == pytest.approx(rates)


def test_plateau_prints(capsys):
    run_epochs(callbacks.ReduceLROnPlateau(patience=1, verbose=1), losses(3, 3))
    assert capsys.readouterr().out == "\nEpoch 00002: ReduceLROnPlateau reducing learning rate to 0.1.\n"


def test_plateau_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="does not support a factor >= 1.0, received 1.0"):
        callbacks.ReduceLROnPlateau(factor=1.0)
    with pytest.raises(TypeError, match="unexpected arguments: \\['paitence'\\]"):
        callbacks.ReduceLROnPlateau(paitence=3)
    with pytest.warns(UserWarning, match="use `min_delta` instead"):
        assert callbacks.ReduceLROnPlateau(epsilon=0.5).min_delta == 0.5


# --- CSVLogger


def read(path, separator=","):
    with open(path, newline="") as file:
        return list(csv.reader(file, delimiter=separator))


def test_csv_rows(tmp_path):
    path = tmp_path / "log.csv"
    run_epochs(callbacks.CSVLogger(path), [{"loss": 1.5, "acc": 0.25}, {"loss": 1.0, "acc": 0.5}])
    assert read(path) == [["epoch", "acc", "loss"], ["0", "0.25", "1.5"], ["1", "0.5", "1.0"]]


def test_csv_append_and_separator(tmp_path):
    path = str(tmp_path / "log.csv")
    for _ in range(2):
        run_epochs(callbacks.CSVLogger(path, separator=";", append=True), [{"loss": 1.5}])
    assert read(path, ";") == [["epoch", "loss"], ["0", "1.5"], ["0", "1.5"]]
    run_epochs(callbacks.CSVLogger(path), [{"loss": 2.0}])
    assert read(path) == [["epoch", "loss"], ["0", "2.0"]]


def test_csv_columns_that_come_later(tmp_path):
    path = tmp_path / "log.csv"
    logs = [{"loss": 1.0}, {"loss": 0.5, "val_loss": 0.75}]
    run_epochs(callbacks.CSVLogger(path), logs, params={"metrics": ["loss", "val_loss"]})
    assert read(path) == [["epoch", "loss", "val_loss"], ["0", "1.0", "NA"], ["1", "0.5", "0.75"]]


def test_csv_values_that_are_arrays(tmp_path):
    path = tmp_path / "log.csv"
    run_epochs(callbacks.CSVLogger(path), [{"recalls": np.array([0.5, 1.0])}])
    assert read(path)[1] == ["0", '"[0.5, 1.0]"']


def test_csv_is_written_by_rank_zero_only(tmp_path):
    run_epochs(callbacks.CSVLogger(tmp_path / "log.csv"), [{"loss": 1.0}], Model(Strategy(rank=1)))
    assert not list(tmp_path.iterdir())


# --- LambdaCallback, TerminateOnNaN


def test_lambda_callback():
    seen = []
    callback = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((epoch, logs)),
        on_test_begin=lambda logs: seen.append("test"),
        answer=42,
    )
    run_epochs(callback, [{"loss": 1.0}])
    callback.on_test_begin({})
    assert seen == [(0, {"loss": 1.0}), "test"] and callback.answer == 42


def test_lambda_callback_knows_its_hooks():
    with pytest.raises(ValueError, match="there is no hook 'on_epoch_finish'"):
        callbacks.LambdaCallback(on_epoch_finish=print)


@pytest.mark.parametrize(
    ("loss", "stops"), [(np.nan, True), (np.inf, True), (-np.inf, True), (1e30, False), (None, False)]
)
def test_terminate_on_nan(loss, stops, capsys):
    callback = callbacks.TerminateOnNaN()
    callback.set_model(Model())
    callback.on_train_batch_end(3, {} if loss is None else {"loss": loss})
    assert callback.model.stop_training is stops
    assert capsys.readouterr().out == ("Batch 3: Invalid loss, terminating training\n" if stops else "")


# --- ModelCheckpoint


@pytest.mark.parametrize(
    ("settings", "saved"),
    [
        ({}, ["model 1", "model 2", "model 3", "model 4"]),
        ({"save_weights_only": True}, ["weights 1", "weights 2", "weights 3", "weights 4"]),
        ({"period": 3}, ["model 3"]),
        ({"save_best_only": True}, ["model 1", "model 3"]),
        ({"save_best_only": True, "monitor": "acc"}, ["model 1", "model 2", "model 4"]),
        ({"save_best_only": True, "monitor": "acc", "mode": "min"}, ["model 1", "model 3"]),
    ],
)
def test_checkpoints(settings, saved):
    model = Model()
    logs = [{"val_loss": loss, "acc": acc} for loss, acc in ((3, 0.2), (4, 0.3), (1, 0.1), (2, 0.4))]
    run_epochs(callbacks.ModelCheckpoint("{epoch}", **settings), logs, model)
    assert [" ".join(entry) for entry in model.saved] == saved


def test_checkpoint_file_names():
    model = Model()
    run_epochs(callbacks.ModelCheckpoint("w.{epoch:02d}-{val_loss:.2f}.h5"), losses(0.125), model)
    assert model.saved == [("model", "w.01-0.12.h5")]
    with pytest.raises(KeyError, match="Failed to format this callback filepath.*'val_acc'.*'val_loss'"):
        run_epochs(callbacks.ModelCheckpoint("w-{val_acc:.2f}.h5"), losses(0.125))


def test_checkpoint_prints(capsys):
    run_epochs(callbacks.ModelCheckpoint("m.h5", verbose=1, save_best_only=True), losses(0.5, 0.75))
    run_epochs(callbacks.ModelCheckpoint("m.h5", verbose=1), losses(0.5))
    assert capsys.readouterr().out.splitlines() == [
        "",
        "Epoch 00001: val_loss improved from inf to 0.50000, saving model to m.h5",
        "",
        "Epoch 00002: val_loss did not improve from 0.50000",
        "",
        "Epoch 00001: saving model to m.h5",
    ]


def test_checkpoint_by_samples():
    model = Model()
    callback = callbacks.ModelCheckpoint("{epoch}-{batch}", save_freq=20)
    callback.set_model(model)
    callback.on_epoch_begin(4)
    for batch in range(6):
        callback.on_train_batch_end(batch, {"batch": batch, "size": 8})
    callback.on_epoch_end(4, {})
    assert [path for _, path in model.saved] == ["5-2", "5-5"]


def test_checkpoint_loads_on_restart(tmp_path):
    path = tmp_path / "weights.h5"
    model = Model()
    callback = callbacks.ModelCheckpoint(path, load_weights_on_restart=True)
    callback.set_model(model)
    callback.on_train_begin()
    assert model.weights == [0]
    path.touch()
    callback.on_train_begin()
    assert model.weights == ["loaded", str(path)]


def test_checkpoint_loads_the_newest_of_several_files(tmp_path):
    for age, name in ((3, "w.01.h5"), (1, "w.02.h5"), (2, "w.03.h5"), (0, "v.04.h5")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 1000 - age))
    callback = callbacks.ModelCheckpoint(tmp_path / "w.{epoch:02d}.h5", load_weights_on_restart=True)
    callback.set_model(Model())
    callback.on_train_begin()
    assert callback.model.weights == ["loaded", str(tmp_path / "w.02.h5")]


def test_checkpoint_without_its_metric():
    callback = callbacks.ModelCheckpoint("m.h5", save_best_only=True)
    model = Model()
    with pytest.warns(UserWarning, match="Can save best model only with val_loss available, skipping"):
        run_epochs(callback, [{"loss": 1.0}], model)
    assert not model.saved


def test_checkpoints_are_saved_by_all_ranks_together_when_rank_zero_says_so():
    model = Model(Strategy(rank=1, said_by_rank_zero=[3.0, 4.0]))
    callback = callbacks.ModelCheckpoint("m.h5", save_best_only=True, verbose=1)
    run_epochs(callback, losses(9.0, 1.0), model)
    assert len(model.saved) == 1 and callback.best == 3.0


@pytest.mark.parametrize("save_freq", ["batch", 0, -3, 1.5, True])
def test_checkpoint_frequencies(save_freq):
    with pytest.raises(ValueError, match="`save_freq` must be 'epoch' or a positive number of samples"):
        callbacks.ModelCheckpoint("m.h5", save_freq=save_freq)


def test_checkpoint_unknown_arguments():
    with pytest.raises(TypeError, match="unexpected arguments: \\['save_best'\\]"):
        callbacks.ModelCheckpoint("m.h5", save_best=True)
