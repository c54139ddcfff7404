"""Disks that are full or missing, or hold what others have left. Each job has a view of the disks of its own."""

import re
import shlex
import subprocess
import sys

import pytest

from distkeras.distribute.environment import without_launcher
from distkeras.distribute.launcher import find_mpirun
from tests.distribute.test_whole_job_killed import INTERVAL, PROJECT, TRAIN


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "backups").mkdir()
    return tmp_path


def run(folder, *lines, spaces=("--mount",)):
    """Shell commands, some of which change what nobody else sees: mounts, or what `spaces` names for unshare."""
    variables = {**without_launcher(), "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    command = ["unshare", *spaces, "sh", "-c", "\n".join(lines)]
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


@pytest.mark.fault("mpirun was killed, and another gets its number")
def test_files_that_a_killed_mpirun_has_left_do_no_harm(folder):
    (folder / "mpirun.sh").write_text(f"exec {shlex.quote(str(find_mpirun()))} --allow-run-as-root -n 1 sleep 9")
    output = run(
        folder,
        "mkdir tmp; export TMPDIR=$PWD/tmp",
        "sh mpirun.sh & while ! ls tmp/ompi.$!/*.tool; do sleep 0.1; done; kill -9 $!; wait $!",
        # Whatever number the next ones get, one that had it was killed.
        "for number in $(seq 500); do [ -e tmp/ompi.$number ] || cp -r tmp/ompi.$! tmp/ompi.$number; done",
        "echo 10 > /proc/sys/kernel/ns_last_pid; sh mpirun.sh; echo without the launcher: $?",
        distkeras_run("train.py"),
        "echo code $?; ls -d tmp/ompi.* | wc -l",
        spaces=("--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    )
    assert "listener thread failed to start" in output and "without the launcher: 213" in output
    assert "weights " in output and "code 0\n498\n" in output, output
