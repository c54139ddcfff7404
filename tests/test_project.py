"""The files beside the package: scripts start, the sample configuration is read, commands of the README exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from distkeras import _settings
from distkeras.distribute import launcher
from distkeras.distribute.environment import without_launcher

PROJECT = Path(__file__).parents[1]
SCRIPTS = [*(PROJECT / "launch").glob("*.sh"), *(PROJECT / "slurm").glob("*.sbatch"), PROJECT / ".ci" / "run"]


@pytest.fixture
def run_script(tmp_path):
    """Runs a script of the project with `distkeras` and `python` of this environment first in PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, flags in (("distkeras", "-m distkeras"), ("python", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {flags} "$@"\n')
        (folder / name).chmod(0o755)
    program = "import sys\nfrom distkeras.distribute.mpi import world\nprint(world().size, *sys.argv[1:], flush=True)\n"
    (tmp_path / "train.py").write_text(program)

    def run(path, *arguments, **variables):
        environment = {**without_launcher(), "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT)}
        return subprocess.run(
            ["bash", PROJECT / path, *arguments],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_can_be_run_and_parse(path):
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", path], check=True)


def test_local(run_script):
    result = run_script("launch/local.sh", "2", "train.py", "--epochs", "1")
    assert result.stdout.splitlines() == ["2 --epochs 1"] * 2, result.stderr


def test_mpirun(run_script, tmp_path):
    mpirun = launcher.find_mpirun()
    plan = launcher.plan(["train.py"], _settings.resolve({"ranks": 2}, {}))
    # The machine's own needs, such as running as root, are not this script's business.
    own = {name: value for name, value in plan.variables.items() if name.startswith(("OMPI_", "PRTE_"))}
    own["PRTE_MCA_prte_local_tmpdir_base"] = str(tmp_path)  # where no killed mpirun has left anything
    result = run_script("launch/mpirun.sh", "train.py", "x", RANKS="2", MPIRUN=str(mpirun), **own)
    assert result.stdout.splitlines() == ["2 x"] * 2, result.stderr


def test_sbatch_takes_the_ranks_of_the_allocation(run_script):
    slurm = {"SLURM_NTASKS": "3", "SLURM_CPUS_PER_TASK": "1", "SLURM_JOB_NUM_NODES": "1"}
    result = run_script("slurm/train.sbatch", "train.py", "x", **slurm)
    assert result.stdout.splitlines() == ["3 x"] * 3, result.stderr


@pytest.mark.parametrize("path", ["launch/local.sh", "launch/mpirun.sh", "slurm/train.sbatch"])
def test_without_arguments_the_usage_is_shown(run_script, path):
    result = run_script(path)
    assert result.returncode == 2 and result.stderr.startswith("usage: ")


def test_the_sample_configuration_is_valid_and_names_every_setting_of_a_cluster():
    path = PROJECT / "launch" / "cluster.yaml"
    settings = _settings.resolve(None, {}, path)
    assert settings.ranks == 8 and settings.source("threads") == str(path)
    named = re.findall(r"^(?:# )?(\w+):", path.read_text(), flags=re.MULTILINE)
    assert set(named) == set(_settings.SETTINGS) - {"mpirun"}


def test_no_test_folder_is_named_mpi():
    # pytest-mpi would skip every test in it.
    assert not [path for path in (PROJECT / "tests").rglob("mpi") if path.is_dir()]


def test_files_the_readme_names_exist():
    named = re.findall(r"`((?:launch|slurm)/[\w.]+)|\]\((\w+(?:\.md)?)\)", (PROJECT / "README.md").read_text())
    paths = {"".join(pair) for pair in named}
    assert {"LICENSE", "CONTRIBUTING.md", "slurm/train.sbatch"} <= paths
    assert all((PROJECT / path).exists() for path in paths)
