"""The example runs from end to end, and its network learns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from distkeras.testing import run_ranks

PATH = Path(__file__).resolve().parents[2] / "examples" / "masked_rnn.py"


@pytest.mark.parametrize("ranks", [1, 2])
def test_from_data_to_predictions(ranks):
    arguments = ["--samples", 640, "--epochs", 6, "--batch-size", 16]
    result = run_ranks(ranks, PATH, *arguments, timeout=240).check()
    (numbers,) = re.findall(r"mean squared error ([\d.]+); always the mean: ([\d.]+)", result.stdout)
    assert float(numbers[0]) < 0.2 * float(numbers[1])
    assert result.stdout.count("more padding changes nothing") == 1
