"""The benchmark runs: distkeras alone, for a moment."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import step_time

ROOT = Path(__file__).resolve().parents[2]


def test_a_quick_run():
    command = [sys.executable, "-m", "benchmarks.step_time", "--quick", "--peer", "none", "--case", "tiny"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    rows = re.findall(r"distkeras (\w+) +(\d+) us +([\d.]+)x +([\d.]+)x +(\d+) MB +([\d.]+) s", ended.stdout)
    assert [row[0] for row in rows] == ["train_on_batch", "fit"], ended.stdout
    assert rows[1][2] == "1.00" and rows[0][3] == "1.00"  # each beside itself
    assert all(float(number) > 0 for row in rows for number in row[1:])


def test_a_peer_must_be_named(monkeypatch):
    monkeypatch.delenv("DISTKERAS_BENCH_TORCH", raising=False)
    with pytest.raises(SystemExit, match="set DISTKERAS_BENCH_TORCH to the Python"):
        step_time.interpreter("torch")


def test_a_contestant_that_fails_is_quoted(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho there is no torch here >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv("DISTKERAS_BENCH_TORCH", str(python))
    with pytest.raises(RuntimeError, match="torch eager ended:\nthere is no torch here"):
        step_time.Worker(step_time.Contestant("torch", "eager"), "tiny", 32)
