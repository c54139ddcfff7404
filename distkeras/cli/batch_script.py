"""Batch scripts for Slurm, put together of a few pieces. The files in slurm/ are what `STANDARD` makes.

header      #SBATCH lines
sweep       one task of an array: its settings become arguments of the program
command     distkeras run | srun --mpi=pmix python | srun --mpi=pmix apptainer exec IMAGE python
ending      exec, or wait for the command and requeue the job if it was asked to stop
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from distkeras.distribute.preemption import EXIT_CODE

_UNHEARD = 128 + signal.SIGUSR1  # the exit code of a program that was asked before it listened

_MPIRUN = 'distkeras run -n "$SLURM_NTASKS" "$@"'
_SRUN = 'srun --mpi=pmix python "$@"'
_APPTAINER = 'srun --mpi=pmix apptainer exec "$image" python "$@"'

_SWEEP = """sweep=$1; shift
settings=$(distkeras sweep "$sweep" --index "$SLURM_ARRAY_TASK_ID")
eval "set -- $(printf '%q ' "$@") $settings"
"""

_IMAGE = """image=$1; shift
"""

_REQUEUE = f"""# A signal reaches this shell alone: it is passed on, and ends `wait` before the program is done.
asked=no signalled=no
{{command}} &
program=$!
trap 'asked=yes signalled=yes; kill -USR1 "$program" 2>/dev/null || true' USR1 TERM
while :; do
    code=0; wait "$program" || code=$?
    [ "$signalled" = yes ] || break
    signalled=no
done
# Asked to stop, the program has saved its state, or was not yet at work.
if [ "$code" -eq {EXIT_CODE} ] || [ "$asked $code" = "yes {_UNHEARD}" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


@dataclass(frozen=True)
class BatchScript:
    """What a batch script is to do.

    Attributes:
        options: Options of sbatch by name, such as {"nodes": "2"}; an empty text for one without a value.
        program: The program and its arguments; empty for a script that takes them as arguments of its own.
        uses_srun: Whether Slurm starts the ranks, rather than mpirun.
        image: Whether they run in an Apptainer image, the script's first argument.
        sweep: Whether it is one task of an array, whose settings stand in a file that is the first argument.
        requeues: Whether to requeue the job when the program was asked to stop.
        remarks: Lines for people, below the options.
    """

    options: Mapping[str, str]
    program: Sequence[str] = ()
    uses_srun: bool = False
    image: bool = False
    sweep: bool = False
    requeues: bool = False
    remarks: Sequence[str] = field(default=())

    def text(self, name: str = "JOB.sbatch", example: str = "") -> str:
        """The script.

        Args:
            name: Its path, for the line that tells how to use it.
            example: Options of sbatch to show there.

        >>> print(BatchScript({"nodes": "2"}, ["train.py"], uses_srun=True).text())
        #!/usr/bin/env bash
        #SBATCH --nodes=2
        set -euo pipefail
        set -- train.py
        exec srun --mpi=pmix python "$@"
        """
        taken = ["sweep.yaml"] * self.sweep + ["IMAGE.sif"] * self.image + ["train.py [arguments]"]
        lines = ["#!/usr/bin/env bash"]
        if not self.program:
            lines.append(" ".join(["# Usage: sbatch", *example.split(), name, *taken]))
        lines += [f"#SBATCH --{option}" + (f"={value}" if value else "") for option, value in self.options.items()]
        lines += ["#", *(f"# {remark}".rstrip() for remark in self.remarks)] if self.remarks else []
        lines.append("set -euo pipefail")
        if self.program:
            lines.append("set -- " + shlex.join(self.program))
        else:
            usage = " ".join(["usage: sbatch $0", *taken])
            lines.append(f'[ $# -ge {len(taken)} ] || {{ echo "{usage}" >&2; exit 2; }}')
        return "\n".join(lines) + "\n" + _SWEEP * self.sweep + _IMAGE * self.image + self._ending()

    def _ending(self) -> str:
        command = _APPTAINER if self.image else _SRUN if self.uses_srun else _MPIRUN
        return _REQUEUE.replace("{command}", command) if self.requeues else f"exec {command}\n"


_SIZE = {"nodes": "1", "ntasks-per-node": "2", "cpus-per-task": "1"}
_OUTPUT = {"output": "%x-%j.out"}
# Written on, rather than over, when the job runs again.
REQUEUE_OPTIONS = {"requeue": "", "open-mode": "append"}
_ENVIRONMENT = (
    "Submit it from the folder of the script, with the environment that has distkeras active: Slurm hands it on.",
)
_GOES_ON = (
    *_ENVIRONMENT,
    "train.py has a tf.keras.callbacks.BackupAndRestore: docs/fault_tolerance.md.",
)

STANDARD: dict[str, tuple[BatchScript, str]] = {
    "train": (
        BatchScript(
            {"job-name": "distkeras", **_SIZE, **_OUTPUT},
            remarks=(
                *_ENVIRONMENT,
                "mpirun starts the ranks on the nodes of the allocation, each with the allocation's cores per task.",
            ),
        ),
        "--nodes=2 --ntasks-per-node=4 --cpus-per-task=8",
    ),
    "train-srun": (
        BatchScript(
            {"job-name": "distkeras", **_SIZE, **_OUTPUT},
            uses_srun=True,
            remarks=(
                *_ENVIRONMENT,
                "Slurm starts the ranks itself: it must have PMIx (`srun --mpi=list`), and the environment Open MPI.",
            ),
        ),
        "--nodes=2 --ntasks-per-node=4 --cpus-per-task=8",
    ),
    "requeue": (
        BatchScript(
            {"job-name": "distkeras", **_SIZE, **_OUTPUT, "time": "1:00:00", **REQUEUE_OPTIONS, "signal": "B:USR1@120"},
            requeues=True,
            remarks=(
                *_GOES_ON,
                "Two minutes before the time is up training is saved and the job put back into the queue, to go on.",
            ),
        ),
        "--nodes=2 --time=12:00:00",
    ),
    "preemptible": (
        BatchScript(
            {
                "job-name": "distkeras",
                **_SIZE,
                **_OUTPUT,
                "partition": "preemptible",
                **REQUEUE_OPTIONS,
                "signal": "B:USR1@120",
            },
            requeues=True,
            remarks=(
                *_GOES_ON,
                "On a partition whose jobs give way to others: name yours. Its GraceTime must suffice for a step and a",
                "backup.",
            ),
        ),
        "--partition=spot --nodes=2",
    ),
    "array": (
        BatchScript(
            {"job-name": "distkeras", **_SIZE, "output": "%x-%A_%a.out", "array": "0-3"},
            sweep=True,
            remarks=(
                *_ENVIRONMENT,
                "sweep.yaml holds lists by name, learning_rate: [0.1, 0.01]; task i runs train.py with the i-th",
                "combination, --learning-rate 0.01. `distkeras sweep sweep.yaml` shows them all.",
            ),
        ),
        "--array=0-5",
    ),
    "apptainer": (
        BatchScript(
            {"job-name": "distkeras", **_SIZE, **_OUTPUT},
            image=True,
            remarks=(
                "Slurm starts the ranks, each in the image, which has distkeras[mpi]; Slurm and the image must have",
                "PMIx. The working folder is mounted by Apptainer.",
            ),
        ),
        "--nodes=2 --ntasks-per-node=4",
    ),
}


def standard_text(name: str) -> str:
    """What the file slurm/NAME.sbatch holds."""
    script, example = STANDARD[name]
    return script.text(f"slurm/{name}.sbatch", example)
