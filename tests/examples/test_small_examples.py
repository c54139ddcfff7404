"""The examples on small data run from end to end, and two ranks print what one process does."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import h5py
import pytest

from distkeras.testing import run_ranks

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs an example here and on two ranks; the numbers both print of their results, and all that one prints."""

    def numbers_in(text):
        lines = [line for line in text.splitlines() if line.startswith(("cultivar: ", "alcohol: ", "test loss "))]
        assert len(lines) == len(set(lines))  # one rank prints
        return [float(number) for line in lines for number in re.findall(r"\d+\.\d+", line)]

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        printed = capsys.readouterr().out
        on_two = run_ranks(2, EXAMPLES / name, *arguments, timeout=120).check().stdout
        return numbers_in(printed), numbers_in(on_two), printed

    return run


def test_two_inputs_and_two_outputs(run):
    alone, on_two, printed = run("functional_multi_input.py", "--epochs", 10)
    accuracy, error = alone
    assert accuracy > 0.9 and error < 1.0 and 'Model: "wines"' in printed
    assert on_two == pytest.approx(alone, abs=2e-3)


def test_a_class_of_ones_own(run, tmp_path):
    alone, on_two, printed = run("subclassed.py", "--epochs", 3, "--output", tmp_path)
    _, accuracy, area = alone
    assert accuracy > 0.9 and area > 0.95 and "learning_rate: " in printed and "differ by 0.0e+00" in printed
    assert on_two == pytest.approx(alone, abs=2e-3)
    assert h5py.is_hdf5(tmp_path / "classifier.h5")
