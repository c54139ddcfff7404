"""`distkeras slurm --nodes 4 train.py ...`: a batch script for Slurm, printed or submitted."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys

from distkeras.cli.batch_script import REQUEUE_OPTIONS, BatchScript
from distkeras.cli.run import END
from distkeras.cli.sweep import read_sweep

_TIME = re.compile(r"\d+|\d+:\d\d(:\d\d)?|\d+-\d+(:\d\d(:\d\d)?)?")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `slurm` to the command line."""
    parser = commands.add_parser(
        "slurm",
        help="write or submit a batch script for Slurm",
        description="Print a batch script that trains on a Slurm cluster, or submit it.",
        usage="distkeras slurm [--nodes N] [--ntasks-per-node N] [flags] train.py [arguments]",
    )
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="number of nodes (default: 1)")
    parser.add_argument("--ntasks-per-node", type=int, default=1, metavar="N", help="ranks on each (default: 1)")
    parser.add_argument("--cpus-per-task", type=int, default=1, metavar="N", help="cores of a rank (default: 1)")
    parser.add_argument("--time", metavar="TIME", help="the job's time limit, as Slurm writes it: 30, 2:00:00, 1-0")
    parser.add_argument("--partition", metavar="NAME", help="where to run")
    parser.add_argument("--account", metavar="NAME", help="who pays")
    parser.add_argument("--job-name", default="distkeras", metavar="NAME", help="default: distkeras")
    parser.add_argument("--requeue", action="store_true", help="save and queue again before the time is up")
    parser.add_argument("--signal-before", type=int, default=120, metavar="SECONDS", help="how long before (120)")
    parser.add_argument("--array", metavar="SWEEP.yaml", help="a task for each combination of settings in the file")
    parser.add_argument("--srun", action="store_true", help="start the ranks by srun --mpi=pmix, not by mpirun")
    parser.add_argument("--apptainer", metavar="IMAGE", help="run in an Apptainer image, by srun")
    parser.add_argument("--sbatch", action="append", default=[], metavar="OPTION", help="more: --sbatch=--mem=8G")
    parser.add_argument("--submit", action="store_true", help="submit the script instead of printing it")
    parser.add_argument("program", metavar="train.py", help="the program, followed by its arguments")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.set_defaults(execute=execute, usage_error=parser.error)


def execute(options: argparse.Namespace) -> int:
    """Print the script, or give it to sbatch and return what that does."""
    if options.program == END:
        options.usage_error("no program to run")
    text = batch_script(options).text()
    if not options.submit:
        print(text, end="")
        return 0
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        raise FileNotFoundError("there is no sbatch in PATH: submit on a login node, or leave --submit out")
    return subprocess.run([sbatch], input=text, text=True, stdout=sys.stdout, check=False).returncode


def batch_script(options: argparse.Namespace) -> BatchScript:
    """The script that the command line asks for.

    Raises:
        ValueError: An option's value makes no sense.
    """
    for name in ("nodes", "ntasks_per_node", "cpus_per_task", "signal_before"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, received {getattr(options, name)}")
    if options.time is not None and not _TIME.fullmatch(options.time):
        raise ValueError(f"--time must be minutes, H:M:S or D-H:M:S, received {options.time!r}")
    if options.requeue and options.time is None:
        raise ValueError("--requeue needs --time: a job without a limit is never asked to stop")
    count = len(read_sweep(options.array)) if options.array else 0
    first = [*([options.array] if options.array else []), *([options.apptainer] if options.apptainer else [])]
    return BatchScript(
        options=_options(options, count),
        program=[*first, options.program, *options.arguments[:-1]],
        uses_srun=options.srun,
        image=options.apptainer is not None,
        sweep=options.array is not None,
        requeues=options.requeue,
    )


def _options(options: argparse.Namespace, count: int) -> dict[str, str]:
    chosen = {
        "job-name": options.job_name,
        "nodes": str(options.nodes),
        "ntasks-per-node": str(options.ntasks_per_node),
        "cpus-per-task": str(options.cpus_per_task),
        "output": "%x-%A_%a.out" if count else "%x-%j.out",
    }
    chosen |= {name: value for name in ("time", "partition", "account") if (value := getattr(options, name))}
    if options.requeue:
        chosen |= REQUEUE_OPTIONS | {"signal": f"B:USR1@{options.signal_before}"}
    if count:
        chosen["array"] = f"0-{count - 1}"
    for option in options.sbatch:
        name, _, value = option.removeprefix("--").partition("=")
        chosen[name] = value
    wrong = [f"{name}={value}" for name, value in chosen.items() if re.search(r"\s", name + value) or not name]
    if wrong:
        raise ValueError(f"options of sbatch hold no spaces here, received {wrong[0]!r}")
    return chosen
