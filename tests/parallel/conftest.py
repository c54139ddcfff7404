"""Tests of this folder hold at any rank count: plain pytest runs them on one, tests/test_parallel.py on 2, 3 and 4."""

import pytest

from distkeras.distribute.mpi import world


@pytest.fixture
def sums(communicator, monkeypatch):
    """What the sums over all ranks are for, one by one, as they are made."""
    purposes, allreduce = [], communicator.allreduce_

    def noted(array, purpose=""):
        purposes.append(purpose)
        allreduce(array, purpose)

    monkeypatch.setattr(communicator, "allreduce_", noted)
    return purposes


@pytest.fixture
def communicator():
    """All ranks, level with each other when the test starts."""
    communicator = world()
    communicator.barrier()
    return communicator
