"""The lines a run starts with."""

import pytest

from distkeras import _settings
from distkeras.distribute import banner
from distkeras.distribute.communicator import SerialCommunicator


class Ranks(SerialCommunicator):
    description = "Open MPI 5.0.11"

    def __init__(self, size, num_nodes, rank=0):
        self.size, self.num_nodes, self.rank = size, num_nodes, rank


def test_all_that_is_known_is_said():
    assert banner.banner(Ranks(4, 2), 512, 1, "/cache").splitlines() == [
        "distkeras: 4 ranks on 2 nodes, Open MPI 5.0.11",
        "  global batch 512 = 4 ranks x 128",
        "  1 thread per rank",
        "  compiled kernels in /cache",
    ]


def test_a_batch_that_does_not_divide():
    assert "global batch 10 = 1 rank x 4 + 2 ranks x 3" in banner.banner(Ranks(3, 1), 10)


def test_whole_batches_are_mentioned():
    text = banner.banner(Ranks(3, 1), shard="stride")
    assert text.endswith("  shard=stride: a step takes 3 whole batches of a Sequence, one on each rank")


@pytest.mark.parametrize("rank, level, expected", [(0, "info", "hello\n"), (1, "info", ""), (0, "warning", "")])
def test_shown_once_and_not_when_only_warnings_are_wanted(monkeypatch, capsys, rank, level, expected):
    monkeypatch.setattr(_settings, "current", lambda: _settings.resolve({"log_level": level}, {}))
    banner.show(Ranks(2, 1, rank), "hello")
    assert capsys.readouterr().err == expected
