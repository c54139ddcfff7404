"""Counting collectives tells a late answer from one that never comes."""

import threading

from distkeras.distribute.journal import Journal


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
