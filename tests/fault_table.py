"""A table of faults: how often each was tried, and how often survived. `python tests/fault_table.py FILE` shows one.

A test with `@pytest.mark.fault("a rank is killed")` is one try of that fault, survived if it passes; tests of several
parameters are so many tries. After a session the table is printed, or, if DISTKERAS_FAULT_TABLE names a file, its lines
are added to that, so that several sessions give one table.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FILE_VARIABLE = "DISTKERAS_FAULT_TABLE"


def note(item: Any, report: Any) -> None:
    """Remember what a test's report says of a fault: in a property, which reaches the session also under xdist."""
    marker = item.get_closest_marker("fault")
    if marker and (report.when == "call" or report.failed):
        report.user_properties.append(("fault", [marker.args[0], not report.failed and not report.skipped]))


def summarize(terminal: Any) -> None:
    """Print the faults of a session, or add them to the file."""
    if hasattr(terminal.config, "workerinput"):
        return  # a process of pytest-xdist, whose reports reach the session that started it
    found = [tuple(value) for report in _reports(terminal) for name, value in report.user_properties if name == "fault"]
    path = os.environ.get(FILE_VARIABLE)
    if found and path:
        with open(path, "a") as file:
            file.writelines(json.dumps(one) + "\n" for one in found)
    elif found:
        terminal.write_sep("-", "faults")
        terminal.write_line(table(found))


def _reports(terminal: Any) -> list[Any]:
    stats = (terminal.stats.get(outcome, []) for outcome in ("passed", "failed", "error"))
    return [report for reports in stats for report in reports if hasattr(report, "user_properties")]


def table(tries: Iterable[tuple[str, bool]]) -> str:
    """The table of (fault, whether it was survived), in the order in which faults came first.

    >>> print(table([("a rank is killed", True), ("a rank is killed", False)]))
    fault             tried  survived
    a rank is killed      2         1
    """
    tries = list(tries)
    tried, survived = Counter(name for name, _ in tries), Counter(name for name, passed in tries if passed)
    width = max(map(len, ["fault", *tried]))
    lines = [f"{name:<{width}}  {count:>5}  {survived[name]:>8}" for name, count in tried.items()]
    return "\n".join([f"{'fault':<{width}}  tried  survived", *lines])


if __name__ == "__main__":
    written = Path(sys.argv[1]).read_text().splitlines()
    if written:
        print(table(map(json.loads, written)))
