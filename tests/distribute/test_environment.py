"""What is made of the variables that launchers set."""

import os
import subprocess
import sys

import pytest

from distkeras.distribute import environment
from distkeras.distribute.environment import Launch, detect

SLURM_TASK = {
    "SLURM_STEP_NUM_TASKS": "6",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "2",
    "SLURM_STEP_TASKS_PER_NODE": "3(x2)",
}
OPENMPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({}, Launch("none", 1, 0, 1, 0)),
        (OPENMPI, Launch("openmpi", 4, 3, 2, 1)),
        ({**SLURM_TASK, **OPENMPI}, Launch("openmpi", 4, 3, 2, 1)),
        (
            {"PMI_SIZE": "4", "PMI_RANK": "1", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "1"},
            Launch("pmi", 4, 1, 2, 1),
        ),
        ({"PMI_SIZE": "4", "PMI_RANK": "1"}, Launch("pmi", 4, 1, 4, 1)),
        ({**SLURM_TASK, "PMIX_RANK": "5"}, Launch("pmix", 6, 5, 3, 2)),
        ({"PMIX_RANK": "1", "SLURM_NTASKS": "2", "SLURM_LOCALID": "0"}, Launch("pmix", 2, 1, 1, 0)),
        (SLURM_TASK, Launch("srun", 6, 5, 3, 2)),
        # A batch script itself is no task of a step.
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, Launch("none", 1, 0, 1, 0)),
        ({**OPENMPI, "DISTKERAS_LAUNCHER": "none"}, Launch("none", 1, 0, 1, 0)),
    ],
)
def test_detect(variables, expected):
    assert detect(variables) == expected


def test_unknown_choice_of_launcher_is_refused():
    with pytest.raises(ValueError, match="DISTKERAS_LAUNCHER must be auto or none, received 'mpi'"):
        detect({"DISTKERAS_LAUNCHER": "mpi"})


def test_children_do_not_inherit_the_rank():
    kept = environment.without_launcher(
        {**OPENMPI, "PMIX_RANK": "3", "PMI_FD": "9", "PATH": "/bin", "OMPI_MCA_btl": "x"}
    )
    assert kept == {"PATH": "/bin", "OMPI_MCA_btl": "x"}


@pytest.mark.parametrize("numpy_first", [False, True])
def test_cores_are_shared_out_among_local_ranks(numpy_first):
    program = f"""
import os
os.sched_setaffinity(0, os.sched_getaffinity(0))
{"import numpy" if numpy_first else ""}
from distkeras.distribute import environment
environment.available_cores = lambda: 8
launch = environment.Launch("openmpi", 8, 0, 4, 0)
assert environment.limit_threads(launch) == 2
import numpy, threadpoolctl
assert os.environ["OMP_NUM_THREADS"] == os.environ["NUMBA_NUM_THREADS"] == "2"
pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
assert pools and max(pools) <= 2, pools
"""
    clean = {name: value for name, value in os.environ.items() if name not in environment.THREAD_VARIABLES}
    clean.pop("DISTKERAS_THREADS", None)
    subprocess.run([sys.executable, "-c", program], check=True, env=clean)


def test_a_number_of_threads_set_by_the_user_stays(monkeypatch):
    launch = Launch("openmpi", 2, 0, 2, 0)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    monkeypatch.setenv("MKL_NUM_THREADS", "0")
    for name in environment.THREAD_VARIABLES:
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    assert environment.limit_threads(launch) == 3
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]) == ("3", "5")


def test_asking_for_the_world_of_one_process_loads_no_mpi():
    program = (
        "import sys; from distkeras.distribute.mpi import world; assert world().size == 1; "
        "assert not any(name.startswith('mpi4py') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=environment.without_launcher())


def test_prepare_turns_the_file_into_variables_and_limits_threads_before_numpy_is_loaded(tmp_path):
    (tmp_path / "distkeras.yaml").write_text("simd: portable\ncache_dir: /from/file\nthreads: 2\n")
    program = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            assert os.environ["OMP_NUM_THREADS"] == "2", "numpy is loaded before threads are limited"
sys.meta_path.insert(0, Watch())
import distkeras
print(os.environ["DISTKERAS_SIMD"], os.environ["DISTKERAS_CACHE_DIR"], os.environ["OMP_NUM_THREADS"], flush=True)
os._exit(0)
"""
    clean = {name: value for name, value in os.environ.items() if name not in environment.THREAD_VARIABLES}
    package = os.path.dirname(os.path.dirname(os.path.dirname(environment.__file__)))
    variables = {**clean, **OPENMPI, "DISTKERAS_CACHE_DIR": "/own", "PYTHONPATH": package}
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=variables, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["portable", "/own", "2"]
