"""Which hooks are called with what, and what stops a training."""

import numpy as np
import pytest

import distkeras as tf
from tests.keras.training.models import Recorder, X, Y, linear


def test_hooks_and_logs_of_fit():
    recorder = Recorder()
    history = linear(metrics=["mae"]).fit(
        X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[recorder], validation_data=(X[:5], Y[:5])
    )
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    test = ["on_test_begin", *["on_test_batch_begin", "on_test_batch_end"] * 2, "on_test_end"]
    epoch = ["on_epoch_begin", *batch * 3, *test, "on_epoch_end"]
    assert recorder.names == ["on_train_begin", *epoch * 2, "on_train_end"]
    assert recorder.logs_of("on_train_batch_begin")[:3] == [
        {"batch": 0, "size": 4},
        {"batch": 1, "size": 4},
        {"batch": 2, "size": 2},
    ]
    assert all(list(logs) == ["batch", "size", "loss", "mae"] for logs in recorder.logs_of("on_train_batch_end"))
    assert all(list(logs) == ["loss", "mae", "val_loss", "val_mae"] for logs in recorder.logs_of("on_epoch_end"))
    assert [logs["loss"] for logs in recorder.logs_of("on_epoch_end")] == history.history["loss"]
    assert recorder.params == {
        "batch_size": 4,
        "epochs": 2,
        "steps": 3,
        "samples": 10,
        "verbose": 0,
        "do_validation": True,
        "metrics": ["loss", "mae", "val_loss", "val_mae"],
    }


def test_batch_logs_hold_the_batch_loss_and_running_metrics():
    recorder = Recorder()
    model = linear(tf.keras.optimizers.SGD(0.0), metrics=["mse"])
    history = model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=recorder)
    losses = [np.mean(Y[start : start + 4] ** 2) for start in (0, 4, 8)]
    running = [np.mean(Y[:stop] ** 2) for stop in (4, 8, 10)]
    logs = recorder.logs_of("on_train_batch_end")
    np.testing.assert_allclose([entry["loss"] for entry in logs], losses, rtol=1e-6)
    np.testing.assert_allclose([entry["mse"] for entry in logs], running, rtol=1e-6)
    np.testing.assert_allclose(history.history["loss"], running[-1:], rtol=1e-6)


@pytest.mark.parametrize("kind", ["evaluate", "predict"])
def test_hooks_of_evaluate_and_predict(kind):
    recorder = Recorder()
    model = linear()
    targets = [Y] if kind == "evaluate" else []
    getattr(model, kind)(X, *targets, batch_size=6, verbose=0, callbacks=[recorder])
    short = "test" if kind == "evaluate" else kind
    batch = [f"on_{short}_batch_begin", f"on_{short}_batch_end"]
    assert recorder.names == [f"on_{short}_begin", *batch * 2, f"on_{short}_end"]
    last = recorder.logs_of(f"on_{short}_batch_end")[-1]
    assert last["batch"] == 1 and last["size"] == 4
    if kind == "predict":
        assert last["outputs"].shape == (4, 1)


@pytest.mark.parametrize(
    ("stop_at", "batches", "epochs"),
    [(("on_train_batch_end", 1), 2, 1), (("on_epoch_end", 1), 6, 2), (("on_train_begin",), 1, 1), (None, 9, 3)],
)
def test_stopping(stop_at, batches, epochs):
    recorder = Recorder(stop_at)
    model = linear()
    history = model.fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=[recorder], validation_data=(X, Y))
    assert recorder.names.count("on_train_batch_end") == batches
    assert history.epoch == list(range(epochs)) and recorder.names[-1] == "on_train_end"
    if stop_at and "epoch" not in stop_at[0]:
        assert "val_loss" not in history.history
    model.fit(X, Y, verbose=0)
    assert model.stop_training is False


def test_callbacks_may_add_to_the_logs():
    class Adds(tf.keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["answer"] = 42 + epoch

    assert linear().fit(X, Y, epochs=2, verbose=0, callbacks=[Adds()]).history["answer"] == [42, 43]
