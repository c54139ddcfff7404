"""The timeline of all ranks as a Chrome trace: a process for each rank, a row for each of its threads.

Source: "Trace Event Format", Google, 2016: complete events ('X') with times in microseconds, and metadata ('M').
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from distkeras.distribute.spans import RankSpans
from distkeras.distribute.timeline_report import Report

_SHORTEST = 1e-6


def write(path: str, ranks: Sequence[RankSpans], report: Report) -> None:
    """Write the file, event by event; it is there as a whole or not at all.

    Args:
        path: Its place.
        ranks: What each rank recorded.
        report: What is known of it.
    """
    start = min((span.begin for rank in ranks for span in rank.spans), default=0.0)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(
                '{"displayTimeUnit": "ms", "otherData": ' + json.dumps(_summary(report)) + ', "traceEvents": [\n'
            )
            for rank in range(len(ranks)):
                for event in _events(rank, report, start):
                    file.write(json.dumps(event) + ",\n")
            file.write('{"name": "trace_end", "ph": "M", "pid": 0, "tid": 0, "args": {}}]}\n')
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise


def _summary(report: Report) -> dict[str, Any]:
    return {
        "seconds of each rank": report.seconds,
        "seconds that others waited for each rank": report.waited_for,
        "clocks of ranks are known to microseconds": [round(1e6 * rank.uncertainty, 1) for rank in report.ranks],
    }


def _events(rank: int, report: Report, start: float) -> Iterator[dict[str, Any]]:
    recorded = report.ranks[rank]
    yield _named("process_name", rank, 0, f"rank {rank} ({recorded.host})")
    yield {"name": "process_sort_index", "ph": "M", "pid": rank, "tid": 0, "args": {"sort_index": rank}}
    threads = {"MainThread": 0}
    for span in recorded.spans:
        threads.setdefault(span.thread, len(threads))
    for thread, number in threads.items():
        yield _named("thread_name", rank, number, thread)
    for span in recorded.spans:
        args: dict[str, Any] = {}
        last = report.arrivals.get((span.communicator, span.index))
        if span.kind == "collective":
            args = {"bytes": span.nbytes, "collective": span.index, "communicator": span.communicator}
        if last is not None:
            waited = max(0.0, min(last.time, span.end) - span.begin)
            args |= {"last rank": last.rank, "waited for it, us": round(1e6 * waited, 1)}
        yield _complete(
            span.kind, span.name, (rank, threads[span.thread]), (span.begin - start, span.end - start), args
        )
    for part in report.main[rank]:
        if part.span.kind == "step" and part.end - part.begin > _SHORTEST:
            yield _complete("compute", "compute", (rank, 0), (part.begin - start, part.end - start), {})


def _named(what: str, rank: int, thread: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": rank, "tid": thread, "args": {"name": name}}


def _complete(
    kind: str, name: str, place: tuple[int, int], times: tuple[float, float], args: dict[str, Any]
) -> dict[str, Any]:
    begin, end = times
    event = {"name": name, "cat": kind, "ph": "X", "pid": place[0], "tid": place[1]}
    return event | {"ts": round(1e6 * begin, 3), "dur": round(1e6 * (end - begin), 3), "args": args}
