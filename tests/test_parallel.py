"""Runs tests/parallel on several ranks, and checks that a failing rank cannot hang or hide there."""

import os
from pathlib import Path

import pytest

from distkeras.distribute import environment
from distkeras.testing import run_ranks

TESTS = Path(__file__).parent
# A signal would not interrupt a collective; the thread method ends the rank, and mpirun the others.
PYTEST = ("-m", "pytest", "--with-mpi", "-p", "no:cacheprovider", "--timeout-method=thread", "--rootdir", TESTS.parent)

pytestmark = pytest.mark.skipif(environment.detect().size > 1, reason="starts ranks of its own")


# What depends on how many ranks there are is run with 3 and 4 as well, all files if DISTKERAS_WHOLE_PARALLEL is set.
UNEVEN = "agreement buckets communicator datasets deterministic metrics n_ranks_equal_one shared_arena".split()
CHOSEN = {2: None, 3: UNEVEN, 4: ["communicator", "n_ranks_equal_one", "shared_arena"]}


@pytest.mark.parametrize("ranks", CHOSEN)
@pytest.mark.timeout(1200)
def test_parallel_folder(ranks):
    names = None if os.environ.get("DISTKERAS_WHOLE_PARALLEL") else CHOSEN[ranks]
    files = [TESTS / "parallel"] if names is None else [TESTS / "parallel" / f"test_{name}.py" for name in names]
    result = run_ranks(ranks, *PYTEST, "--timeout=120", *files, timeout=1100).check()
    assert " passed" in result.stdout and "failed" not in result.stdout
    assert result.stdout.count("test session starts") == 1


@pytest.mark.timeout(400)
def test_ranks_that_share_no_memory():
    files = [TESTS / "parallel" / f"test_{name}.py" for name in ("shared_arena", "optimizers")]
    variables = {"DISTKERAS_SHARED_ARENAS": "0"}
    result = run_ranks(2, *PYTEST, "--timeout=120", *files, timeout=300, variables=variables).check()
    assert " passed" in result.stdout and "failed" not in result.stdout


@pytest.mark.parametrize(
    "body, expected",
    [
        ("assert communicator.rank != 1", "[rank 1] test_sample.py::test_sample (call) failed"),
        # mpirun ends the job as soon as a rank is gone: what that rank said last may be lost.
        ("communicator.rank == 1 and time.sleep(60)", None),
        ("pass", ""),
    ],
)
def test_a_failure_on_one_rank_is_reported_and_ends_all(tmp_path, body, expected):
    source = (
        "import time\nfrom distkeras.distribute.mpi import world\n\n\ndef test_sample():\n"
        f"    communicator = world()\n    {body}\n    communicator.barrier()\n"
    )
    (tmp_path / "test_sample.py").write_text(source)
    arguments = (*PYTEST[:-1], tmp_path, "-c", TESTS.parent / "pyproject.toml", "-p", "tests.conftest")
    result = run_ranks(2, *arguments, "--timeout=3", tmp_path, timeout=40, variables={"PYTHONPATH": str(TESTS.parent)})
    assert (result.returncode == 0) == (expected == "")
    assert expected is None or expected in result.stdout + result.stderr
    assert result.seconds < 30
