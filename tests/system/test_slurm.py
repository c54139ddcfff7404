"""The batch scripts under a real Slurm of two nodes, which is started for them.

All jobs are submitted together, for most of their time passes in waiting; each test then looks at one of them.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distkeras.distribute.environment import without_launcher
from tests.cli.test_slurm import TRAIN

PROJECT = Path(__file__).parents[2]
CLUSTER = Path(__file__).with_name("slurm_cluster.sh")
# Both nodes are this machine: fabrics are not looked for, and ranks that wait leave their core to others.
ONE_MACHINE = {"OMPI_MCA_btl": "^ofi", "OMPI_MCA_mtl": "^ofi", "OMPI_MCA_mpi_yield_when_idle": "1"}
# A training that goes on does not pause.
RESUMED = "\nimport os, sys\nif os.path.exists(sys.argv[1]): sys.argv[2] = '0'\n"


class Job:
    """A batch script in a folder of its own, with a program.

    Args:
        folder: The folder, which is made.
        configuration: Of the Slurm.
        program: The text of train.py.
        variables: Of the environment.
    """

    def __init__(self, folder, configuration, program=RESUMED + TRAIN, **variables):
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        (folder / "train.py").write_text(program)
        (folder / "sweep.yaml").write_text("pause: [0.0, 0.01]\n")
        for name, flags in (("distkeras", "-m distkeras"), ("python", "")):
            (folder / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {flags} "$@"\n')
            (folder / "bin" / name).chmod(0o755)
        self.variables = {**without_launcher(), **ONE_MACHINE, "SLURM_CONF": str(configuration)}
        self.variables |= {"PYTHONPATH": str(PROJECT), "PATH": f"{folder}/bin:{os.environ['PATH']}"}
        # Of both nodes, and in a folder that no earlier run has left anything in.
        self.variables["PRTE_MCA_prte_remote_tmpdir_base"] = str(folder)
        self.variables |= {"OMP_NUM_THREADS": "1", "DISTKERAS_TIME_MARGIN": "5", **variables}

    def run(self, *command):
        done = subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def submit(self, name, *arguments, options=()):
        """Submit slurm/NAME.sbatch; returns this job."""
        size = ("--nodes=2", "--ntasks-per-node=1", "--time=5", "--output=out-%a.txt")
        script = PROJECT / "slurm" / f"{name}.sbatch"
        self.number = self.run("sbatch", "--parsable", *size, *options, script, *arguments).strip()
        return self

    def output(self):
        return "".join(path.read_text() for path in sorted(self.folder.glob("out-*.txt")))

    def wait_for(self, text, times=1, seconds=200):
        """Wait until the text is in the output, so many times."""
        deadline = time.monotonic() + seconds
        while self.output().count(text) < times:
            assert time.monotonic() < deadline, f"{self.output()}\n{self.run('squeue')}"
            time.sleep(0.1)
        return self

    def state(self):
        """What Slurm says of the job, by name."""
        return dict(re.findall(r"(\w+)=(\S+)", self.run("scontrol", "show", "job", self.number)))

    def ends(self, seconds=120):
        """The state in which the job ends."""
        deadline = time.monotonic() + seconds
        while (state := self.state())["JobState"] in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"):
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)
        return state

    def weights(self):
        """The line with weights and history that the training ended with."""
        self.wait_for("weights ")
        return re.search("weights .*", self.output())[0]


@pytest.fixture(scope="module")
def configuration(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    folder.parent.chmod(0o755)
    try:
        subprocess.run(["bash", CLUSTER, "start", folder], check=True, timeout=60, stdout=subprocess.DEVNULL)
        yield folder / "slurm.conf"
    finally:
        subprocess.run(["bash", CLUSTER, "stop", folder], check=True, timeout=60)


@pytest.fixture(scope="module")
def jobs(configuration, tmp_path_factory):
    """Jobs by name, all of them submitted; those that are to be interrupted are."""
    folder = tmp_path_factory.mktemp("jobs")

    def job(name, **options):
        return Job(folder / name, configuration, **options)

    once, slowly = ("train.py", "backups", "0"), ("train.py", "backups", "2")  # seconds of pause after each step
    large = ("--cpus-per-task=80",)  # of the 128 that a node seems to have
    double = ("--ntasks-per-node=2",)
    submitted = {
        "time limit": job("limit").submit("requeue", *slowly),
        "preempted": job("preempted").submit("preemptible", *slowly, options=large),
        "asked": job("asked").submit("requeue", *slowly),
        "mpirun": job("mpirun").submit("train", *once),
        "srun": job("srun").submit("train-srun", *once),
        "array": job("array", program=SWEPT).submit("array", "sweep.yaml", "train.py", options=("--array=0-1",)),
        "failing": job("failing", program=FAILING).submit("requeue", "train.py"),
        "elastic": job("elastic", program=LOST, DISTKERAS_ELASTIC="1").submit("train", *once, options=double),
        "late": job("late", program=LATE).submit("train-srun", "train.py"),
        "failing srun": job("failing-srun", program=FAILING).submit("train-srun", "train.py"),
    }
    # Slurm looks at the clock twice a minute, and the script asks to be told two minutes before the end: about now.
    limited = submitted["time limit"].wait_for("under way")
    limited.run("scontrol", "update", f"JobId={limited.number}", "TimeLimit=2")
    asked = submitted["asked"].wait_for("under way")
    asked.run("scancel", "--batch", "--signal=USR1", asked.number)
    submitted["preempted"].wait_for("under way")
    submitted["urgent"] = job("urgent", program="import time\ntime.sleep(1)").submit("train", "train.py", options=large)
    yield submitted
    for each in submitted.values():
        each.run("scancel", "--quiet", each.number)


SWEPT = f"import os, sys\nsys.argv[1:] = ['backups-' + os.environ['SLURM_ARRAY_TASK_ID'], sys.argv[2]]\n{TRAIN}"
LOST = "import os, signal\n" + TRAIN.replace(
    "time.sleep(",
    "if batch == 4 and strategy.rank == 1 and strategy.num_replicas_in_sync == 4: os.kill(os.getpid(), signal.SIGKILL)"
    "\n        time.sleep(",
)
FAILING = """
from distkeras.distribute.mpi import world
communicator = world()
if communicator.rank == 1: raise ValueError("the cause")
communicator.barrier()
"""

LATE = """
import time
from distkeras.distribute import pmix
from distkeras.distribute.mpi import load_mpi
rank = load_mpi().COMM_WORLD.rank
time.sleep(rank)
before = time.monotonic()
pmix.wait_for_all()
print("waited" if time.monotonic() - before > 0.5 else "went on", flush=True)
"""


@pytest.mark.fault("Slurm: the time limit")
def test_a_job_whose_time_is_up_is_queued_again_and_goes_on(jobs):
    job = jobs["time limit"].wait_for("exit code 85")
    job.run("scontrol", "update", f"JobId={job.number}", "TimeLimit=10")
    check_resumed(job, jobs["mpirun"])


@pytest.mark.fault("Slurm: the job is signalled")
def test_a_job_that_is_asked_to_stop_is_queued_again_and_goes_on(jobs):
    check_resumed(jobs["asked"], jobs["mpirun"])


@pytest.mark.fault("Slurm: the job gives way to another")
def test_a_job_that_gives_way_is_queued_again_and_goes_on(jobs):
    assert jobs["urgent"].ends()["JobState"] == "COMPLETED"
    check_resumed(jobs["preempted"], jobs["mpirun"])


@pytest.mark.parametrize("name", ["mpirun", "srun"])
def test_ranks_on_two_nodes(jobs, name):
    jobs[name].weights()
    assert jobs[name].output().count("under way") == 3  # two ranks, of which one prints
    assert jobs[name].ends()["JobState"] == "COMPLETED"
    assert jobs["mpirun"].weights() == jobs["srun"].weights()


def test_a_task_for_each_combination(jobs):
    jobs["array"].wait_for("weights ", times=2)
    assert set(re.findall("weights .*", jobs["array"].output())) == {jobs["mpirun"].weights()}


@pytest.mark.fault("Slurm: a rank raises")
@pytest.mark.parametrize("name", ["failing", "failing srun"])
def test_a_job_of_which_a_rank_raises_fails(jobs, name):
    state = jobs[name].ends()
    assert state["JobState"] == "FAILED" and state["Restarts"] == "0"
    assert "ValueError: the cause" in jobs[name].output()


def test_ranks_of_srun_wait_for_the_last_one_without_messages(jobs):
    jobs["late"].ends()
    assert sorted(jobs["late"].output().splitlines()) == ["waited", "went on"]


@pytest.mark.fault("Slurm: a rank is killed, elastic")
def test_the_others_go_on_in_the_same_job(jobs):
    jobs["elastic"].weights()
    state = jobs["elastic"].ends()
    assert state["JobState"] == "COMPLETED" and state["Restarts"] == "0"
    assert re.search(r"rank 1 on \S+ was lost at step 4; 3 ranks go on", jobs["elastic"].output())


def check_resumed(job, undisturbed):
    assert job.weights() == undisturbed.weights()
    output = job.output()
    assert re.search(r"stopped after step \d+: SIGUSR1.*exit code 85", output) and "going on after step" in output
    state = job.ends()
    assert state["JobState"] == "COMPLETED" and int(state["Restarts"]) >= 1
