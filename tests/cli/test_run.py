"""`distkeras run`, from the command line to the end of the ranks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import distkeras
from distkeras.cli import main
from distkeras.distribute.environment import without_launcher

PACKAGE_FOLDER = str(Path(distkeras.__path__[0]).parent)


@pytest.fixture(autouse=True)
def folder_with_script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(
        "import os, sys\nfrom distkeras.distribute.mpi import world\n"
        "print(world().size, *sys.argv[1:], flush=True)\n"
        "if '--fail' in sys.argv and world().rank == world().size - 1: sys.exit(5)\n"
        "if '--print-tty' in sys.argv: print(os.getppid())\n"
    )
    for name in [name for name in os.environ if name.startswith("DISTKERAS_")]:
        monkeypatch.delenv(name)


def distkeras_command(*arguments, **variables):
    environment = {**without_launcher(), "PYTHONPATH": PACKAGE_FOLDER, **variables}
    command = [sys.executable, "-m", "distkeras", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_script_gets_its_ranks_and_its_own_arguments(ranks):
    result = distkeras_command("run", "-n", str(ranks), "train.py", "--epochs", "3", "-n", "9", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [f"{ranks} --epochs 3 -n 9 --dry-run"] * ranks


def test_a_module(tmp_path):
    result = distkeras_command("run", "-n", "2", "-m", "train", "x", PYTHONPATH=f"{PACKAGE_FOLDER}:{tmp_path}")
    assert result.stdout.splitlines() == ["2 x"] * 2, result.stderr


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_exit_code_is_the_programs(ranks):
    assert distkeras_command("run", "-n", str(ranks), "train.py", "--fail").returncode == 5


def test_settings_reach_the_ranks(tmp_path):
    (tmp_path / "show.py").write_text(
        "import os\nfrom distkeras import _settings\n"
        "print(_settings.current().bucket_cap_mb, os.environ['OMP_NUM_THREADS'])\n"
    )
    (tmp_path / "own.yaml").write_text("ranks: 2\nbucket_cap_mb: 3\n")
    result = distkeras_command("run", "--config", "own.yaml", "--threads", "2", "show.py", DISTKERAS_BUCKET_CAP_MB="7")
    # mpirun is given the thread count of the setting, unless the user's own variable says otherwise.
    threads = os.environ.get("OMP_NUM_THREADS", "2")
    assert result.stdout.splitlines() == [f"7.0 {threads}"] * 2, result.stderr


def test_print_config_needs_no_program(capsys):
    assert main(["run", "-n", "3", "--simd", "avx2", "--print-config"]) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["ranks"] == ["3", "flag"] and lines["simd"] == ["avx2", "flag"]
    assert lines["log_level"] == ["info", "default"]


def test_dry_run_shows_the_command_and_starts_nothing(capsys):
    assert main(["run", "-n", "2", "--dry-run", "train.py", "a b"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"mpirun\S* -n 2 .*train\.py 'a b'\n$", shown)


def test_debug_shows_the_command_that_is_run():
    result = distkeras_command("run", "-n", "1", "--log-level", "debug", "train.py")
    assert f"{sys.executable} train.py" in result.stderr and result.stdout == "1\n"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["run", "missing.py"], "there is no script 'missing.py'"),
        (["run", "-n", "0", "train.py"], "ranks = '0' (from flag): expected a whole number"),
        (["run", "--simd", "mmx", "train.py"], "expected one of amx"),
        (["run", "-n", "2", "--mpirun", "/none", "train.py"], "mpirun was set to '/none'"),
        (["run", "--config", "none.yaml", "train.py"], "none.yaml"),
    ],
)
def test_errors_are_one_line(capsys, arguments, message):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("distkeras: ") and error.count("\n") == 1


@pytest.mark.parametrize("arguments", [["run"], ["run", "-n", "2"], ["run", "--no-such-flag", "train.py"], [], ["fly"]])
def test_wrong_command_lines(capsys, arguments):
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2 and "usage: distkeras" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["doctor", "--help"], ["warmup", "-h"]])
def test_help(capsys, arguments):
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 0 and "usage: distkeras" in capsys.readouterr().out


def test_a_lost_rank_is_no_success(tmp_path):
    # A rank that the launcher does not miss: it leaves without a word, with exit code 0, as after the loss of a host.
    (tmp_path / "mpirun").write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exit 0\necho 2 > "$DISTKERAS_RUN_DIR/started"\nexit 0\n'
    )
    (tmp_path / "mpirun").chmod(0o755)
    result = distkeras_command("run", "-n", "2", "--mpirun", "./mpirun", "train.py")
    assert result.returncode == 1 and "not all 2 ranks reached the end" in result.stderr
