"""Tests of this folder hold at any rank count: plain pytest runs them on one, tests/test_parallel.py on 2, 3 and 4."""

import pytest

from distkeras.distribute.mpi import world


@pytest.fixture
def communicator():
    """All ranks, level with each other when the test starts."""
    communicator = world()
    communicator.barrier()
    return communicator
