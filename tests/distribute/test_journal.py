"""Counting collectives tells a late answer from one that never comes."""

import threading

import numpy as np

from distkeras.distribute import waiting
from distkeras.distribute.board import MOST_COMMUNICATORS, Entry
from distkeras.distribute.journal import Journal
from distkeras.kernels.meeting import WAITED, come


def test_a_call_beyond_what_a_rank_took_part_in_is_unanswerable():
    journal = Journal()
    key = journal.new_communicator()
    journal.enter(key, "barrier")
    journal.leave()
    journal.enter(key, "allreduce")
    assert journal.unanswerable({key: 2}) is None
    assert journal.unanswerable({key: 1}).name == "allreduce"
    assert journal.unanswerable({}).index == 2
    journal.leave()
    assert journal.unanswerable({}) is None


def test_threads_and_communicators_are_counted_apart():
    journal = Journal()
    first, second = journal.new_communicator(), journal.new_communicator()
    inside, go_on = threading.Event(), threading.Event()

    def other():
        journal.enter(second, "allreduce")
        inside.set()
        go_on.wait()
        journal.leave()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    journal.enter(first, "barrier")
    assert [call.name for call in journal.waiting()] == ["allreduce", "barrier"]
    assert journal.unanswerable({first: 1}).communicator == second
    go_on.set()
    thread.join()
    assert [call.name for call in journal.waiting()] == ["barrier"]
    assert journal.entered == {first: 1, second: 1}


def test_what_a_kernel_enters_counts_as_well():
    journal, arrivals = Journal(), np.full((2, 8), 9)
    for key in (journal.new_communicator(), journal.new_communicator(MOST_COMMUNICATORS)):
        journal.enter(key, "barrier")
        journal.leave()
        journal.board.step = 5
        words, step, number = journal.counted(key, "meeting", "eat")
        come[np.int64](arrivals, 0, words, step, number, 2, 2, np.zeros((0, 1)))
        assert journal.entered[key] == words[0] == arrivals[0, 0] == 2
        if key < MOST_COMMUNICATORS:
            assert journal.board.position().entries[key] == Entry(2, False, 5, "meeting of eat", 0)
        journal.enter(key, "allreduce")
        assert journal.waiting()[0].index == words[0] == 3
        journal.leave()
        before = waiting.total()
        waiting.count(words[WAITED:])
        words[WAITED] += 2_000_000_000
        assert 2 < waiting.total() - before < 3
