"""Tests of this folder hold at any rank count: plain pytest runs them on one, tests/test_parallel.py on 2, 3 and 4."""

import pytest

from distkeras.distribute.mpi import world
from distkeras.distribute.shared_arena import SharedReducer


@pytest.fixture
def sums(communicator, monkeypatch):
    """What the sums over all ranks are for, one by one, as they are made; those of gradients in shared memory too."""
    purposes, allreduce, finish = [], communicator.allreduce_, SharedReducer.finish

    def noted_in_memory(reducer):
        purposes.append("gradients")
        finish(reducer)

    def noted(array, purpose=""):
        purposes.append(purpose)
        allreduce(array, purpose)

    monkeypatch.setattr(SharedReducer, "finish", noted_in_memory)
    monkeypatch.setattr(communicator, "allreduce_", noted)
    return purposes


@pytest.fixture
def communicator():
    """All ranks, level with each other when the test starts."""
    communicator = world()
    communicator.barrier()
    return communicator
