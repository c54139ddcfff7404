"""Ranks that wait for MPI to start: who never comes is named, and the job ends."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from distkeras import _settings
from distkeras.distribute import launcher
from distkeras.distribute.environment import without_launcher
from distkeras.distribute.run_folder import HERE, RUN_DIRECTORY
from distkeras.distribute.start_watch import Limits, StartWatch
from distkeras.distribute.watchdog import EXIT_CODE


@pytest.fixture
def rank(tmp_path):
    """Starts a process that looks like a rank of two."""
    processes = []

    def start(number):
        variables = {RUN_DIRECTORY: tmp_path, "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": str(number)}
        processes.append(subprocess.Popen(["sleep", "60"], env={**os.environ, **variables}))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def watch(**limits):
    told = []
    return StartWatch(Limits(2, **limits), told.append), told


def test_a_rank_that_has_ended_ends_the_job(tmp_path, rank):
    start, told = watch(one_host=True)
    rank(0)
    assert start.look(tmp_path) is None  # rank 0 does not wait yet
    (tmp_path / f"{HERE}0").touch()
    assert start.look(tmp_path) == 1
    assert "rank 1 ended before using the other ranks" in told[0] and "rank 0 would wait for ever" in told[0]
    (tmp_path / "started").touch()
    assert start.look(tmp_path) is None


def test_a_rank_may_be_about_to_start(tmp_path, rank):
    start, told = watch(one_host=True, seconds_to_appear=60.0)
    rank(0), (tmp_path / f"{HERE}0").touch()
    assert start.look(tmp_path) is None
    ending = rank(1)
    assert start.look(tmp_path) is None and not told
    ending.kill(), ending.wait()
    assert start.look(tmp_path) == 1 and "rank 1 ended" in told[0]


def test_a_rank_that_does_something_else_is_named(tmp_path, rank):
    start, told = watch(one_host=True, seconds=0.05, abort=0.3)
    rank(0), (tmp_path / f"{HERE}0").touch()
    late = rank(1)
    late.send_signal(signal.SIGSTOP)
    codes = []
    while not codes or codes[-1] is None and len(codes) < 100:
        codes.append(start.look(tmp_path))
        time.sleep(0.02)
    assert codes[-1] == EXIT_CODE and len(told) == 2  # told of once, then the end
    assert f"rank 1 did not come to it; rank 1 is process {late.pid}, it is stopped (SIGSTOP)" in told[0]
    assert "--watchdog-abort" in told[1]


def test_nobody_is_accused_who_cannot_be_seen_from_here(tmp_path, rank):
    (tmp_path / f"{HERE}0").touch()
    (start, told), (other, _) = watch(one_host=True), watch(one_host=False)
    assert start.look(tmp_path) is None and other.look(tmp_path) is None and not told


def test_ranks_that_do_not_reach_each_other_are_told_what_to_do(tmp_path):
    start, told = watch(seconds=1e-6, abort=0.0)
    for number in range(2):
        (tmp_path / f"{HERE}{number}").touch()
    assert start.look(tmp_path) is start.look(tmp_path) is None
    assert len(told) == 1 and "All have come, but they do not reach each other" in told[0]


@pytest.mark.alone
@pytest.mark.fault("a rank ends before the others know of it")
@pytest.mark.parametrize("way", ["sys.exit(0)", "os._exit(0)"])
def test_a_rank_that_leaves_at_once(tmp_path, monkeypatch, capfd, way):
    script = tmp_path / "train.py"
    script.write_text(
        f"import os, sys\nif os.environ['OMPI_COMM_WORLD_RANK'] == '1': {way}\n"
        "from distkeras.distribute.mpi import world\nworld()\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    begun = time.monotonic()
    assert launcher.run(launcher.plan([str(script)], _settings.resolve({"ranks": 2}, {}))) == 1
    assert time.monotonic() - begun < 10 and "rank 1 ended before using the other ranks" in capfd.readouterr().err


@pytest.mark.alone
@pytest.mark.fault("a rank ends or is stopped before the others know of it, bare mpirun")
@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("os._exit(0)", "rank 1 ended before using the other ranks"),
        ("os.kill(os.getpid(), signal.SIGSTOP)", "rank 1 is process .*, it is stopped .* the job is ended"),
    ],
)
def test_a_bare_mpirun_does_not_wait_for_ever(tmp_path, way, told):
    script = tmp_path / "train.py"
    script.write_text(
        f"import os, signal\nif os.environ['OMPI_COMM_WORLD_RANK'] == '1': {way}\n"
        "from distkeras.distribute.mpi import world\nworld()\n"
    )
    plan = launcher.plan([str(script)], _settings.resolve({"ranks": 2}, {}))
    variables = {**without_launcher(), **plan.variables, "PYTHONPATH": os.pathsep.join(sys.path)}
    variables |= {"DISTKERAS_WATCHDOG_SECONDS": "0.5", "DISTKERAS_WATCHDOG_ABORT": "1"}
    with launcher.started(plan.command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        said = process.communicate(timeout=50)[1]
    assert process.returncode != 0 and re.search(told, said, flags=re.DOTALL)


def test_ranks_behind_a_shell_may_run_unseen():
    start, told = watch()
    assert start.judge({0}, {0: os.getpid()}, in_sight=False) is None and not told
    assert start.judge({0}, {0: os.getpid()}, in_sight=True) == 1 and "rank 1 ended" in told[0]


def test_other_hosts_ranks_are_not_seen():
    others, told = watch(seconds=1e-6, has_others=True)
    assert others.judge({0, 1}, {0: 1, 1: 2}, in_sight=True) is None
    assert "All of this host have come; others have not, or they do not reach each other" in told[0]
