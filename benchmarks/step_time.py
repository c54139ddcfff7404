"""Time of a training step, its memory, and the time to the first step, against PyTorch or TensorFlow.

    DISTKERAS_BENCH_TORCH=/envs/torch/bin/python python -m benchmarks.step_time
    DISTKERAS_BENCH_TF=/envs/tf/bin/python       python -m benchmarks.step_time --peer tf
    python -m benchmarks.step_time --peer none                  distkeras alone
    ... --simd avx2                                             all sides as on a CPU with no more than that

The variable names the Python of an environment that has the library, or a site-packages folder for this Python.

Each contestant is a process with one thread. They take turns, a round of steps each, and a ratio is taken within a
round, so that what else the machine does falls on both; printed are medians over the rounds. CPU time is what counts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
VARIABLES = {"torch": "DISTKERAS_BENCH_TORCH", "tf": "DISTKERAS_BENCH_TF"}
CASES = {"tiny": (32,), "mlp": (32, 128), "cnn": (32, 128), "separable": (32,)}
OF_IMAGES = ("cnn", "separable")
# What has each library and what it calls do without newer instructions; each reads its own variables.
SIMD = {
    "avx512": {
        "DISTKERAS_SIMD": "avx512",
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "OPENBLAS_CORETYPE": "SkylakeX",
    },
    "avx2": {
        "DISTKERAS_SIMD": "avx2",
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+movbe,+popcnt",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
}


class Contestant(NamedTuple):
    """A library and how it is used."""

    peer: str
    variant: str

    def __str__(self) -> str:
        return f"{self.peer} {self.variant}".rstrip()


class Worker:
    """A contestant's process, which runs `program`.

    Args:
        contestant: Who.
        case: Which network.
        batch_size: Samples per step.
    """

    program = "peers.py"

    def __init__(self, contestant: Contestant, case: str, batch_size: int) -> None:
        python, variables = interpreter(contestant.peer)
        command = [
            python,
            str(ROOT / "benchmarks" / self.program),
            contestant.peer,
            case,
            str(batch_size),
            contestant.variant,
        ]
        self.contestant = contestant
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self.peak_memory = 0.0
        try:
            self.first_step = self._answer()["first_step"]
        except RuntimeError:
            self.close()
            raise

    def seconds_per_step(self, steps: int) -> float:
        """Run steps; the CPU time of one."""
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        answer = self._answer()
        self.peak_memory = answer["peak_memory"]
        return answer["cpu"] / steps

    def _answer(self) -> dict[str, float]:
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"{self.contestant} ended:\n{self._errors.read()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()


def interpreter(peer: str) -> tuple[str, dict[str, str]]:
    """The Python that has a library, and the environment to run it in.

    Raises:
        SystemExit: The variable that names it is not set, or names nothing.
    """
    # First steps are those of a second run: modules are compiled, too.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    variables = {**environment, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
    if peer == "distkeras":
        return sys.executable, {**variables, "PYTHONPATH": str(ROOT)}
    # glibc gives large blocks back to the system after each step unless told not to; this is PyTorch's best setting.
    variables |= {"MALLOC_TRIM_THRESHOLD_": "-1", "MALLOC_MMAP_MAX_": "0"}
    place = os.environ.get(VARIABLES[peer], "")
    if os.path.isdir(place):
        return sys.executable, {**variables, "PYTHONPATH": place}
    if not os.access(place, os.X_OK):
        raise SystemExit(
            f"set {VARIABLES[peer]} to the Python, or the site-packages folder, that has {peer}; it is {place!r}"
        )
    return place, variables


def contestants(peer: str, case: str) -> list[Contestant]:
    """distkeras first, then whom it is compared with."""
    found = [Contestant("distkeras", "train_on_batch"), Contestant("distkeras", "fit")]
    if peer == "torch":
        found += [Contestant("torch", "eager")] + ([Contestant("torch", "channels_last")] if case in OF_IMAGES else [])
    if peer == "tf":
        found += [Contestant("tf", "train_on_batch"), Contestant("tf", "fit")]
    return found


@contextlib.contextmanager
def workers(peer: str, case: str, batch_size: int) -> Iterator[list[Worker]]:
    """All contestants, started one after the other, and ended together."""
    started: list[Worker] = []
    try:
        for contestant in contestants(peer, case):
            started.append(Worker(contestant, case, batch_size))
        yield started
    finally:
        for worker in started:
            worker.close()


def measure(peer: str, case: str, batch_size: int, rounds: int, seconds: float) -> None:
    """Print a table for one network and batch size.

    Args:
        peer: 'torch', 'tf' or 'none'.
        case: A key of CASES.
        batch_size: Samples per step.
        rounds: How often each contestant takes its turn.
        seconds: How long a turn should take.
    """
    with workers(peer, case, batch_size) as field:
        steps = [max(2, round(seconds / worker.seconds_per_step(5))) for worker in field]
        times: list[list[float]] = [[] for _ in field]
        for number in range(rounds + 1):
            for turn in range(len(field)):
                index = (turn + number) % len(field)
                measured = field[index].seconds_per_step(steps[index])
                if number:  # the first round warms up
                    times[index].append(measured)
        print(f"\n{case}, batch {batch_size}")
        print(f"  {'':<26}{'step':>12}{'over fit':>10}{'over batch':>12}{'peak memory':>13}{'first step':>12}")
        for worker, mine in zip(field, times, strict=True):
            ratios = [
                statistics.median(a / b for a, b in zip(mine, ours, strict=True)) for ours in (times[1], times[0])
            ]
            print(
                f"  {worker.contestant!s:<26}{statistics.median(mine) * 1e6:>9.0f} "
                f"us{ratios[0]:>9.2f}x{ratios[1]:>11.2f}x"
                f"{worker.peak_memory / 2**20:>10.0f} MB{worker.first_step:>10.2f} s",
                flush=True,
            )


def add_simd_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--simd", choices=tuple(SIMD), help="the newest instructions for all sides; else the CPU's")


def restrict(simd: str | None) -> None:
    """Have the contestants started from now on do without instructions newer than those of a key of SIMD."""
    os.environ.update(SIMD.get(simd, {}))


def heading(simd: str | None, rounds: int) -> str:
    """What was measured, and how."""
    instructions = f", no more than {simd} on all sides" if simd else ""
    way = f"one thread; medians over {rounds} rounds; 'x' is how much longer than distkeras it takes"
    return f"{processor()}{instructions}, {way}"


def processor() -> str:
    """The name of the CPU."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", choices=("torch", "tf", "none"), default="torch")
    parser.add_argument("--case", choices=tuple(CASES), action="append", help="only this network; may be repeated")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="few and short rounds, to see that it works")
    add_simd_option(parser)
    options = parser.parse_args(arguments)
    rounds, seconds = (3, 0.05) if options.quick else (options.rounds, 0.4)

    restrict(options.simd)
    print(heading(options.simd, rounds))
    for case in options.case or CASES:
        with workers("none", case, CASES[case][0]):
            pass  # compiles what is not in the kernel cache yet, so that first steps are those of a second run
        for batch_size in CASES[case]:
            measure(options.peer, case, batch_size, rounds, seconds)


if __name__ == "__main__":
    main()
