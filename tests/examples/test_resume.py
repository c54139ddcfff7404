"""The example of an interrupted training is killed, and taken up again by another number of ranks."""

import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import distkeras
from distkeras.distribute.environment import without_launcher
from distkeras.testing import run_ranks

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "resume.py"


def last_loss(stdout):
    assert "40 epochs" in stdout and float(re.search(r"accuracy ([\d.]+)\n$", stdout)[1]) > 0.9
    return float(re.search("last loss (.*)", stdout)[1])


def test_it_is_killed_and_goes_on(tmp_path, monkeypatch, capsys):
    backups = tmp_path / "backups"
    environment = {**without_launcher(), "PYTHONPATH": str(Path(distkeras.__path__[0]).parent)}
    command = [sys.executable, EXAMPLE, "--backup-dir", backups, "--pause", "0.02"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(backups.glob("backup-*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL and backups.exists()

    on_two = run_ranks(2, EXAMPLE, "--backup-dir", backups).check()
    assert "going on after step" in on_two.stderr and not backups.exists()
    monkeypatch.setattr(sys, "argv", ["resume.py", "--backup-dir", str(backups)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    alone = capsys.readouterr()
    assert "going on" not in alone.err
    assert last_loss(on_two.stdout) == pytest.approx(last_loss(alone.out), rel=1e-2)
