"""The examples of data run from end to end, and two ranks print what one process does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from distkeras.testing import run_ranks

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("name", ["data_generator", "data_sequence", "data_tf_records", "data_hdf5"])
def test_two_ranks_print_what_one_process_does(name):
    losses = []
    for ranks in (1, 2):
        printed = run_ranks(ranks, EXAMPLES / f"{name}.py", "--epochs", 2, timeout=140).check().stdout
        (line,) = re.findall(r"^test loss ([\d.]+), accuracy ([\d.]+)$", printed, re.MULTILINE)  # one rank prints
        losses.append([float(number) for number in line])
    alone, on_two = losses
    assert alone[1] > 0.7
    assert on_two == pytest.approx(alone, abs=3e-3)
