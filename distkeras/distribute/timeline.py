"""What each rank did when: the setting `timeline`.

    main thread    |data|============ step ============|callbacks|      spans: the newest of them are kept in memory
    lane                    [= allreduce =][= .. =]                     collectives, as the journal notes them
                                                                 fit ends: clocks compared, spans sent to rank 0,
                                                                 which writes the file and the report

Who has something to record asks `current()`. When no timeline is wanted that is `OFF`, which keeps nothing and hands
functions back as they are.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from distkeras import _settings
from distkeras.distribute import clocks
from distkeras.distribute.banner import show
from distkeras.distribute.communicator import Communicator
from distkeras.distribute.preemption import EXIT_CODE, UNSAVED
from distkeras.distribute.spans import RankSpans, Span

_MOST_OF_A_RANK = 100_000
_MOST_OF_ALL = 500_000


class Timeline:
    """Records what this rank does.

    Args:
        path: The file to be written by rank 0.
        most: How many spans are kept.
        clock: What gives the time in seconds.

    >>> timeline = Timeline("trace.json")
    >>> with timeline.span("update"):
    ...     pass
    >>> [span.kind for span in timeline.spans]
    ['update']
    """

    def __init__(self, path: str, most: int = _MOST_OF_A_RANK, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.spans: deque[Span] = deque(maxlen=most)
        self._clock = clock
        self._opened: clocks.Comparison | None = None

    def add(self, kind: str, name: str, begin: float, end: float, *collective: int) -> None:
        """Record what the calling thread did; `time.monotonic()` tells times. See `Span`."""
        self.spans.append(Span(kind, name, threading.current_thread().name, begin, end, *collective))

    @contextlib.contextmanager
    def span(self, kind: str, name: str = "") -> Iterator[None]:
        """Record a block."""
        begin = self._clock()
        try:
            yield
        finally:
            self.add(kind, name or kind, begin, self._clock())

    def timed(self, kind: str, function: Callable, name: str = "") -> Callable:
        """The function, recorded whenever it is called."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.span(kind, name):
                return function(*args, **kwargs)

        return call

    def open(self, communicator: Communicator) -> None:
        """Compare clocks and see whether the file can be written, the first time; all ranks call together.

        Raises:
            OSError: On all ranks, if it cannot.
        """
        if self._opened is not None:
            return
        failure = None
        if communicator.rank == 0:
            try:
                with open(self.path, "a", encoding="utf-8"):
                    pass
            except OSError as error:
                failure = error.strerror
        failure = communicator.broadcast_object(failure, purpose="whether a file can be written")
        if failure:
            raise OSError(f"The timeline cannot be written to {self.path!r}: {failure}. Name another file.")
        most = min(self.spans.maxlen or 0, max(1000, _MOST_OF_ALL // communicator.size))
        self.spans = deque(self.spans, maxlen=most)
        self._opened = clocks.compare(communicator, self._clock)

    def write(self, communicator: Communicator) -> None:
        """Write all that was recorded so far, and show the report; all ranks call together."""
        from distkeras.distribute import timeline_file, timeline_report  # what only a run with a timeline needs

        self.open(communicator)
        recorded = self._recorded(communicator)
        gathered = [
            communicator.broadcast_object(recorded, rank, "spans of the timeline") for rank in range(communicator.size)
        ]
        if communicator.rank:
            return
        report = timeline_report.Report(gathered)
        try:
            timeline_file.write(self.path, gathered, report)
        except OSError as error:
            warnings.warn(f"The timeline was not written to {self.path!r}: {error}", stacklevel=2)
        show(communicator, f"{report}\ntimeline: {self.path} (to be opened in https://ui.perfetto.dev)")

    def _recorded(self, communicator: Communicator) -> RankSpans:
        spans = list(self.spans)
        comparisons = [self._opened, clocks.compare(communicator, self._clock)]
        times = np.array([(span.begin, span.end) for span in spans]).reshape(-1, 2)
        times = clocks.on_first(times, comparisons).tolist()
        spans = [span._replace(begin=begin, end=end) for span, (begin, end) in zip(spans, times, strict=True)]
        uncertainty = max(comparison.uncertainty for comparison in comparisons)
        return RankSpans(socket.gethostname(), spans, len(spans) < self.spans.maxlen, uncertainty)


class _Off:
    """No timeline is wanted."""

    _nothing = contextlib.nullcontext()

    def __bool__(self) -> bool:
        return False

    def add(self, kind: str, name: str, begin: float, end: float, *collective: int) -> None:
        return

    def span(self, kind: str, name: str = "") -> contextlib.AbstractContextManager:
        return self._nothing

    def timed(self, kind: str, function: Callable, name: str = "") -> Callable:
        return function

    def open(self, communicator: Communicator) -> None:
        return

    def write(self, communicator: Communicator) -> None:
        raise ValueError(
            "There is no timeline to be written: start the program with `distkeras run --timeline FILE`, or set "
            "DISTKERAS_TIMELINE."
        )


OFF = _Off()


@functools.cache
def current() -> Timeline | _Off:
    """What this process records into."""
    path = _settings.current().timeline
    return Timeline(path) if path else OFF


@contextlib.contextmanager
def written(communicator: Communicator) -> Iterator[None]:
    """Around a training: the timeline is written when it ends, also if it was asked to stop; not if it fails."""
    timeline = current()
    timeline.open(communicator)
    try:
        yield
    except SystemExit as error:
        if timeline and error.code in (EXIT_CODE, UNSAVED):
            timeline.write(communicator)
        raise
    if timeline:
        timeline.write(communicator)
