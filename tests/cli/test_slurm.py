"""Batch scripts: what is in them; a job that is interrupted is queued again and ends as if it had not been."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distkeras.cli import main
from distkeras.cli.batch_script import STANDARD, standard_text
from distkeras.distribute.environment import without_launcher

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with a file of settings, and a folder of programs that comes first in PATH."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text("learning_rate: [0.1, 0.01]\nname: [a, 'b c']\nepochs: 2\n")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    return tmp_path


def put(folder, name, script):
    """A program for PATH."""
    (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin" / name).chmod(0o755)


def checked(text):
    """The script's #SBATCH options, after bash has parsed it."""
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    head, _, body = text.partition("set -euo pipefail\n")
    assert text.startswith("#!/usr/bin/env bash\n") and "#SBATCH" not in body  # sbatch reads no further
    return dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", head, flags=re.MULTILINE))


@pytest.mark.parametrize("name", STANDARD)
def test_the_files_in_slurm_are_what_the_command_makes(name):
    path = PROJECT / "slurm" / f"{name}.sbatch"
    assert path.read_text() == standard_text(name) and max(map(len, standard_text(name).splitlines())) <= 120
    checked(path.read_text())
    assert sorted(one.stem for one in path.parent.glob("*.sbatch")) == sorted(STANDARD)
    shown = subprocess.run(["bash", path], capture_output=True, text=True)
    assert shown.returncode == 2 and shown.stderr.startswith("usage: sbatch ")


def script(capsys, *arguments):
    assert main(["slurm", *arguments]) == 0
    return capsys.readouterr().out


def test_the_size_of_the_job_and_the_program(capsys):
    text = script(capsys, "--nodes", "4", "--ntasks-per-node", "8", "--time", "2:00:00", "train.py", "--nodes", "a b")
    options = checked(text)
    assert options == {
        "job-name": "distkeras",
        "nodes": "4",
        "ntasks-per-node": "8",
        "cpus-per-task": "1",
        "output": "%x-%j.out",
        "time": "2:00:00",
    }
    assert text.splitlines()[-2:] == ["set -- train.py --nodes 'a b'", 'exec distkeras run -n "$SLURM_NTASKS" "$@"']


def test_requeue_partition_and_more(capsys):
    arguments = ("--requeue", "--time", "30", "--signal-before", "60", "--partition", "p", "--sbatch=--mem=4G")
    options = checked(script(capsys, *arguments, "--sbatch", "exclusive", "train.py"))
    assert options["signal"] == "B:USR1@60" and options["requeue"] == options["exclusive"] == ""
    assert (options["partition"], options["mem"], options["open-mode"]) == ("p", "4G", "append")


@pytest.mark.parametrize(
    ("flags", "command"),
    [
        (["--srun"], 'exec srun --mpi=pmix python "$@"'),
        (["--apptainer", "my image.sif"], 'exec srun --mpi=pmix apptainer exec "$image" python "$@"'),
    ],
)
def test_ranks_that_slurm_starts(capsys, folder, flags, command):
    text = script(capsys, *flags, "train.py", "x y")
    checked(text)
    assert text.splitlines()[-1] == command
    put(folder, "srun", 'for word in "$@"; do echo "<$word>"; done')
    ran = subprocess.run(["bash"], input=text, text=True, capture_output=True, check=True).stdout.split("\n")
    assert ran[-4:-1] == ["<python>", "<train.py>", "<x y>"]
    assert ("<my image.sif>" in ran) == ("--apptainer" in flags)


def test_a_task_for_each_combination(capsys, folder):
    assert main(["sweep", "sweep.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "--learning-rate 0.1 --name a --epochs 2" and len(lines) == 4
    text = script(capsys, "--array", "sweep.yaml", "train.py", "it's", "x y")
    assert checked(text)["array"] == "0-3" and checked(text)["output"] == "%x-%A_%a.out"
    run = f'exec "{sys.executable}" -m distkeras "$@"'
    put(folder, "distkeras", f'[ "$1" = run ] || {run}\nfor word in "$@"; do echo "<$word>"; done')
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "SLURM_NTASKS": "2", "SLURM_ARRAY_TASK_ID": "3"}
    ran = subprocess.run(["bash"], input=text, text=True, capture_output=True, check=True, env=environment)
    words = ["run", "-n", "2", "train.py", "it's", "x y", "--learning-rate", "0.01", "--name", "b c", "--epochs", "2"]
    assert ran.stdout.splitlines() == [f"<{word}>" for word in words]


def test_submitting(capfd, folder):
    put(folder, "sbatch", 'cat > submitted; echo "Submitted batch job 7"; exit 3')
    assert main(["slurm", "--submit", "train.py"]) == 3
    assert capfd.readouterr().out == "Submitted batch job 7\n"
    checked((folder / "submitted").read_text())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["slurm", "--nodes", "0", "train.py"], "--nodes must be at least 1, received 0"),
        (["slurm", "--time", "soon", "train.py"], "--time must be minutes, H:M:S or D-H:M:S, received 'soon'"),
        (["slurm", "--requeue", "train.py"], "--requeue needs --time"),
        (["slurm", "--sbatch", "comment=a b", "train.py"], "hold no spaces here"),
        (["slurm", "--array", "none.yaml", "train.py"], "none.yaml"),
        (["sweep", "sweep.yaml", "--index", "4"], "has 4 combinations, 0 to 3; received --index 4"),
        (["sweep", "list.yaml"], "must hold `name: [value, ...]` lines, received list"),
        (["sweep", "nested.yaml"], "nested.yaml: a: expected a list of numbers or texts, received [[1]]"),
        (["sweep", "broken.yaml"], "broken.yaml is not a YAML file"),
    ],
)
def test_errors(capsys, folder, arguments, message):
    for name, text in (("list", "[1]"), ("nested", "a: [[1]]"), ("broken", "a: [")):
        (folder / f"{name}.yaml").write_text(text)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_without_sbatch_and_without_a_program(capsys, folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder / "bin"))
    assert main(["slurm", "--submit", "train.py"]) == 2 and "no sbatch in PATH" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["slurm", "--nodes", "2"])
    assert "no program to run" in capsys.readouterr().err


# --- a job, from its interruption to its end

TRAIN = """
import sys, time
import numpy as np
import distkeras as tf
from distkeras.distribute.agreement import digest

class Slow(tf.keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2 and strategy.rank == 0:
            print("under way", flush=True)
        time.sleep(float(sys.argv[2]))

tf.random.set_seed(1)
x = np.random.default_rng(0).random((64, 3), dtype="float32")
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Dropout(0.4, input_shape=(3,)), tf.keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
backup = tf.keras.callbacks.BackupAndRestore(sys.argv[1], save_freq=False)
history = model.fit(x, x[:, :1], batch_size=8, epochs=3, verbose=0, callbacks=[Slow(), backup]).history
if strategy.rank == 0:
    print("weights", digest(model.get_weights()), history, flush=True)
"""


class FakeSlurm:
    """Runs a batch script as a node would, and again when `scontrol requeue` was called."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "train.py").write_text(TRAIN)
        put(folder, "distkeras", f'exec "{sys.executable}" -m distkeras "$@"')
        put(folder, "scontrol", 'echo "$@" >> scontrol.log')
        self.environment = {**without_launcher(), "PYTHONPATH": str(PROJECT), "DISTKERAS_LOG_LEVEL": "warning"}
        self.environment |= {"SLURM_NTASKS": "2", "SLURM_JOB_ID": "17", "SLURM_CPUS_PER_TASK": "1"}

    def start(self, *arguments, name="requeue"):
        self.log = open(self.folder / "out.log", "w+")
        command = ["bash", PROJECT / "slurm" / f"{name}.sbatch", "train.py", *arguments]
        return subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=subprocess.STDOUT)

    def output(self):
        return (self.folder / "out.log").read_text()

    def wait(self, process, timeout=60):
        code = process.wait(timeout)
        self.log.close()
        return code

    def requeued(self):
        path = self.folder / "scontrol.log"
        return path.read_text().splitlines() if path.exists() else []


def interrupted(slurm, name, number):
    """Run the job until it is under way, then send its script a signal, and wait for the end."""
    process = slurm.start("backups", "0.1", name=name)
    deadline = time.monotonic() + 60
    while "under way" not in slurm.output() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)  # to the script alone, as B:USR1 says
    assert slurm.wait(process) == 85, slurm.output()
    assert slurm.requeued() == ["requeue 17"] and "weights" not in slurm.output()
    assert re.search(r"stopped after step \d+: SIGUSR1.*exit code 85", slurm.output())
    assert [path.name for path in (slurm.folder / "backups").iterdir()] == ["backup-00000001.npz"]


def test_a_job_that_is_interrupted_goes_on_when_it_is_queued_again(folder):
    slurm = FakeSlurm(folder)
    interrupted(slurm, "requeue", signal.SIGUSR1)
    assert slurm.wait(slurm.start("backups", "0")) == 0 and "going on after step" in slurm.output()
    ended_with = re.search("weights .*", slurm.output())[0]
    assert slurm.requeued() == ["requeue 17"] and not (folder / "backups").exists()
    assert slurm.wait(slurm.start("undisturbed", "0")) == 0
    assert re.search("weights .*", slurm.output())[0] == ended_with


def test_a_job_that_has_to_give_way_is_queued_again(folder):
    interrupted(FakeSlurm(folder), "preemptible", signal.SIGTERM)


def test_a_job_that_is_asked_before_it_listens_is_queued_again(folder):
    slurm = FakeSlurm(folder)
    (folder / "train.py").write_text("import time\nprint('under way', flush=True)\ntime.sleep(60)")
    process = slurm.start()
    deadline = time.monotonic() + 60
    while slurm.output().count("under way") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGUSR1)
    assert slurm.wait(process) == 138 and slurm.requeued() == ["requeue 17"], slurm.output()


def test_a_job_that_fails_is_not_queued_again(folder):
    slurm = FakeSlurm(folder)
    (folder / "train.py").write_text("raise SystemExit(3)")
    assert slurm.wait(slurm.start()) == 3 and slurm.requeued() == []
