"""The benchmark of data workers runs, for a moment."""

import re

import pytest

from benchmarks import data_workers


@pytest.mark.timeout(120)
def test_a_quick_run(capsys):
    data_workers.main("--megabytes 1 --rounds 4 --items 4 --seconds 0.002 --spent computing".split())
    printed = capsys.readouterr().out
    assert len(re.findall(r"([\d.]+) GB/s", printed)) == 2
    assert len(re.findall(r"of it waiting for data, ([\d.]+) times one", printed)) == 1
