"""How worker processes end: with their pool, with their parent, in scripts of all kinds. Nothing is left over."""

import glob
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import distkeras as tf
from distkeras.data import shipping
from distkeras.data.pool import WorkerPool
from tests.data import worker_cases as cases
from tests.data.leftovers import descriptors, is_alive, nothing_is_left

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def leftovers():
    with nothing_is_left():
        yield


@pytest.mark.parametrize("in_c", [False, True])
def test_busy_workers_end_at_once_when_closed(in_c):
    pool = WorkerPool(cases.Endless(in_c), workers=2, depth=2)
    items = pool.map([0, 1])
    threading.Timer(0.5, signal.pthread_kill, [threading.get_ident(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        next(items)
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 3


def test_many_starts_leave_nothing():
    data = cases.Numbers(4)
    for _ in range(3):
        WorkerPool(data, workers=1, depth=2).close()
    before = len(descriptors()), memory_of_slots()
    for cycle in range(15):
        pool = WorkerPool(data, workers=1, depth=2)
        items = pool.map(range(4))
        if cycle % 5 == 0:  # others are ended while they start
            next(items)
        pool.close()
    assert (len(descriptors()), memory_of_slots()) == before
    assert not glob.glob("/dev/shm/*distkeras*")


def memory_of_slots():
    with open("/proc/self/maps") as file:
        return sum("distkeras-slot" in line for line in file)


def test_a_pool_that_is_forgotten_ends():
    pool = WorkerPool(cases.Numbers(), workers=1, depth=1)
    items = pool.map([0])
    next(items)
    del pool, items


SCRIPT = """
import os, signal, sys, time
from distkeras.data.pool import WorkerPool
from tests.data.worker_cases import Endless, Numbers
pool = WorkerPool(Endless({in_c}), workers=2, depth=4)
print(*[worker._process.pid for worker in pool._workers], flush=True)
next(pool.map(range(4)))
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("in_c", [False, True])
def test_workers_end_with_their_parent(ending, in_c):
    command = [sys.executable, "-c", SCRIPT.format(in_c=in_c)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        time.sleep(0.5)
        assert all(is_alive(pid) for pid in pids) and len(pids) == 2
        if ending == signal.SIGKILL:
            os.kill(pids[0], signal.SIGSTOP)  # which lets it see nothing
        parent.send_signal(ending)
        parent.wait(10)
    deadline = time.monotonic() + 5
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(is_alive(pid) for pid in pids)
    assert not glob.glob("/dev/shm/*distkeras*")


# --- scripts

UNGUARDED = """
import numpy as np
import distkeras as tf
print("running")
class Mine(tf.keras.utils.Sequence):
    def __len__(self): return 4
    def __getitem__(self, index): return np.full((2, 3), index, "float32"), Label(index)
class Label(np.ndarray):
    def __new__(cls, index): return np.full(2, index, "float32").view(cls)
{guard}
model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))])
model.compile("sgd", "mse")
history = model.fit(Mine(), epochs=2, workers=2, use_multiprocessing=True, verbose=0)
print("trained", len(history.epoch))
"""


@pytest.mark.parametrize("guard", ["", "if __name__ != '__main__': raise SystemExit"])
def test_scripts_with_and_without_a_guard(guard, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(UNGUARDED.format(guard=guard))
    if guard:
        path.write_text(guarded(path.read_text().replace(guard, "")))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["running", "trained", "2"] and not done.stderr


def test_what_imports_a_script_leaves_its_backups_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(shipping, "_importing_script", True)
    unfinished = tmp_path / f".backup-00000001.npz.{'0' * 32}.tmp"
    unfinished.touch()
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    backup = tf.keras.callbacks.BackupAndRestore(str(tmp_path))
    with pytest.raises(shipping.ScriptLeftError):
        model.fit(np.zeros((2, 3)), np.zeros(2), callbacks=[backup], verbose=0)
    assert unfinished.exists()


def guarded(text):
    definitions, actions = text.split("model =", 1)
    return definitions + "if __name__ == '__main__':\n" + textwrap.indent("model =" + actions, "    ")


def test_interactive_sessions_are_told_what_to_do():
    done = subprocess.run([sys.executable, "-"], input=UNGUARDED.format(guard=""), capture_output=True, text=True)
    assert "defined in an interactive session" in done.stderr and "use_multiprocessing=False" in done.stderr
