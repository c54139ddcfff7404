"""The benchmark of pipelines runs: distkeras alone, for a moment."""

from __future__ import annotations

import re

from benchmarks import data


def test_a_quick_run(capsys):
    data.main(["--quick", "--peer", "none", "--case", "map"])
    (row,) = re.findall(r"map +distkeras +(\d+) samples/s +([\d.]+)x", capsys.readouterr().out)
    assert int(row[0]) > 0 and row[1] == "1.00"
