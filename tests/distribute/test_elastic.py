"""Ranks are lost in the middle of collectives and of steps; those that are left agree on what was done and go on."""

import os
import re

import pytest

from distkeras.testing import run_ranks

PROGRAM = """
import os, signal, sys, threading, time
import numpy as np
from distkeras.distribute.agreement import same_on_all_ranks
from distkeras.distribute.buckets import GradientBuckets
from distkeras.distribute.mpi import world

where, victims, ways = sys.argv[1], [int(word) for word in sys.argv[2].split(",")], sys.argv[3].split(",")
communicator = world()
me, started = communicator.rank, communicator.size
gradients = np.zeros(3000, np.float32)
buckets = GradientBuckets(communicator, gradients, [0, 1000, 2000, 3000], cap_bytes=4000)
total, done, redone = 0.0, [], 0

def end():
    way = ways[victims.index(me)]
    if way == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGSTOP if way == "stop" else signal.SIGKILL)

def die(place, step):
    if place == where and me in victims and step == 5 + 3 * victims.index(me):
        print("process", os.getpid(), flush=True)
        end()

def attempt(step):
    # Rows 0 to 11 are shared out; what is summed must not depend on among how many.
    rows = np.arange(12)[communicator.rank * 12 // communicator.size:(communicator.rank + 1) * 12 // communicator.size]
    die("compute", step)
    gradients[:] = rows.sum() + step
    gradients[:] -= step if communicator.rank else 0
    buckets.start(0)
    die("bucket", step)
    buckets.start(2)
    buckets.start(1)
    buckets.wait()
    die("updated", step)
    global total
    total += float(gradients.mean())
    metrics = np.array([float(len(rows)), 1.0])
    communicator.allreduce_(metrics, "metrics and other sums")
    assert metrics.tolist() == [12.0, communicator.size], metrics
    return float(gradients[0]), float(metrics[0])

for step in range(12):
    before = total
    def undo():
        global total, redone
        total, redone = before, redone + 1
    done.append(communicator.whole(lambda step=step: attempt(step), undo))
    die("between", step)
    assert communicator.broadcast_object(step) == step
    assert all(communicator.allgather_object(step, "steps")) or step == 0

if where == "end" and me in victims:
    end()
assert [gradient for gradient, _ in done] == [66.0 + step for step in range(12)], done
assert total == sum(66.0 + step for step in range(12)), total
assert redone <= len(victims), redone
assert same_on_all_ranks(communicator, done)
print("reached", communicator.rank, communicator.size, flush=True)
"""


# Killed processes are told of at once; others are known by their silence, for which there is a shorter time then.
ELASTIC = {"DISTKERAS_ELASTIC": "1", "DISTKERAS_ELASTIC_SILENCE": "30"}


@pytest.mark.alone
@pytest.mark.parametrize(
    ("where", "victims", "ways"),
    [
        ("compute", "2", "kill"),
        ("bucket", "1", "kill"),
        ("updated", "0", "kill"),
        ("between", "0", "kill"),
        ("end", "2", "kill"),
        ("bucket", "0,3", "kill,kill"),
        pytest.param("bucket", "0,2", "stop,exit", marks=pytest.mark.fault("a rank is stopped; os._exit; elastic")),
    ],
)
def test_survivors_go_on(where, victims, ways):
    silence = {} if "exit" not in ways else {"DISTKERAS_ELASTIC_SILENCE": "3"}
    result = run_ranks(4, PROGRAM, where, victims, ways, variables=ELASTIC | silence)
    left = 4 - len(victims.split(","))
    reached = sorted(line for line in result.stdout.splitlines() if line.startswith("reached"))
    assert len(reached) == left, result.stdout + result.stderr
    assert reached == [f"reached {rank} {4 if where == 'end' else left}" for rank in range(4)][:left] or where == "end"
    for process in re.findall(r"process (\d+)", result.stdout):
        assert not os.path.exists(f"/proc/{process}")  # one that was only stopped might come back, and write
    if where != "end":
        for victim in victims.split(","):
            assert f"distkeras: rank {victim} on " in result.stderr and "was lost at step" in result.stderr


GATHERING = """
import os, random, signal, threading, time
import numpy as np
from distkeras.distribute.mpi import world

communicator = world()
me, started = communicator.rank, communicator.size
victims = random.Random(1).sample(range(started), started - 2)

def die():
    time.sleep(0.2 * (1 + victims.index(me)))
    os.kill(os.getpid(), signal.SIGKILL)

if me in victims:
    threading.Thread(target=die).start()
sizes = [started]
while set(sizes) != {2}:
    told = communicator.allgather_object((me, communicator.size))
    rows = communicator.allgather(np.full(32, me))
    for ranks in [rank for rank, _ in told], [row[0] for row in rows]:
        assert me in ranks and len(ranks) >= 2 and ranks == sorted(set(ranks)) and set(ranks) <= set(range(started))
    assert all((row == row[0]).all() for row in rows), rows
    sizes = [size for _, size in told]
print("reached", flush=True)
"""


@pytest.mark.alone
def test_nothing_is_read_that_a_dead_rank_has_not_sent():
    # Open MPI's allgatherv may end without an error, and without the data.
    assert run_ranks(6, GATHERING, variables=ELASTIC).check().stdout.count("reached") == 2


FAILING = """
import sys, time
import numpy as np
from distkeras.distribute.mpi import world

communicator = world()
if communicator.rank == 1:
    if sys.argv[1] == "raise":
        raise ValueError("the cause")
    sys.exit(3)
if sys.argv[2] == "compute":
    time.sleep(60)
communicator.allreduce_(np.ones(3))
communicator.broadcast_object(3)
"""


@pytest.mark.alone
@pytest.mark.parametrize(("what", "others"), [("raise", "collective"), ("raise", "compute"), ("exit", "collective")])
def test_a_failure_still_ends_all(what, others):
    result = run_ranks(3, FAILING, what, others, variables=ELASTIC, timeout=50)
    assert result.returncode != 0
    assert ("ValueError: the cause" if what == "raise" else "left the program after") in result.stderr
    assert "was lost" not in result.stderr
