"""Tools for testing models, and distkeras itself."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from distkeras import _settings
from distkeras.distribute import environment, launcher


@dataclass(frozen=True)
class RanksResult:
    """How a program run by `run_ranks` ended: exit code, what it wrote, and how many seconds it took."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float

    def check(self) -> RanksResult:
        """This result if the exit code is 0; AssertionError with all output otherwise."""
        if self.returncode != 0:
            raise AssertionError(f"exit code {self.returncode}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}")
        return self


def run_ranks(
    ranks: int,
    program: str | os.PathLike[str],
    *arguments: object,
    timeout: float = 60.0,
    variables: Mapping[str, str] | None = None,
) -> RanksResult:
    """Run a Python program as several ranks, as `distkeras run` would, with one thread each and this distkeras.

    Args:
        ranks: Number of ranks; 1 runs the program without MPI.
        program: Path of a script, or source text (anything with a line break), or `-m` with the module's name as first
            argument.
        arguments: The program's arguments.
        timeout: Seconds after which the ranks are ended and TimeoutError is raised.
        variables: Environment variables to set.

    Returns:
        Exit code and output, whatever the exit code: see `RanksResult.check`.

    Raises:
        TimeoutError: With what the ranks wrote until then.

    >>> run_ranks(1, "import sys\\nprint(sys.argv[1])", "hello").check().stdout
    'hello\\n'
    """
    given = {**environment.without_launcher(), **(variables or {})}
    given["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), given.get("PYTHONPATH", "")]).rstrip(
        os.pathsep
    )
    settings = _settings.resolve({"ranks": ranks, "threads": 1}, given)
    with tempfile.TemporaryDirectory(prefix="distkeras-test-") as folder:
        source = os.fspath(program)
        if "\n" in source:
            source = str(Path(folder, "program.py"))
            Path(source).write_text(os.fspath(program))
        plan = launcher.plan([source, *map(str, arguments)], settings, given)
        return _run(plan.command, {**given, **plan.variables, launcher.RUN_DIRECTORY: folder}, timeout)


def _run(command: list[str], variables: dict[str, str], timeout: float) -> RanksResult:
    begun = time.monotonic()
    process = subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        stdout, stderr = _end(process)
        raise TimeoutError(
            f"no end after {timeout:g} s: {' '.join(command)}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        ) from None
    return RanksResult(process.returncode, stdout, stderr, time.monotonic() - begun)


def _end(process: subprocess.Popen) -> tuple[str, str]:
    # mpirun ends its ranks when asked to; killing it outright would leave them running.
    process.terminate()
    try:
        return process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()
