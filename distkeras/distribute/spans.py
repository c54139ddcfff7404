"""What a timeline is made of: what threads did, from when to when."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """Something that a thread did.

    Attributes:
        kind: 'prepare', 'step', 'data', 'wait', 'update', 'callbacks', 'checkpoint' or 'collective'.
        name: In words.
        thread: The thread's name.
        begin, end: Seconds.
        communicator, index: Of a collective, which one it is (see `journal.Call`).
        nbytes: Of a collective, how many bytes each rank gave.
    """

    kind: str
    name: str
    thread: str
    begin: float
    end: float
    communicator: int = -1
    index: int = 0
    nbytes: int = 0


class RankSpans(NamedTuple):
    """What a rank recorded.

    Attributes:
        host: The name of its host.
        spans: In rank 0's time.
        is_whole: Whether nothing had to be forgotten.
        uncertainty: Seconds by which all times may be off.
    """

    host: str
    spans: list[Span]
    is_whole: bool = True
    uncertainty: float = 0.0
