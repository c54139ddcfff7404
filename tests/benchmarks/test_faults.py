"""A rank of an elastic training is killed at a random moment; the training ends with the same bits.

DISTKERAS_FAULT_TRIALS=20 pytest tests/benchmarks/test_faults.py      does it twenty times; by default twice
"""

import os

import pytest

from benchmarks import faults

TRIALS = int(os.environ.get("DISTKERAS_FAULT_TRIALS", "2"))


@pytest.fixture(scope="module")
def undisturbed():
    return faults.train(1, deterministic=True)


@pytest.mark.fault("a rank is killed, elastic")
@pytest.mark.timeout(2 * faults.SECONDS)
@pytest.mark.parametrize("trial", range(TRIALS))
def test_the_others_end_with_the_same_bits(undisturbed, trial):
    place = faults.PLACES[(trial + 2) % len(faults.PLACES)]
    where = faults.Here(silence=30.0)  # on a busy machine ranks may be silent for long; killed ones are known at once
    found = faults.train(3, place, faults.victim_of(place, 3, trial), trial, deterministic=True, where=where)
    assert found["was_lost"] and not found["was_restarted"] and found["ranks"] == 2
    assert found["steps"] == undisturbed["steps"] and found["weights"] == undisturbed["weights"]
    assert found["history"] == undisturbed["history"]
