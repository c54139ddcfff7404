"""The benchmark runs: distkeras alone, for a moment."""

from __future__ import annotations

import re

from benchmarks import recurrent


def test_a_quick_run(capfd):
    recurrent.main(["--quick", "--peer", "none", "--case", "simple_rnn", "--batch-size", "4"])
    rows = re.findall(r"simple_rnn +(\w+) +batch 4 +(\d+) us +([\d.]+)x distkeras", capfd.readouterr().out)
    assert [row[0] for row in rows] == ["gradients", "train"]
    assert all(int(row[1]) > 0 and row[2] == "1.00" for row in rows)
