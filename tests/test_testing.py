"""`run_ranks` itself: what it passes, and that it never waits longer than told."""

import sys
import time

import pytest

from distkeras.testing import run_ranks


def test_arguments_variables_and_output(tmp_path):
    script = tmp_path / "show.py"
    script.write_text("import os, sys\nprint(sys.argv[1:], os.environ['OMP_NUM_THREADS'], os.environ['COLOUR'])\n")
    result = run_ranks(2, script, "a b", 3, variables={"COLOUR": "red"}).check()
    assert result.stdout.splitlines() == ["['a b', '3'] 1 red"] * 2
    assert 0 < result.seconds < 60


def test_check_shows_all_output():
    result = run_ranks(1, "import sys\nprint('out')\nsys.exit('err')")
    with pytest.raises(AssertionError, match="(?s)exit code 1.*out.*err"):
        result.check()


@pytest.mark.parametrize("ranks", [1, 2])
def test_time_is_limited_and_no_rank_is_left(ranks, tmp_path):
    program = f"""
import os, time
print("started", flush=True)
open({str(tmp_path)!r} + "/" + str(os.getpid()), "w").close()
time.sleep(600)
"""
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match="(?s)no end after 2 s: .*started"):
        run_ranks(ranks, program, timeout=2)
    assert time.monotonic() - begun < 15
    processes = [path.name for path in tmp_path.iterdir()]
    assert len(processes) == ranks
    deadline = time.monotonic() + 5
    while any(_runs(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_runs(process) for process in processes)


def _runs(process):
    try:
        with open(f"/proc/{process}/cmdline") as file:
            return sys.executable in file.read()
    except OSError:
        return False
