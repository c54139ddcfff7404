"""The benchmark of data in trainings runs, for a moment."""

import re

import pytest

from benchmarks import data_training


@pytest.mark.filterwarnings("ignore:Epoch .* waited for data")
@pytest.mark.timeout(120)
def test_a_quick_run(capsys):
    data_training.main(["--quick"])
    printed = capsys.readouterr().out
    assert re.search(r"train_on_batch, arrays +-?[\d.]+ us", printed)
    assert re.search(r"keep up +[\d.]+% of a step of [\d.]+ ms", printed)
    assert re.search(r"with workers +[+-][\d.]+ MB an epoch", printed)
    assert " 0 processes and 0 open files more" in printed
