"""A rank that does not come to a collective is named, with the collective, the step and the stacks; the job ends."""

import os
import re
import time

import numpy as np
import pytest

from distkeras.distribute import board, waiting
from distkeras.distribute.board import MOST_COMMUNICATORS, Board
from distkeras.distribute.journal import Journal
from distkeras.distribute.watchdog import EXIT_CODE, Watchdog
from distkeras.testing import run_ranks

PROGRAM = """
import os, signal, sys, time
import numpy as np
from distkeras.distribute.mpi import world

communicator = world()
me = communicator.rank == 1
for step in range(3):
    communicator.step = step
    communicator.allreduce_(np.ones(7, np.float32), "gradients")
communicator.step = 3

def go_astray():
    time.sleep(60)

what = sys.argv[1]
if me and what == "sleep": go_astray()
if me and what == "stop": os.kill(os.getpid(), signal.SIGSTOP)
if me and what == "late": time.sleep(1.2)
if me and what == "skip":
    communicator.barrier()
else:
    communicator.allreduce_(np.ones(9), "moments")
    communicator.barrier()
print("reached the end", flush=True)
"""


def run(what, seconds=0.5, abort=2.5):
    variables = {"DISTKERAS_WATCHDOG_SECONDS": str(seconds), "DISTKERAS_WATCHDOG_ABORT": str(abort)}
    return run_ranks(3, PROGRAM, what, timeout=30, variables=variables)


@pytest.mark.fault("a rank stalls")
def test_a_rank_that_sleeps():
    result = run("sleep")
    assert result.returncode == EXIT_CODE and "reached the end" not in result.stdout
    # On a busy machine earlier waits may be told of, too.
    _, report = re.split(r"watchdog: rank . has waited . s in (?=allreduce of moments)", result.stderr)
    assert report.startswith("allreduce of moments in float64 of 9 elements (collective 4) at step 3\n")
    assert "rank 1 has not come: process" in report and "is at step 3" in report
    assert "its last collective was allreduce of gradients in float32 of 7 elements (collective 3) at step 2" in report
    assert "ranks 0, 2:" in report and "go_astray" in report.split("rank 1:")[1].split("ranks 0, 2:")[0]
    assert "the job is ended" in report and "--watchdog-abort" in report


@pytest.mark.fault("the rank that reads data stalls")
def test_a_generator_that_sleeps():
    program = """
import time
import numpy as np
import distkeras as tf

def batches():
    yield np.ones((4, 2)), np.ones((4, 1))
    time.sleep(60)

with tf.distribute.MirroredStrategy().scope():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse", run_eagerly=True)
model.fit(batches(), steps_per_epoch=2, verbose=0)
"""
    variables = {"DISTKERAS_WATCHDOG_SECONDS": "0.5", "DISTKERAS_WATCHDOG_ABORT": "1.5"}
    result = run_ranks(2, program, timeout=40, variables=variables)
    assert result.returncode == EXIT_CODE
    assert "rank 0 reads it for this node: process" in result.stderr and "in batches" in result.stderr


@pytest.mark.fault("a rank is stopped")
def test_a_rank_that_is_stopped():
    result = run("stop")
    assert result.returncode == EXIT_CODE
    assert "rank 1 has not come" in result.stderr
    assert "it is stopped (SIGSTOP)" in result.stderr and "no answer" in result.stderr


@pytest.mark.fault("a rank leaves out a collective")
def test_a_rank_that_skips_a_collective():
    result = run("skip")
    assert result.returncode != 0
    assert "the ranks do not make the same call: it is" in result.stderr
    assert "barrier on rank 1" in result.stderr and "allreduce of moments in float64 on ranks 0, 2" in result.stderr


def test_a_late_rank_is_reported_and_the_job_goes_on():
    result = run("late", abort=0).check()
    assert result.stdout.count("reached the end") == 3
    assert len(re.findall("watchdog: rank .* s in allreduce of moments", result.stderr)) == 1


@pytest.mark.fault("the clock jumps")
def test_a_clock_that_jumps_makes_nobody_late():
    program = """
import time
real, jump = time.time, [0.0]
time.time = lambda: real() + jump[0]
from distkeras.distribute.mpi import world
from distkeras.distribute.preemption import preemption
communicator = world()
with preemption().listening() as request:
    for jump[0] in (0.0, 1e6, -1e6, 5e3):
        for _ in range(4):
            communicator.barrier()
            time.sleep(0.1)
        assert not request.is_asked
print("reached the end", flush=True)
"""
    variables = {"DISTKERAS_WATCHDOG_SECONDS": "2", "DISTKERAS_WATCHDOG_ABORT": "4", "DISTKERAS_TIME_LIMIT": "1:00:00"}
    result = run_ranks(2, program, timeout=30, variables=variables).check()
    assert result.stdout.count("reached the end") == 2 and "watchdog" not in result.stderr


def test_it_can_be_switched_off():
    result = run("late", seconds=0, abort=0.1).check()
    assert result.stdout.count("reached the end") == 3 and "watchdog" not in result.stderr


def test_ranks_of_a_bare_mpirun_make_a_folder_and_remove_it(tmp_path):
    variables = {"TMPDIR": str(tmp_path), "DISTKERAS_RUN_DIR": ""}
    program = """
import os
os.environ.pop("DISTKERAS_RUN_DIR")
from distkeras.distribute.mpi import world
world().barrier()
print(len([name for name in os.listdir(os.environ["TMPDIR"]) if name.startswith("distkeras-run-")]))
"""
    result = run_ranks(2, program, timeout=30, variables=variables).check()
    assert result.stdout.split() == ["1", "1"]
    assert not list(tmp_path.glob("distkeras-run-*"))


# --- one process


def watchdog(tmp_path, rank=0, size=2, seconds=0.1, limit=0.0, **options):
    journal = Journal(Board(tmp_path / f"position-{rank}"))
    told, ended = [], []
    dog = Watchdog(
        journal, tmp_path, (rank, size), (seconds, limit), tell=told.append, end=lambda *args: ended.append(args)
    )
    return journal, dog, told, ended


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_all_is_told_once_and_the_end_comes_after_the_limit(tmp_path):
    journal, dog, told, ended = watchdog(tmp_path, limit=0.4)
    key = journal.new_communicator()
    dog.start()
    journal.enter(key, "barrier")
    wait_until(lambda: ended)
    dog.stop()
    journal.leave()
    (report,) = told
    assert "rank 1 has not come: nothing is known of it in" in report and "collective 1" in report
    assert "test_all_is_told_once" in report
    assert ended[0][1] == EXIT_CODE


def test_ranks_that_have_come_are_not_named(tmp_path):
    journal, dog, told, _ = watchdog(tmp_path)
    other = Journal(Board(tmp_path / "position-1"))
    key, _ = journal.new_communicator(), other.new_communicator()
    other.enter(key, "barrier")
    journal.enter(key, "allreduce", np.dtype("float32"), 3)
    (call,) = journal.waiting()
    report = dog.report(call)
    assert "has not come" not in report
    assert "it is allreduce in float32 on rank 0 and barrier on rank 1" in report


def test_a_rank_that_keeps_others_waiting_for_data_is_named(tmp_path):
    _, dog, told, ended = watchdog(tmp_path, limit=0.4)
    Board(tmp_path / "position-1").step = 7
    dog.start()
    with waiting.for_data(1):
        wait_until(lambda: ended)
    dog.stop()
    (report,) = told
    assert "s for data" in report and f"rank 1 reads it for this node: process {os.getpid()}" in report
    assert "is at step 7" in report and "test_a_rank_that_keeps_others" in report
    assert "s for data from rank 1." in ended[0][0] and ended[0][1] == EXIT_CODE


def test_many_missing_ranks_are_summed_up(tmp_path):
    journal, dog, _, _ = watchdog(tmp_path, size=20)
    journal.enter(journal.new_communicator(), "barrier")
    report = dog.report(journal.waiting()[0])
    assert "and 11 more ranks have not come: [9, 10," in report


def test_nothing_is_told_of_a_call_that_ends_in_time(tmp_path):
    journal, dog, told, ended = watchdog(tmp_path, seconds=0.3, limit=0.5)
    key = journal.new_communicator()
    dog.start()
    for _ in range(8):
        journal.enter(key, "barrier")
        time.sleep(0.1)
        journal.leave()
    dog.stop()
    assert not told and not ended


def test_a_folder_that_cannot_be_written_still_gives_a_report(tmp_path):
    journal, dog, told, _ = watchdog(tmp_path)
    dog._folder = tmp_path / "gone"
    journal.enter(journal.new_communicator(), "barrier")
    dog.start()
    wait_until(lambda: told)
    dog.stop()
    assert "nothing is known of it" in told[0]


def test_a_position_is_read_as_it_was_written(tmp_path):
    mine = Board(tmp_path / "position-0")
    mine.step = 12
    mine.enter(3, 5, mine.site("allreduce of gradients"), 100)
    place = board.read(tmp_path / "position-0")
    assert place == mine.position() and place.step == 12
    assert str(place.entries[3]) == "allreduce of gradients of 100 elements (collective 5) at step 12"
    assert place.entries[3].inside
    mine.leave(3)
    assert not board.read(tmp_path / "position-0").entries[3].inside
    assert board.read(tmp_path / "none") is None


def test_more_communicators_and_places_than_there_is_room_for():
    full = Board()
    numbers = {full.site(f"a place with a rather long name, number {i}") for i in range(1000)}
    assert -1 in numbers and full.site("a place with a rather long name, number 0") > 0
    full.enter(MOST_COMMUNICATORS, 1, 0, 0)
    full.leave(MOST_COMMUNICATORS)
    full.enter(1, 1, -1, 0)
    assert full.position().entries[1].site == "a collective" and len(full.position().entries) == 1


def test_noting_a_collective_costs_about_a_microsecond(tmp_path):
    journal = Journal(Board(tmp_path / "position-0"))
    key, dtype = journal.new_communicator(), np.dtype("float32")
    best = min(_seconds_for(journal, key, dtype) for _ in range(5))
    assert best < 10e-6  # 1 us on an idle machine


def _seconds_for(journal, key, dtype):
    begun = time.perf_counter()
    for _ in range(1000):
        journal.enter(key, "allreduce", dtype, 10, "gradients")
        journal.leave()
    return (time.perf_counter() - begun) / 1000
