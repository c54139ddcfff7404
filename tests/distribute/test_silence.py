"""Silent ranks are found all at once, within the limit, and nobody else is; time and messages are played here."""

import pytest

from distkeras.distribute.silence import Silence

LIMIT, TICK = 10.0, 0.2


class Ranks:
    """Ranks whose messages arrive with the next tick, but from and to those that are cut off."""

    def __init__(self, size):
        self.ranks = [Silence(rank, size, LIMIT) for rank in range(size)]
        self.now = 0.0
        self.cut, self.asleep = set(), set()
        self.messages = []
        self.lost = {}  # by rank that found them: when, and whom

    def plays(self, seconds):
        until = self.now + seconds
        while self.now < until:
            self.now += TICK
            came, self.messages = self.messages, []
            for me, rank in enumerate(self.ranks):
                if me not in self.asleep:
                    rank.passes(TICK)
                    self.looks(me, [message for message in came if message[1] == me])
        return self

    def looks(self, me, came):
        rank = self.ranks[me]
        self.says(me, rank.next_rank)
        for source, _, asks in came:
            if (source in self.cut) == (me in self.cut):
                rank.hears(source)
                if asks:
                    self.says(me, source)
        found = rank.look()
        for other in found.asked:
            self.says(me, other, True)
        if found.lost:
            self.lost[me] = self.now, found.lost
            for other in rank.left - set(found.lost):
                self.ranks[other].loses(found.lost)

    def says(self, source, destination, asks=False):
        self.messages.append((source, destination, asks))


@pytest.mark.parametrize(
    ("size", "silent"), [(2, [1]), (4, [0]), (4, [2]), (5, [3, 4]), (6, [0, 5]), (9, [2, 3, 4, 7]), (16, range(8, 15))]
)
def test_all_silent_ranks_are_found_together_within_the_limit(size, silent):
    ranks = Ranks(size).plays(30)
    ranks.asleep = set(silent)
    ranks.plays(LIMIT + 3 * TICK)
    assert list(ranks.lost) and all(found == sorted(silent) for _, found in ranks.lost.values())
    ranks.plays(60)
    assert {rank for rank, each in enumerate(ranks.ranks) if each.left == set(range(size)) - set(silent)} == (
        set(range(size)) - set(silent)
    )


def test_both_sides_of_a_cut_find_each_other_lost():
    ranks = Ranks(5)
    ranks.cut = {3, 4}
    ranks.plays(LIMIT + 3 * TICK)
    assert [sorted(each.left) for each in ranks.ranks] == [[0, 1, 2]] * 3 + [[3, 4]] * 2


def test_losses_one_after_the_other():
    ranks = Ranks(4)
    for victim, left in ((1, {0, 2, 3}), (0, {2, 3}), (3, {2})):
        ranks.asleep.add(victim)
        ranks.plays(LIMIT + 3 * TICK)
        assert ranks.ranks[2].left == left
    assert ranks.ranks[2].next_rank == ranks.ranks[2].previous_rank == 2  # alone, it waits for nobody
    assert Ranks(1).plays(60).lost == {}


def test_who_answers_in_time_is_not_lost():
    ranks = Ranks(3)
    for _ in range(5):  # in long calls, from which it comes back to beat and to answer
        ranks.asleep = {1}
        ranks.plays(0.9 * LIMIT)
        ranks.asleep = set()
        ranks.plays(1.0)
    assert ranks.lost == {}


def test_ranks_that_were_all_stopped_do_not_blame_each_other():
    ranks = Ranks(3).plays(5)
    for rank in ranks.ranks:
        rank.passes(3600.0)  # by the clock
    ranks.plays(30)
    assert ranks.lost == {}
