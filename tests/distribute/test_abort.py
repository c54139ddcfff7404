"""One rank fails or leaves: every rank ends at once, with an exit code, and it is said why.

The time limit is 2 s from the event to the end of all ranks.
"""

import os
import re
import sys
import time

import pytest

from distkeras import _settings
from distkeras.distribute import launcher
from distkeras.testing import run_ranks

PROGRAM = """
import atexit, os, signal, sys, threading, time
import numpy as np
from distkeras.distribute.mpi import world

communicator = world()
communicator.barrier()
me = communicator.rank == int(sys.argv[2])

def fail():
    raise ValueError("the cause")

what = sys.argv[1]
if me:
    print("event at", time.time(), flush=True)
    if what == "raise": fail()
    if what == "exit": sys.exit(int(sys.argv[3]))
    if what == "thread":
        leave = lambda: sys.exit(int(sys.argv[3]))
        threading.Thread(target=leave if sys.argv[3:] else fail, name="loader").start()
        time.sleep(0.5 if sys.argv[3:] == ["0"] else 60)
    if what == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if what == "hook":
        sys.excepthook = lambda *args: print("own hook", flush=True)
        fail()
if what == "late":
    if me: time.sleep(1.5)
elif what == "broadcast":
    if me: communicator.broadcast_(np.ones(3), root=int(sys.argv[2]))
elif what == "bucket":
    other = communicator.duplicate()
    if not me:
        thread = threading.Thread(target=other.allreduce_, args=(np.ones(3),))
        thread.start()
        thread.join()
else:
    communicator.allreduce_(np.ones(3, np.float32))
print("reached the end", flush=True)
"""

FIT = """
import sys, time
import numpy as np
import distkeras as tf

strategy = tf.distribute.MirroredStrategy()

class Broken(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if strategy.rank == 1 and sys.argv[1] == "exit":
            print("left at", time.time(), flush=True)
            sys.exit(0)
        if strategy.rank == 1:
            raise ValueError("the cause")

with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=2, verbose=0, callbacks=[Broken()])
print("went on", flush=True)
"""


def run(*arguments, timeout=30):
    result = run_ranks(3, PROGRAM, *arguments, timeout=timeout)
    ended = time.time()
    if event := re.search(r"event at (\S+)", result.stdout):
        assert ended - float(event[1]) < (3.5 if arguments[0] == "late" else 2)
    return result


def test_ranks_that_end_together_succeed():
    assert run("none", -1).check().stdout.count("reached the end") == 3


@pytest.mark.fault("a rank raises")
@pytest.mark.parametrize("rank", [0, 2])
def test_exception(rank):
    result = run("raise", rank)
    assert result.returncode != 0 and "reached the end" not in result.stdout
    lines = [line for line in result.stderr.splitlines() if line.startswith(f"[rank {rank} {os.uname().nodename}] ")]
    assert "Traceback (most recent call last):" in lines[0] and lines[-1].endswith("ValueError: the cause")
    # Nothing that MPI says of the abort comes before the cause.
    assert result.stderr.startswith(lines[0])


@pytest.mark.fault("sys.exit in a rank")
@pytest.mark.parametrize("rank, code", [(0, 0), (1, 0), (2, 5)])
def test_sys_exit_while_others_wait(rank, code):
    result = run("exit", rank, code)
    assert result.returncode != 0 and "reached the end" not in result.stdout
    assert f"waits in allreduce (collective 2), which will never complete: rank {rank} left" in result.stderr


@pytest.mark.fault("a thread raises")
def test_exception_in_a_thread():
    result = run("thread", 1)
    assert result.returncode != 0
    assert "exception in thread loader" in result.stderr and "ValueError: the cause" in result.stderr


@pytest.mark.fault("sys.exit in a thread")
def test_sys_exit_in_a_thread():
    result = run("thread", 1, 3)
    assert result.returncode != 0 and "reached the end" not in result.stdout
    assert "exception in thread loader" in result.stderr and "SystemExit: 3" in result.stderr
    assert run("thread", 1, 0).check().stdout.count("reached the end") == 3  # no failure: the thread is done


@pytest.mark.fault("a callback raises")
def test_a_failing_callback_ends_the_job():
    result = run_ranks(2, FIT, "raise", timeout=60)
    assert result.returncode != 0 and "went on" not in result.stdout
    causes = [line for line in result.stderr.splitlines() if line.endswith("ValueError: the cause")]
    assert len(causes) == 1, result.stderr
    assert causes[0].startswith("[rank 1 ") and "in on_epoch_end" in result.stderr


@pytest.mark.fault("sys.exit in a callback")
def test_sys_exit_in_a_callback_ends_the_job():
    result = run_ranks(2, FIT, "exit", timeout=60)
    ended = time.time()
    assert result.returncode != 0 and "went on" not in result.stdout
    assert "[rank 0 " in result.stderr and "will never complete: rank 1 left the program" in result.stderr
    told = float(re.search(r"left at (\S+)", result.stdout)[1])
    assert ended - told < 2


def test_a_replaced_excepthook_does_not_hang_the_others():
    result = run("hook", 1)
    assert result.returncode != 0 and "own hook" in result.stdout


@pytest.mark.fault("a rank is killed, not elastic")
def test_killed_rank():
    assert run("kill", 1).returncode != 0


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_may_end_later_than_the_others(rank):
    result = run("late", rank).check()
    assert result.stdout.count("reached the end") == 3 and result.stderr.strip() == ""


@pytest.mark.parametrize("root", [0, 2])
def test_a_broadcast_that_others_never_join_does_not_hang(root):
    # The root may or may not be able to leave by itself; either way the job ends, and not as a success of three.
    result = run("broadcast", root)
    assert result.returncode != 0 or result.stdout.count("reached the end") == 3


def test_a_wait_in_a_thread_on_another_communicator_is_seen():
    result = run("bucket", 0)
    assert result.returncode != 0
    assert "waits in allreduce (collective 1)" in result.stderr


@pytest.mark.parametrize("when", ["before", "never"])
def test_ranks_that_end_before_they_met(when):
    program = """
import os, sys
from distkeras.distribute import environment, mpi
mpi.meet_at_exit()
if sys.argv[1] == "never" or environment.detect().rank == 1: sys.exit(0)
mpi.world()
print("reached the end")
mpi.world().barrier()
"""
    result = run_ranks(2, program, when, timeout=30)
    assert (result.returncode == 0) == (when == "never")
    assert "left the program after 0 collectives" in result.stderr or when == "never"


def test_a_rank_that_raises_before_they_met_is_named(tmp_path, monkeypatch, capfd):
    script = tmp_path / "train.py"
    script.write_text(
        "from distkeras.distribute import environment, mpi\nenvironment.prepare()\n"
        "if environment.detect().rank == 1: raise ValueError('the cause')\nmpi.world()\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    # Open MPI's mpirun may hang then, if the other rank just connects to it: its launcher ends it.
    assert launcher.run(launcher.plan([str(script)], _settings.resolve({"ranks": 2}, {}))) == 1
    assert re.search(r"\[rank 1 .*\] ValueError: the cause", capfd.readouterr().err)


def test_a_forked_child_is_no_rank():
    program = """
import os, sys
from distkeras.distribute.mpi import world
communicator = world()
for code in ("raise ValueError('child')", "sys.exit(0)"):
    child = os.fork()
    if child == 0:
        exec(code)
    os.waitpid(child, 0)
communicator.barrier()
print("reached the end", flush=True)
"""
    result = run_ranks(2, program, timeout=30).check()
    assert result.stdout.count("reached the end") == 2 and "ValueError: child" in result.stderr


def test_sigterm_ends_a_rank_by_default():
    program = """
import os, signal
from distkeras.distribute.mpi import world
if world().rank: os.kill(os.getpid(), signal.SIGTERM)
world().barrier()
"""
    assert run_ranks(2, program, timeout=30).returncode != 0
