from __future__ import annotations

import numpy as np
import pytest

from distkeras.graph.memory import Lifetime, Scratch, assign_offsets


@pytest.mark.parametrize("seed", range(30))
def test_values_alive_together_never_overlap(seed):
    rng = np.random.default_rng(seed)
    lifetimes = {}
    for key in range(rng.integers(1, 60)):
        first, last = sorted(rng.integers(0, 25, 2).tolist())
        lifetimes[key] = Lifetime(int(rng.choice([0, 4, 64, 100, 1000, 4096])), first, last)
    offsets, size = assign_offsets(lifetimes)
    assert offsets.keys() == lifetimes.keys()
    for key, life in lifetimes.items():
        assert offsets[key] % 64 == 0 and offsets[key] + life.nbytes <= size
        for other, theirs in lifetimes.items():
            alive_together = life.first <= theirs.last and theirs.first <= life.last
            if key != other and alive_together and life.nbytes and theirs.nbytes:
                apart = offsets[key] + life.nbytes <= offsets[other] or offsets[other] + theirs.nbytes <= offsets[key]
                assert apart, (life, offsets[key], theirs, offsets[other])


def test_a_chain_needs_the_space_of_two():
    lifetimes = {i: Lifetime(1000, i, i + 1) for i in range(50)}
    assert assign_offsets(lifetimes)[1] == 2 * 1024


def test_nothing_needs_no_space():
    assert assign_offsets({}) == ({}, 0)


def test_scratch_is_handed_out_again_after_release_but_not_before():
    scratch = Scratch()
    a, b = scratch((10, 10), np.float32), scratch(50, np.float64)
    assert not np.shares_memory(a, b) and a.shape == (10, 10) and b.dtype == np.float64
    assert a.ctypes.data % 64 == 0 and b.ctypes.data % 64 == 0
    scratch.release()
    c = scratch((5,), np.int64)
    assert np.shares_memory(c, a) or np.shares_memory(c, b)
    assert scratch.nbytes == 800
