"""What ranks cannot go on from themselves: they are started again, from the last backup, and end with the same bits."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from distkeras import _settings
from distkeras.distribute import launcher, supervisor
from distkeras.distribute.environment import without_launcher
from distkeras.distribute.preemption import STOPPED
from distkeras.testing import run_ranks

pytestmark = pytest.mark.alone

TRAIN = """
import os, signal, sys, time
import numpy as np
import distkeras as tf
from distkeras.distribute.agreement import digest

strategy = tf.distribute.MirroredStrategy(deterministic=True)
communicator = strategy.communicator
me, event = communicator.rank, sys.argv[1]
first = os.environ.get("DISTKERAS_ATTEMPT", "0") == "0"

class Die(tf.keras.callbacks.Callback):
    steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if event == "rejoin" and first and self.steps == 11 and me == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_end(self, epoch, logs=None):
        if event == "rejoin" and first and self.steps > 11:
            time.sleep(3)  # the launcher looks once a second

x = np.random.RandomState(0).randn(64, 4).astype("float32")
tf.random.set_seed(1)
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Dense(8, "relu", input_shape=(4,)), tf.keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
backup = tf.keras.callbacks.BackupAndRestore("backups", save_freq=5)
history = model.fit(x, x.sum(1), batch_size=16, epochs=5, verbose=0, callbacks=[Die(), backup]).history
if communicator.rank == 0:
    print("ended with", digest(v._array for v in model.weights), history, flush=True)
    print("ranks:", communicator.size, flush=True)
"""


BARE = """
import os, signal, sys
from distkeras.distribute.mpi import world

communicator, event = world(), sys.argv[1]
communicator.barrier()
if os.environ["DISTKERAS_ATTEMPT"] == "0":
    if event == "all":
        os.kill(os.getpid(), signal.SIGKILL)
    if event == "mpirun" and communicator.rank == 0:
        os.kill(os.getppid(), signal.SIGKILL)
    if event == "raise" and communicator.rank == 1:
        raise ValueError("the cause")
communicator.barrier()
print("reached the end", flush=True)
"""


def supervised(folder, program, event):
    (folder / "train.py").write_text(program)
    variables = {**without_launcher(), "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "distkeras", "run", "--elastic", "--elastic-rejoin", "-n", "2", "train.py", event]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=170, check=False)


@pytest.mark.fault("all ranks are killed, elastic")
def test_all_ranks_are_lost(tmp_path):
    check_started_again(supervised(tmp_path, BARE, "all"))


@pytest.mark.fault("mpirun is killed, elastic")
def test_mpirun_is_lost(tmp_path):
    check_started_again(supervised(tmp_path, BARE, "mpirun"))


def check_started_again(result):
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("reached the end") == 2
    assert result.stderr.count("starting again with 2 ranks") == 1


@pytest.mark.fault("a rank is killed and joins again, elastic")
@pytest.mark.timeout(400)
def test_a_lost_rank_joins_again(tmp_path):
    program = TRAIN.replace('"backups"', repr(str(tmp_path / "other")))
    undisturbed = re.search("ended with .*", run_ranks(1, program, "none", timeout=120).check().stdout)[0]
    result = supervised(tmp_path, TRAIN, "rejoin")
    check_ended = re.search("ended with .*", result.stdout)
    assert result.returncode == 0 and check_ended, result.stdout + result.stderr
    assert check_ended[0] == undisturbed and "ranks: 2" in result.stdout
    assert "rank 0 on" in result.stderr and result.stderr.count("starting again with 2 ranks") == 1
    assert not (tmp_path / "backups").exists()


def test_a_failure_is_not_tried_again(tmp_path):
    result = supervised(tmp_path, BARE, "raise")
    assert result.returncode == 1 and result.stderr.count("ValueError: the cause") == 1
    assert "starting again" not in result.stderr


@pytest.mark.parametrize(
    ("begun", "expected", "times"), [(True, 0, 3), (False, 1, 1)], ids=["while ranks rejoin", "the first time"]
)
def test_ranks_lost_before_they_begin_are_started_again_if_they_ever_began(monkeypatch, begun, expected, times):
    whole, lost = {"started": "", "finished": "", "ranks": "2"}, {}
    jobs = [{"started": "", STOPPED: ""}, lost, whole] if begun else [lost, whole]
    ended = iter(launcher.Ended(0 if notes is whole else 1, notes, False) for notes in jobs)
    run = []

    def run_once(plan, folder, watch):
        watch.__self__.is_asked = True
        run.append(plan)
        return next(ended)

    monkeypatch.setattr(launcher, "run_once", run_once)
    monkeypatch.setenv(supervisor.ATTEMPT, "0")
    settings = _settings.resolve({"ranks": "2", "elastic_restarts": "1", "elastic_rejoin": "1"}, {})
    assert supervisor.run(["train.py"], settings) == expected
    assert len(run) == times


MPIRUN = """#!/bin/sh
[ "$1" = --version ] && exec echo "mpirun (Open MPI) 5.0"
echo "$*" >> "$0.asked"
case "$* $(grep -c host "$0.asked")" in
    *slow:1*" 1") exec sleep 60 ;;  # hangs the first time
    *tardy:1*) echo distkeras-is-here; exec sleep 60 ;;  # hangs in the end
    *gone:1*) exit 213 ;;
esac
exec echo distkeras-is-here
"""


@pytest.mark.parametrize(
    ("host", "expected", "times"),
    [("well", True, 1), ("slow", True, 2), ("tardy", True, 1), ("gone", False, 1)],
)
def test_a_host_is_asked_again_if_mpirun_hangs(tmp_path, monkeypatch, host, expected, times):
    mpirun = tmp_path / "mpirun"
    mpirun.write_text(MPIRUN)
    mpirun.chmod(0o755)
    monkeypatch.setattr(supervisor, "_SECONDS_TO_ANSWER", 1.0)
    settings = _settings.resolve({"hosts": f"{host}:2,other:4", "ranks": "6", "mpirun": str(mpirun)}, {})
    assert supervisor.answers(host, settings) == expected
    assert len((tmp_path / "mpirun.asked").read_text().splitlines()) == times
    left = supervisor.left_of(settings)
    assert (left.ranks, left.hosts) == ((6, f"{host}:2,other:4") if expected else (4, "other:4"))
