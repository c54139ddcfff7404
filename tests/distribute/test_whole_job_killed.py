"""A job of which every process is killed at random moments, checkpoints being written, ends as if nothing had happened.

DISTKERAS_FAULT_TRIALS=20 pytest tests/distribute/test_whole_job_killed.py      kills it twenty times; by default thrice
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distkeras.distribute.environment import without_launcher

PROJECT = Path(__file__).parents[2]
TRIALS = int(os.environ.get("DISTKERAS_FAULT_TRIALS", "3"))
INTERVAL = 2  # steps from one checkpoint to the next
SECONDS = 180

TRAIN = f"""
import numpy as np
import distkeras as tf
from distkeras.distribute.agreement import digest

class Noted(tf.keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if strategy.rank == 0:
            with open("steps.txt", "a") as file:
                file.write(f"{{int(self.model.optimizer.iterations)}}\\\\n")

tf.random.set_seed(1)
x = np.random.default_rng(0).random((96, 256), dtype="float32")
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    layers = tf.keras.layers
    first = layers.Dense(512, activation="relu", input_shape=(256,))
    model = tf.keras.Sequential([first, layers.Dropout(0.4), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
backup = tf.keras.callbacks.BackupAndRestore("backups", save_freq={INTERVAL})
history = model.fit(x, x[:, :1], batch_size=8, epochs={TRIALS + 4}, verbose=0, callbacks=[Noted(), backup]).history
if strategy.rank == 0:
    print("weights", digest(model.get_weights()), history["loss"], flush=True)
"""


class Job:
    """The training in a folder, by two ranks."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "train.py").write_text(TRAIN)
        variables = {**without_launcher(), "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "distkeras", "run", "-n", "2", "--threads", "1", "train.py"]
        with open(folder / "output.txt", "a") as file:
            self.process = subprocess.Popen(command, cwd=folder, env=variables, stdout=file, stderr=file)

    def output(self):
        return (self.folder / "output.txt").read_text()

    def weights(self):
        """What the training ended with."""
        assert self.process.wait(SECONDS) == 0, self.output()
        return re.search("weights .*", self.output())[0]

    def unfinished(self):
        """The checkpoints that are being written."""
        folder = self.folder / "backups"
        return [name for name in os.listdir(folder) if name.endswith(".tmp")] if folder.exists() else []

    def kill(self):
        """Kill all processes of the job."""
        found = [self.process.pid]
        for each in found:
            for task in Path(f"/proc/{each}/task").glob("*/children"):
                found += map(int, task.read_text().split())
        for each in reversed(found):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self.process.wait(SECONDS)
        return found

    def steps(self):
        """The steps that were taken, the line that was being written left out."""
        return [int(line) for line in (self.folder / "steps.txt").read_text().split("\n")[:-1]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return Job(tmp_path_factory.mktemp("undisturbed")).weights()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("disturbed") / "job"


@pytest.mark.fault("the whole job is killed while a checkpoint is written")
@pytest.mark.parametrize("trial", range(TRIALS))
@pytest.mark.timeout(2 * SECONDS)
def test_it_is_killed_and_goes_on(folder, trial):
    before = len(steps_of(folder))
    job = Job(folder)
    # At first it takes up the checkpoint, then writes some: how many, and how far the last, is left to chance.
    chance = random.Random(trial)
    for _ in range(chance.randint(1, 4)):
        wait_until(lambda: not job.unfinished(), job)
        wait_until(job.unfinished, job)
    time.sleep(chance.uniform(0, 0.01))
    assert len(job.kill()) >= 4  # distkeras run, mpirun and the ranks
    check_repeated(job.steps(), before)


@pytest.mark.fault("SIGTERM twice")
def test_sigterm_twice_ends_it_at_once(folder):
    before = len(steps_of(folder))
    job = Job(folder)
    wait_until(job.unfinished, job)
    job.process.send_signal(signal.SIGTERM)
    job.process.send_signal(signal.SIGTERM)
    assert job.process.wait(30) != 0
    check_repeated(job.steps(), before)


@pytest.mark.timeout(3 * SECONDS)
def test_it_ends_with_the_same_bits(folder, undisturbed):
    before = len(steps_of(folder))
    job = Job(folder)
    assert job.weights() == undisturbed
    check_repeated(job.steps(), before)
    assert job.output().count("going on after step") >= TRIALS - 1


def steps_of(folder):
    path = folder / "steps.txt"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def check_repeated(steps, before):
    """Of the steps before the last start at most one interval was taken again."""
    if 0 < before < len(steps):
        assert steps[before - 1] - INTERVAL < steps[before] <= steps[before - 1] + 1, steps


def wait_until(condition, job):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert job.process.poll() is None and time.monotonic() < deadline, job.output()
        time.sleep(0.0005)
