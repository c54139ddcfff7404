"""Ranks on several hosts: the same results, kernels compiled once on each, and what happens when a host or a link goes.

Hosts are made of namespaces; see hosts.py.
"""

import json
import os
import re
import signal
import time
from collections import Counter

import pytest

from tests.system.hosts import LOCAL, Hosts

TRAIN = """
import json, os, sys, time
import numpy as np
import distkeras as tf
from distkeras.distribute.agreement import digest

class Told(tf.keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2 and strategy.rank == 0:
            print("under way", flush=True)
        if batch == 1:
            print(f"process of rank {strategy.rank}: {os.getpid()}", flush=True)
        time.sleep(float(os.environ.get("PAUSE", 0)))

tf.random.set_seed(1)
x = np.random.default_rng(0).random((64, 6), dtype="float32")
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    layers = tf.keras.layers
    first = layers.Dense(8, activation="relu", input_shape=(6,))
    model = tf.keras.Sequential([first, layers.Dropout(0.4), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
backup = [tf.keras.callbacks.BackupAndRestore(sys.argv[1], save_freq=1)] if len(sys.argv) > 1 else []
history = model.fit(x, x[:, :1], batch_size=12, epochs=3, verbose=0, callbacks=[Told(), *backup]).history
if strategy.rank == 0:
    found = {"hosts": strategy.communicator.num_nodes, "digest": digest(model.get_weights()), "history": history}
    print("found", json.dumps(found), flush=True)
"""

KERNELS = """
import numpy as np
from distkeras.distribute.mpi import world
from distkeras.kernels import update
world().barrier()
for kernel in (update.sgd, update.adam, update.rmsprop):
    kernel[np.dtype("float32")]
"""

SEQUENCE = """
import os
import numpy as np
import distkeras as tf

class Batches(tf.keras.utils.Sequence):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        with open("read.txt", "a") as file:
            file.write(f"{os.uname().nodename}:{index}\\n")
        return np.ones((8, 2), "float32"), np.ones((8, 1), "float32")

strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
model.fit(Batches(), epochs=1, verbose=0, shuffle=False)
"""


def found(output):
    return json.loads(re.search("^found (.*)", output, flags=re.MULTILINE)[1])


@pytest.fixture(scope="module")
def hosts():
    with Hosts(3) as hosts:
        yield hosts


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "hosts").write_text("host1 slots=2\nhost2 slots=2\n")
    return tmp_path


@pytest.fixture(scope="module")
def alone(hosts, tmp_path_factory):
    """What one process trains."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "train.py").write_text(TRAIN)
    return found(hosts.start(folder, "run", "train.py").check())


def test_ranks_on_hosts_train_what_one_process_trains(hosts, folder, alone):
    together = found(hosts.start(folder, "run", "-n", "4", "--hostfile", "hosts", "train.py").check())
    assert (alone["hosts"], together["hosts"]) == (1, 2)
    check_history(together, alone)


def test_hosts_of_the_command_line_and_the_same_bits_on_any_of_them(hosts, folder):
    deterministic = ("run", "--deterministic")
    alone = found(hosts.start(folder, *deterministic, "train.py").check())
    three = found(hosts.start(folder, *deterministic, "-n", "3", "-H", "host1:1,host2:1,host3:1", "train.py").check())
    assert (alone["hosts"], three["hosts"]) == (1, 3) and three["digest"] == alone["digest"]


@pytest.mark.fault("an unknown host")
def test_an_unknown_host_is_named(hosts, folder):
    job = hosts.start(folder, "run", "-n", "2", "-H", "host1:1,host9:1", "train.py")
    assert job.ends() != 0 and "no address is known for host9, of the hosts host1, host9" in job.output()


def test_each_host_compiles_each_kernel_once(hosts, folder):
    (folder / "kernels.py").write_text(KERNELS)
    command = ("run", "-n", "4", "--hostfile", "hosts", "--cache-dir", f"{LOCAL}/cache", "kernels.py")
    told = hosts.start(folder, *command, variables={"NUMBA_DEBUG_CACHE": "1"}).check()  # of each file that is written
    saved = Counter(re.findall(r"data saved to '[^']*/update\.(\w+)-", told))
    assert saved == {"sgd": 2, "adam": 2, "rmsprop": 2}  # by one process on each of two hosts


def test_batches_are_read_once_on_each_host(hosts, folder):
    (folder / "sequence.py").write_text(SEQUENCE)
    hosts.start(folder, "run", "-n", "4", "--hostfile", "hosts", "sequence.py").check()
    read = (folder / "read.txt").read_text().split()
    assert sorted(read) == sorted(f"{name}:{index}" for name in ("host1", "host2") for index in range(3))


def test_a_slow_link_is_measured(hosts, folder):
    hosts.shape("100mbit")
    try:
        command = ("bench", "comm", "-n", "2", "-H", "host1:1,host2:1", "--largest-mb", "4", "--seconds", "0.05")
        told = hosts.start(folder, *command).check()
    finally:
        hosts.unshape()
    # Of the largest sum, for the line through all of them is noisy on a busy machine. 100 Mb/s are 12.5 MB/s.
    largest = re.findall(r"^ *1048576 +[\d.]+ +([\d.]+)$", told, flags=re.MULTILINE)
    assert 0.1 < float(largest[0]) < 14


# A collective that takes longer is reported, and after twice the time ends the job.
WATCHED = ("--watchdog", "4", "--watchdog-abort", "8")


@pytest.mark.fault("a link between hosts is cut")
def test_a_cut_link_ends_the_job_and_it_goes_on_from_the_backup(hosts, folder, alone):
    command = ("run", *WATCHED, "-n", "2", "-H", "host1:1,host2:1", "train.py", "backups")
    job = hosts.start(folder, *command, variables={"PAUSE": "0.3"}).wait_for("under way")
    hosts.cut("host2")
    try:
        assert job.ends() != 0 and "rank 1 has not come" in job.output()
    finally:
        hosts.mend("host2")
    check_goes_on(hosts.start(folder, "run", "-n", "2", "-H", "host1:2", "train.py", "backups"), alone)


@pytest.mark.fault("a rank on another host is stopped, then a link is cut; elastic")
def test_others_go_on_without_a_stopped_rank_and_without_a_host_that_is_cut_off(hosts, folder):
    alone = found(hosts.start(folder, "run", "--deterministic", "train.py").check())
    command = ("run", "--deterministic", "--elastic", "--elastic-silence", "3")
    ranks = ("-n", "6", "-H", "host1:3,host2:1,host3:2", "train.py")
    job = hosts.start(folder, *command, *ranks, variables={"PAUSE": "0.2"}).wait_for("under way")
    process = int(re.search(r"process of rank 3: (\d+)", job.output())[1])
    os.kill(process, signal.SIGSTOP)
    try:
        job.wait_for("rank 3 on host2 was lost")
        hosts.cut("host3")
        cut = time.monotonic()
        job.wait_for("were lost")
        assert time.monotonic() - cut < 7  # found together; one after the other they would take three times 3 s
        output = job.check()
    finally:
        hosts.mend("host3")
        os.kill(process, signal.SIGKILL)  # no rank of its host is left that could do it
    assert re.search("ranks 4 on host3, 5 on host3 were lost at step .*; 3 ranks go on", output)
    assert found(output)["digest"] == alone["digest"]


# The last one, for the host is not there any more.
@pytest.mark.fault("a host is lost")
def test_a_lost_host_ends_the_job_and_it_goes_on_from_the_backup(hosts, folder, alone):
    command = ("run", *WATCHED, "-n", "2", "-H", "host1:1,host3:1", "train.py", "backups")
    job = hosts.start(folder, *command, variables={"PAUSE": "0.3"}).wait_for("under way")
    hosts.kill("host3")
    assert job.ends() != 0
    check_goes_on(hosts.start(folder, "run", "-n", "2", "-H", "host1:1,host2:1", "train.py", "backups"), alone)


def check_goes_on(job, alone):
    output = job.check()
    assert "going on after step" in output
    check_history(found(output), alone)


def check_history(received, expected):
    for name, values in expected["history"].items():
        assert received["history"][name] == pytest.approx(values, rel=1e-5)
