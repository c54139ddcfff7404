"""Who waits for whom: what ranks spend their time on, and which of them the others wait for.

rank 0   |== step ==|.... waits ....|~~ transfer ~~|        a collective cannot begin before its last rank comes:
rank 1   |========== step ==========|~~ transfer ~~|        what is before is waiting for that rank
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from distkeras.distribute.spans import RankSpans, Span

WAITING, TRANSFER, OTHER = "waiting", "transfer", "other"
# What the time of a kind of span, but for spans inside of it, is called.
SPENT_ON = {
    "prepare": "preparing",
    "step": "computing",
    "data": "data",
    "update": "update",
    "callbacks": "callbacks",
    "checkpoint": "checkpoint",
}
COLUMNS = (*SPENT_ON.values(), WAITING, TRANSFER, OTHER)
_MAIN = "MainThread"
_MOST_ROWS = 32
_WORTH_NAMING = 0.01


class Segment(NamedTuple):
    """A piece of a thread's time that no span inside of `span` takes."""

    span: Span
    begin: float
    end: float


def segments(spans: Iterable[Span]) -> list[Segment]:
    """What one thread did from moment to moment: of spans inside of each other the innermost.

    >>> step, update = Span("step", "", "main", 0.0, 9.0), Span("update", "", "main", 5.0, 8.0)
    >>> [(part.span.kind, part.begin, part.end) for part in segments([step, update])]
    [('step', 0.0, 5.0), ('update', 5.0, 8.0), ('step', 8.0, 9.0)]
    """
    found: list[Segment] = []
    stack: list[Span] = []
    at = 0.0

    def go_to(moment: float) -> None:
        nonlocal at
        if stack and moment > at:
            found.append(Segment(stack[-1], at, moment))
        at = max(at, moment)

    def close_until(moment: float) -> None:
        while stack and stack[-1].end <= moment:
            go_to(stack[-1].end)
            stack.pop()

    for span in sorted(spans, key=lambda span: (span.begin, -span.end)):
        close_until(span.begin)
        if not stack:
            at = span.begin
        go_to(span.begin)
        stack.append(span)
    close_until(float("inf"))
    return found


class Arrival(NamedTuple):
    """When the last rank came to a collective, and which that was."""

    time: float
    rank: int


def arrivals(ranks: Sequence[RankSpans]) -> dict[tuple[int, int], Arrival]:
    """For each collective that all ranks recorded, by communicator and index, its last rank."""
    begins: dict[tuple[int, int], list[tuple[float, int]]] = {}
    for rank, recorded in enumerate(ranks):
        for span in recorded.spans:
            if span.kind == "collective":
                begins.setdefault((span.communicator, span.index), []).append((span.begin, rank))
    return {key: Arrival(*max(came)) for key, came in begins.items() if len(came) == len(ranks)}


class Report:
    """What the ranks spent their time on.

    Args:
        ranks: What each recorded.

    Attributes:
        seconds: For each rank the seconds by what they were spent on, those of `COLUMNS`.
        waited_for: For each rank how many seconds the others waited for it altogether.
        arrivals: See the function of that name.
        main: For each rank the segments of its main thread.

    The first step counts only if there is no other: ranks trace and compile in it, and wait for one that compiles.
    """

    def __init__(self, ranks: Sequence[RankSpans]) -> None:
        self.ranks = ranks
        self.arrivals = arrivals(ranks)
        self.waited_for = [0.0] * len(ranks)
        self.main = [segments(span for span in rank.spans if span.thread == _MAIN) for rank in ranks]
        self.seconds = [self._of_rank(rank) for rank in range(len(ranks))]

    def _of_rank(self, rank: int) -> dict[str, float]:
        spent = dict.fromkeys(COLUMNS, 0.0)
        steps = [span.end for span in self.ranks[rank].spans if span.kind == "step"]
        start = min(steps) if len(steps) > 1 else -float("inf")
        parts = [part for part in self.main[rank] if part.begin >= start]
        collectives = sorted(
            (span for span in self.ranks[rank].spans if span.kind == "collective"), key=lambda span: span.end
        )
        ends = [span.end for span in collectives]
        for part in parts:
            length = part.end - part.begin
            if part.span.kind in SPENT_ON:
                spent[SPENT_ON[part.span.kind]] += length
                continue
            # In a collective of its own, or until a thread is through with some.
            own = [part.span] if part.span.kind == "collective" else collectives[bisect.bisect(ends, part.begin) :]
            waited = self._waited(part, own)
            spent[WAITING] += waited
            spent[TRANSFER] += length - waited
        if parts:
            spent[OTHER] = max(0.0, parts[-1].end - parts[0].begin - sum(spent.values()))
        return spent

    def _waited(self, part: Segment, collectives: Iterable[Span]) -> float:
        """How much of a time was spent on waiting for the last rank of collectives, given in their order."""
        waited = 0.0
        for span in collectives:
            if span.begin >= part.end:
                break
            last = self.arrivals.get((span.communicator, span.index))
            if last is not None:
                overlap = max(0.0, min(part.end, last.time, span.end) - max(part.begin, span.begin))
                waited += overlap
                self.waited_for[last.rank] += overlap
        return waited

    @property
    def slowest(self) -> int | None:
        """The rank that the others waited for most, if they waited at all to speak of."""
        total = sum(sum(spent.values()) for spent in self.seconds)
        if len(self.ranks) < 2 or sum(self.waited_for) <= _WORTH_NAMING * total:
            return None
        return max(range(len(self.ranks)), key=self.waited_for.__getitem__)

    def __str__(self) -> str:
        steps = sum(span.kind == "step" for span in self.ranks[0].spans)
        which = f"{steps} steps" if steps < 2 else f"{steps - 1} steps after the first"
        newest = "" if self.ranks[0].is_whole else " recorded last"
        lines = [f"timeline: where the time of {which}{newest} went, in % for each rank"]
        lines.append("rank " + " ".join(f"{name:>10}" for name in COLUMNS) + "  host")
        for rank in self._shown():
            spent = self.seconds[rank]
            total = sum(spent.values()) or 1.0
            shares = " ".join(f"{100 * spent[name] / total:10.1f}" for name in COLUMNS)
            lines.append(f"{rank:4} {shares}  {self.ranks[rank].host}")
        if len(self.ranks) > _MOST_ROWS:
            lines.append(f"and {len(self.ranks) - _MOST_ROWS} more ranks, which were waited for less")
        lines.append(self._verdict())
        return "\n".join(lines)

    def _shown(self) -> list[int]:
        by_blame = sorted(range(len(self.ranks)), key=self.waited_for.__getitem__, reverse=True)
        return sorted(by_blame[:_MOST_ROWS])

    def _verdict(self) -> str:
        if self.slowest is None:
            return "no rank waits for another to speak of"
        waited, total = self.waited_for[self.slowest], sum(self.waited_for)
        return (
            f"slowest: rank {self.slowest} ({self.ranks[self.slowest].host}); the others waited {waited:.2f} s for it, "
            f"of {total:.2f} s that ranks waited for each other altogether"
        )
