"""Clocks of ranks that are known to be apart."""

import time

import pytest

from distkeras.distribute import clocks


def test_the_offset_of_a_clock_is_found(communicator):
    apart = 5.0 * communicator.rank
    found = clocks.compare(communicator, lambda: time.monotonic() + apart)
    assert abs(found.offset - apart) <= found.uncertainty + 1e-9
    assert found.uncertainty < 1.0


@pytest.mark.mpi(min_size=2)
def test_rank_0_is_the_reference_whatever_its_clock_shows(communicator):
    apart = -7.0 if communicator.rank == 0 else 0.0
    found = clocks.compare(communicator, lambda: time.monotonic() + apart)
    expected = 7.0 if communicator.rank else 0.0
    assert abs(found.offset - expected) <= found.uncertainty + 1e-9
