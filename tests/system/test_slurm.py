"""The batch scripts under a real Slurm, which is started for them: DISTKERAS_SYSTEM_TESTS=1, as root."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distkeras.distribute.environment import without_launcher
from tests.cli.test_slurm import TRAIN

PROJECT = Path(__file__).parents[2]
CLUSTER = Path(__file__).with_name("slurm_cluster.sh")
PRESENT = all(map(shutil.which, ("munged", "slurmctld", "slurmd"))) and os.geteuid() == 0

pytestmark = [
    pytest.mark.skipif(not os.environ.get("DISTKERAS_SYSTEM_TESTS"), reason="asked for by DISTKERAS_SYSTEM_TESTS=1"),
    pytest.mark.skipif(not PRESENT, reason="needs Slurm, munge and root"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    folder.parent.chmod(0o755)
    try:
        subprocess.run(["bash", CLUSTER, "start", folder], check=True, timeout=60, stdout=subprocess.DEVNULL)
        yield folder / "slurm.conf"
    finally:
        subprocess.run(["bash", CLUSTER, "stop", folder], check=True, timeout=60)


class Jobs:
    """Jobs of a folder with a program."""

    def __init__(self, folder, configuration):
        self.folder = folder
        (folder / "train.py").write_text(TRAIN)
        (folder / "bin").mkdir()
        for name, flags in (("distkeras", "-m distkeras"), ("python", "")):
            (folder / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {flags} "$@"\n')
            (folder / "bin" / name).chmod(0o755)
        self.variables = without_launcher() | {"SLURM_CONF": str(configuration), "PYTHONPATH": str(PROJECT)}
        self.variables |= {"PATH": f"{folder}/bin:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}

    def run(self, *command):
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        ).stdout

    def submit(self, name, *arguments, options=()):
        command = ["sbatch", "--parsable", "--nodes=2", "--ntasks-per-node=1", "--time=5", "--output=out.txt", *options]
        return self.run(*command, PROJECT / "slurm" / f"{name}.sbatch", "train.py", *arguments).strip()

    def output(self):
        path = self.folder / "out.txt"
        return path.read_text() if path.exists() else ""

    def wait_for(self, text, seconds=90):
        deadline = time.monotonic() + seconds
        while text not in self.output():
            assert time.monotonic() < deadline, f"{self.output()}\n{self.run('squeue')}"
            time.sleep(0.2)


@pytest.mark.parametrize("name", ["train", "train-srun"])
def test_ranks_on_two_nodes(cluster, tmp_path, name):
    jobs = Jobs(tmp_path, cluster)
    if name == "train-srun" and "pmix" not in jobs.run("srun", "--mpi=list"):
        pytest.skip("this Slurm finds no PMIx")
    jobs.submit(name, "backups", "0")
    jobs.wait_for("weights ")
    assert jobs.output().count("under way") == 3  # two ranks, of which one prints


def test_a_job_is_queued_again_and_goes_on(cluster, tmp_path):
    jobs = Jobs(tmp_path, cluster)
    job = jobs.submit("requeue", "backups", "0.3")
    jobs.wait_for("under way")
    jobs.run("scancel", "--batch", "--signal=USR1", job)
    jobs.wait_for("weights ")
    resumed = re.search("weights .*", jobs.output())[0]
    assert "exit code 85" in jobs.output() and "going on after step" in jobs.output()
    (tmp_path / "out.txt").unlink()
    jobs.submit("train", "undisturbed", "0")
    jobs.wait_for("weights ")
    assert re.search("weights .*", jobs.output())[0] == resumed
