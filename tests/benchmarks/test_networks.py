"""The benchmark of typical networks runs: distkeras alone, for a moment."""

from __future__ import annotations

import os
import re

import pytest

from benchmarks import network_peers, networks, step_time


def test_a_quick_run(capfd):
    networks.main(["--quick", "--peer", "none", "--case", "tabular", "--batch-size", "4"])
    rows = re.findall(r"tabular +(\d+) us   memory (\d+) MB", capfd.readouterr().out)
    assert len(rows) == 1 and all(int(number) > 0 for number in rows[0])


def test_every_network_has_an_input_and_a_form_in_keras():
    assert list(network_peers.KERAS) == list(network_peers.INPUTS)


@pytest.mark.parametrize("simd", step_time.SIMD)
def test_instructions_are_restricted_on_all_sides(simd, monkeypatch, tmp_path):
    """The contestant fails, and what it says of its variables is quoted."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho $DISTKERAS_SIMD $ATEN_CPU_CAPABILITY >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(os, "environ", {**os.environ, "DISTKERAS_BENCH_TORCH": str(python)})
    step_time.restrict(simd)
    with pytest.raises(RuntimeError, match=f"torch eager ended:\n{simd} {simd}"):
        networks.Worker(step_time.Contestant("torch", "eager"), "tabular", 32)
