"""The example learns, finds what it saved, and prints the same numbers on two ranks as on one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from distkeras.testing import run_ranks

PATH = Path(__file__).resolve().parents[2] / "examples" / "custom_layer_and_loss.py"


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Test loss and coverage, by number of ranks."""
    found = {}
    for ranks in (1, 2):
        folder = tmp_path_factory.mktemp("custom")
        result = run_ranks(ranks, PATH, "--output", folder, timeout=240).check()
        assert result.stdout.count("loaded again it gives the same loss") == 1
        assert (folder / "custom.h5").exists()
        found[ranks] = tuple(map(float, re.search(r"test loss ([\d.]+); ([\d.]+) of", result.stdout).groups()))
    return found


def test_two_ranks_are_one(figures):
    assert figures[1] == pytest.approx(figures[2], abs=2e-3)


def test_it_learns(figures):
    """A model that knows nothing of the patients, the quantile of all, has a loss of 2.66."""
    loss, coverage = figures[1]
    assert loss < 2.0 and 0.6 < coverage < 0.95
