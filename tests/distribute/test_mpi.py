"""When MPI is missing, or is not the launcher's."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from distkeras import _settings
from distkeras._errors import LaunchMismatchError
from distkeras.distribute import launcher
from distkeras.distribute.environment import Launch, without_launcher
from distkeras.distribute.mpi import check_world
from distkeras.testing import run_ranks

FOUR_RANKS = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2"}


def run_python(program, **variables):
    environment = {**without_launcher(), **variables}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.fault("an mpirun of another MPI")
def test_a_launcher_of_another_mpi_is_refused_with_the_command_that_works():
    result = run_python("from distkeras.distribute.mpi import world; world()", **FOUR_RANKS)
    assert result.returncode != 0
    assert "LaunchMismatchError: the launcher (openmpi) started 4 ranks, but the MPI library" in result.stderr
    assert "sees 1" in result.stderr and f"{os.path.dirname(sys.executable)}/distkeras run -n 4" in result.stderr


def test_tasks_of_srun_without_mpi_are_told_of_pmix():
    mpi = SimpleNamespace(COMM_WORLD=SimpleNamespace(size=1), get_vendor=lambda: ("Open MPI", (5, 0, 11)))
    with pytest.raises(LaunchMismatchError, match=r"\(Open MPI 5\.0\.11\) sees 1: .*srun --mpi=pmix -n 6"):
        check_world(mpi, Launch("srun", 6, 0, 3, 0))


def test_no_mpi4py():
    program = "import sys; sys.modules['mpi4py'] = None; from distkeras.distribute.mpi import world; world()"
    result = run_python(program, **FOUR_RANKS)
    assert "MPIUnavailableError: 4 ranks were started, but MPI cannot be loaded" in result.stderr
    assert "pip install 'distkeras[mpi]'" in result.stderr


def test_mpi4py_without_an_mpi_library():
    program = (
        "import sys, types\n"
        "class Broken(types.ModuleType):\n"
        "    rc = types.SimpleNamespace()\n"
        "    def __getattr__(self, name): raise RuntimeError('cannot load MPI library')\n"
        "sys.modules['mpi4py'] = Broken('mpi4py')\n"
        "from distkeras.distribute.mpi import world; world()"
    )
    result = run_python(program, **FOUR_RANKS)
    assert "MPIUnavailableError" in result.stderr and "cannot load MPI library" in result.stderr


def test_mpi_without_threads_is_refused():
    program = """
import mpi4py
mpi4py.rc.thread_level = "single"
from distkeras.distribute.mpi import world
world()
"""
    result = run_ranks(2, program, timeout=30)
    assert result.returncode != 0 and "started without support for several threads" in result.stderr


def test_several_processes_may_be_declared_independent():
    program = "from distkeras.distribute.mpi import world\nprint('size', world().size)"
    result = run_ranks(2, program, timeout=30, variables={"DISTKERAS_LAUNCHER": "none"}).check()
    assert result.stdout.splitlines() == ["size 1", "size 1"]


WORLD = "import sys\nimport distkeras\n{change}\nfrom distkeras.distribute.mpi import world\nworld().barrier()\n"


@pytest.mark.fault("ranks with different scripts")
def test_ranks_with_different_scripts(tmp_path):
    for name, change in (("one", "x = 1"), ("two", "x = 2")):
        (tmp_path / f"{name}.py").write_text(WORLD.format(change=change))
    plan = launcher.plan([str(tmp_path / "one.py")], _settings.resolve({"ranks": 1, "hosts": "localhost:2"}, {}))
    command = [*plan.command, ":", "-n", "1", sys.executable, str(tmp_path / "two.py")]
    variables = {**without_launcher(), **plan.variables, "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    assert re.search(r"'script' is one.py \(\w{8}\) on rank 0 and two.py \(\w{8}\) on rank 1", result.stderr)


@pytest.mark.fault("ranks with different versions of distkeras")
def test_ranks_with_different_versions():
    change = "import os\nif os.environ['OMPI_COMM_WORLD_RANK'] == '1': distkeras.__version__ = '0.0.1'"
    result = run_ranks(2, WORLD.format(change=change), timeout=30)
    assert result.returncode != 0 and re.search(r"'distkeras' is \S+ on rank 0 and 0.0.1 on rank 1", result.stderr)


def test_a_fence_waits_for_all_ranks():
    """Without a message of MPI's: before the first one of these, under srun."""
    program = """
import time
from distkeras.distribute import mpi, pmix
rank = mpi.load_mpi().COMM_WORLD.rank
pmix.wait_for_all()
begun = time.monotonic()
time.sleep(0.3 * rank)
pmix.wait_for_all()
assert time.monotonic() - begun > 0.25
mpi.world()
"""
    run_ranks(2, program).check()
