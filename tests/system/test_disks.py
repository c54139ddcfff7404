"""Disks that are full or missing: checkpoints and shared memory. Each job has a view of the disks of its own."""

import re
import shlex
import subprocess
import sys

import pytest

from distkeras.distribute.environment import without_launcher
from tests.distribute.test_whole_job_killed import INTERVAL, PROJECT, TRAIN


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "backups").mkdir()
    return tmp_path


def run(folder, *lines):
    """Shell commands after others that mount something, which nobody else sees."""
    variables = {**without_launcher(), "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    command = ["unshare", "--mount", "sh", "-c", "\n".join(lines)]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=250)
    return done.stdout + done.stderr


def distkeras_run(program):
    return f"{shlex.quote(sys.executable)} -m distkeras run -n 2 --threads 1 {program}"


@pytest.mark.fault("the disk is full while a checkpoint is written")
def test_a_full_disk_costs_no_earlier_checkpoint(folder):
    output = run(
        folder,
        "mount -t tmpfs -o size=4m disk backups",  # two checkpoints of 1.6 MB, and not a third
        distkeras_run("train.py"),
        "echo code $?; ls -A backups; mount -o remount,size=40m backups",
        distkeras_run("train.py"),
        "echo code $?",
    )
    assert "No space left on device" in output
    first, second = output.split("code ")[1:]
    assert first[0] != "0" and re.findall(r"backup-\d+.npz\S*", first) == ["backup-00000001.npz", "backup-00000002.npz"]
    assert second[0] == "0" and f"going on after step {2 * INTERVAL} of epoch 1" in output and "weights " in output


SEQUENCE = """
import numpy as np
import distkeras as tf

class Batches(tf.keras.utils.Sequence):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return np.full((8, 2_500_000), index, "float32"), np.ones((8, 1), "float32")

strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    first = tf.keras.layers.Lambda(lambda x: x[:, :4], input_shape=(2_500_000,))
    model = tf.keras.Sequential([first, tf.keras.layers.Dense(1)])
    model.compile("adam", "mse")
if __name__ == "__main__":
    history = model.fit(Batches(), epochs=1, verbose=0, workers=2, use_multiprocessing=True).history
    if strategy.rank == 0:
        print("trained", history["loss"], flush=True)
"""


@pytest.mark.fault("/dev/shm of 64 MB, or none")
@pytest.mark.parametrize(
    "mount", ["mount -t tmpfs -o size=64m shm /dev/shm", "mount -t tmpfs -o size=4k,ro none /dev/shm"]
)
def test_shared_memory_does_not_depend_on_the_mount(folder, mount):
    (folder / "sequence.py").write_text(SEQUENCE)  # batches of 80 MB
    output = run(folder, mount, distkeras_run("sequence.py"), "echo code $?")
    assert "trained" in output and "code 0" in output, output
