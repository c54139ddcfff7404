"""How the suite behaves under pytest alone and under `mpirun -n N pytest --with-mpi tests/parallel`.

Under mpirun a rank that fails would leave the others waiting in a collective for ever: the first failure prints its
report, then ends the job. Only rank 0 prints the session's progress and summary.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from _pytest.doctest import DoctestModule

from distkeras.distribute import environment
from tests import fault_table

LAUNCH = environment.detect()

# What is started in the background by a shell, or by nohup, may ignore Ctrl-C, and so would all programs of the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

if LAUNCH.size > 1:  # in a folder that they share, ranks would tidy away what others are looking at
    os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.mkdtemp(prefix=f"distkeras-rank{LAUNCH.rank}-")
    atexit.register(shutil.rmtree, os.environ["PYTEST_DEBUG_TEMPROOT"], ignore_errors=True)


# What looks at the clock, or at what others leave on the machine: beside other tests it would fail for nothing.
ALONE = ("distribute",)
# What starts programs, which wait a lot, and takes longest: at first one process of pytest-xdist has all of it.
FIRST = ("test_parallel.py", "examples", "benchmarks", "cli", "test_testing.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    place = {item: item.path.relative_to(here).parts[0] if here in item.path.parents else "" for item in items}
    for item in items:
        if place[item] in ALONE:
            item.add_marker(pytest.mark.alone)
        if place[item] == "system":
            item.add_marker(pytest.mark.system)
    items.sort(key=lambda item: place[item] not in FIRST)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if LAUNCH.size > 1 and config.option.xmlpath:
        config.option.xmlpath += f".rank{LAUNCH.rank}"
    if LAUNCH.rank > 0:
        config.pluginmanager.unregister(name="terminalreporter")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    """Doctests are for the package: programs and recording scripts under tests/ must not be imported for them."""
    collectors = yield
    return [collector for collector in collectors if not isinstance(collector, DoctestModule)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    fault_table.note(item, report)
    if report.failed:
        _end_all_ranks(f"{report.nodeid} ({report.when})", report.longreprtext)
    return report


def pytest_terminal_summary(terminalreporter) -> None:
    fault_table.summarize(terminalreporter)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _end_all_ranks(report.nodeid, report.longreprtext)


def _end_all_ranks(what: str, text: str) -> None:
    if LAUNCH.size == 1:
        return
    from mpi4py import MPI

    sys.__stderr__.write(f"\n[rank {LAUNCH.rank}] {what} failed\n{text}\n")
    sys.__stderr__.flush()
    MPI.COMM_WORLD.Abort(1)
