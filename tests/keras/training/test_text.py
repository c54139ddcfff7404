"""What fit, evaluate and predict print."""

import re

import pytest

from tests.keras.training.models import Batches, Sized, X, Y, endless, linear

BAR = r"\[={30}\] - \d+s \d+(s|ms|us)/"


@pytest.mark.parametrize(
    ("verbose", "line"),
    [(1, rf"10/10 {BAR}sample - loss: \d\.\d{{4}}"), (2, r"10/10 - \d+s - loss: \d\.\d{4}")],
)
def test_text_of_fit(verbose, line, capsys):
    linear().fit(X, Y, epochs=2, verbose=verbose)
    headline, first, first_line, second, second_line = capsys.readouterr().out.splitlines()
    assert (headline, first, second) == ("Train on 10 samples", "Epoch 1/2", "Epoch 2/2")
    assert re.fullmatch(line, first_line) and re.fullmatch(line, second_line)


def test_text_of_validation_and_batches(capsys):
    linear().fit(X, Y, verbose=2, validation_split=0.2)
    first, last = capsys.readouterr().out.splitlines()
    assert first == "Train on 8 samples, validate on 2 samples"
    assert re.fullmatch(r"8/8 - \d+s - loss: \S+ - val_loss: \S+", last)
    linear().fit(Batches(), verbose=1, validation_data=endless(), validation_steps=2)
    first, last = capsys.readouterr().out.splitlines()
    assert first == "Train for 3 steps, validate for 2 steps"
    assert re.fullmatch(rf"3/3 {BAR}step - loss: \S+ - val_loss: \S+", last)


def test_text_of_data_of_unknown_length(capsys):
    linear().fit(Sized(), epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0].strip() for line in lines] == ["Epoch 1/2", "3/Unknown", "Epoch 2/2", "3/3"]


def test_text_of_evaluate_and_predict(capsys):
    model = linear(metrics=["mae"])
    model.evaluate(X, Y, verbose=1)
    assert re.fullmatch(rf"10/10 {BAR}sample - loss: \S+ - mae: \S+\n", capsys.readouterr().out)
    model.predict(X, verbose=1)
    assert re.fullmatch(rf"10/10 {BAR}sample\n", capsys.readouterr().out)
    model.fit(X, Y, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X)
    assert capsys.readouterr().out == ""
