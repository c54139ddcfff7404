"""The text of the progress bar, on a terminal and elsewhere."""

import contextlib
import io
import itertools
import re
import types

import pytest

from distkeras.keras.callbacks import ProgbarLogger
from distkeras.keras.utils import progbar
from distkeras.keras.utils.progbar import Progbar
from tests.keras.callbacks.fakes import Model, Strategy


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock of our own, for on a busy machine anything may take a second."""
    ticks = itertools.count(1000.0, 1e-4)
    monkeypatch.setattr(progbar, "time", types.SimpleNamespace(monotonic=lambda: next(ticks)))


class Output:
    """What has been printed so far."""

    def __init__(self, capsys):
        self._capsys, self._text = capsys, ""

    def getvalue(self):
        self._text += self._capsys.readouterr().out
        return self._text


@pytest.fixture(params=["terminal", "file"])
def output(request, monkeypatch, capsys):
    monkeypatch.setattr(progbar, "_is_interactive", lambda: request.param == "terminal")
    return Output(capsys)


@pytest.fixture
def terminal(monkeypatch, capsys):
    monkeypatch.setattr(progbar, "_is_interactive", lambda: True)
    return Output(capsys)


def drawings(stream):
    """What each redrawn line shows."""
    return [text.rstrip() for text in re.split(r"\x08*\r|\n", stream.getvalue()) if text.strip()]


def test_a_bar_on_a_terminal(terminal):
    bar = Progbar(target=20, width=10, interval=0)
    bar.update(5, [("loss", 2.0)])
    bar.update(10, [("loss", 1.0)])
    bar.update(20, [("loss", 0.0)])
    first, second, last = drawings(terminal)
    assert first == " 5/20 [=>........] - ETA: 0s - loss: 2.0000".replace("=>........", "=>" + "." * 8)
    assert second == "10/20 [====>.....] - ETA: 0s - loss: 1.5000"
    assert re.fullmatch(r"20/20 \[={10}\] - 0s \d+us/step - loss: 0\.7500", last)
    assert terminal.getvalue().endswith("\n")


def test_lines_that_become_shorter_leave_nothing_behind(terminal):
    bar = Progbar(target=10, interval=0, stateful_metrics=["metric"])
    bar.update(1, [("metric", 123456.0)])
    bar.update(2, [("metric", 1.0)])
    first, second = terminal.getvalue().split("\r")[1:]
    assert len(second) == len(first.rstrip("\b"))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_terminals_are_recognised():
    with contextlib.redirect_stdout(Terminal()) as stream:
        Progbar(target=3, interval=0).update(1)
    assert stream.getvalue().startswith("\r1/3 [")


def test_into_a_file_only_the_finished_line_goes():
    with contextlib.redirect_stdout(io.StringIO()) as stream:
        bar = Progbar(target=3, interval=0)
        for step in (1, 2):
            bar.update(step, [("loss", 1.0)])
        assert stream.getvalue() == ""
        bar.update(3, [("loss", 1.0)])
    assert re.fullmatch(r"3/3 \[={30}\] - 0s \d+us/step - loss: 1\.0000\n", stream.getvalue())


def test_verbose_2_and_0(output):
    for verbose in (0, 2):
        bar = Progbar(target=3, verbose=verbose, interval=0)
        bar.update(1, [("loss", 1.0)])
        bar.update(3, [("loss", 4.0)])
    assert output.getvalue() == "3/3 - 0s - loss: 3.0000\n"


def test_redrawing_is_limited(terminal):
    bar = Progbar(target=1000, interval=60)
    for step in range(1, 1001):
        bar.update(step)
    assert len(drawings(terminal)) == 2


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5000"), (0.0005, "5.0000e-04"), (-2.0, "-2.0000"), (0.0, "0.0000e+00")]
)
def test_numbers(value, text, output):
    Progbar(target=1, verbose=2).update(1, [("m", value)])
    assert output.getvalue() == f"1/1 - 0s - m: {text}\n"


def test_unknown_target(terminal):
    bar = Progbar(target=None, interval=0)
    bar.update(1, [("loss", 1.0)])
    bar.finish(2, [("loss", 0.5)])
    first, last = drawings(terminal)
    assert re.fullmatch(r" +1/Unknown - 0s \d+us/step - loss: 1\.0000", first)
    assert re.fullmatch(r" +2/Unknown - 0s \d+us/step - loss: 0\.5000", last)


@pytest.mark.parametrize(("seconds", "text"), [(5, "ETA: 5s"), (125, "ETA: 2:05"), (3725, "ETA: 1:02:05")])
def test_remaining_time(terminal, seconds, text):
    bar = Progbar(target=2, interval=0)
    bar._start -= seconds
    bar.update(1)
    assert text in drawings(terminal)[0]


# --- the callback


def drive(callback, epochs=2, validate=False):
    callback.on_train_begin()
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        for batch, loss in enumerate((2.0, 1.0)):
            callback.on_train_batch_begin(batch, {})
            callback.on_train_batch_end(batch, {"size": 4, "loss": loss, "acc": 0.5, "hidden": 1})
        if validate:
            callback.on_test_begin()
            callback.on_test_batch_end(0, {"size": 4, "loss": 9.0})
            callback.on_test_end({"loss": 9.0})
        callback.on_epoch_end(epoch, {"loss": 1.5, "acc": 0.5, "val_loss": 9.0, "hidden": 1})
    callback.on_train_end()


def logger(verbose=2, epochs=2, model=None, count_mode="samples"):
    callback = ProgbarLogger(count_mode, stateful_metrics=["acc", "val_loss"])
    callback.set_model(model or Model())
    metrics = ["loss", "acc", "val_loss"]
    callback.set_params({"verbose": verbose, "epochs": epochs, "samples": 8, "steps": 2, "metrics": metrics})
    return callback


@pytest.mark.parametrize(("count_mode", "count"), [("samples", "8/8"), ("steps", "2/2")])
@pytest.mark.parametrize("validate", [False, True])
def test_epochs(output, validate, count_mode, count):
    drive(logger(count_mode=count_mode), validate=validate)
    line = f"{count} - 0s - loss: 1.5000 - acc: 0.5000 - val_loss: 9.0000"
    assert output.getvalue().splitlines() == ["Epoch 1/2", line, "Epoch 2/2", line]


def test_a_single_epoch_has_no_headline(output):
    drive(logger(epochs=1), epochs=1)
    assert len(output.getvalue().splitlines()) == 1


def test_the_bar_moves_on_a_terminal(terminal):
    drive(logger(verbose=1, epochs=1), epochs=1)
    first, last = drawings(terminal)
    assert first.startswith("4/8 [==============>...............] - ETA:") and first.endswith(
        "loss: 2.0000 - acc: 0.5000"
    )
    assert last.startswith("8/8 [==============================]") and "loss: 1.5000" in last


def test_training_that_stops_early_still_ends_its_line(output):
    callback = logger(verbose=1, epochs=1)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    callback.on_train_batch_end(0, {"size": 4, "loss": float("nan"), "acc": 0.5})
    callback.on_epoch_end(0, {"loss": float("nan"), "acc": 0.5})
    assert output.getvalue().endswith("loss: nan - acc: 0.5000\n")


@pytest.mark.parametrize("kind", ["test", "predict"])
def test_evaluation_and_prediction(output, kind):
    callback = logger()
    getattr(callback, f"on_{kind}_begin")()
    for batch in range(2):
        getattr(callback, f"on_{kind}_batch_end")(batch, {"size": 4, "loss": 2.0})
    getattr(callback, f"on_{kind}_end")({"loss": 1.0})
    assert output.getvalue() == "8/8 - 0s - loss: 1.0000\n"


def test_only_rank_zero_prints(output):
    drive(logger(model=Model(Strategy(rank=1))))
    assert output.getvalue() == ""


def test_an_unknown_count_mode():
    with pytest.raises(ValueError, match="Unknown `count_mode`: 'epochs'"):
        ProgbarLogger("epochs")
