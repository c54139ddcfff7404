"""What is going on in this thread: the trace being recorded, the tapes that watch, the replica that runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class Replica:
    """One rank's place in a step; this one is alone, and distribution supplies others.

    Attributes:
        num_replicas_in_sync: The number of ranks that take part in the step.
        replica_id_in_sync_group: This one's number among them.
        share: This rank's part of the global batch, local size / global size: None means 1. A loss that is a mean over
            the local batch is multiplied by it, so that the sum over ranks is the mean over the global batch.
        random_state: int64 tensor [seed, step, first sample of this rank's slice], or None outside of a step.
        streams: How many draws the step has made so far.
    """

    num_replicas_in_sync = 1
    replica_id_in_sync_group = 0
    streams = 0

    def __init__(self, share: Any = None, random_state: Any = None) -> None:
        self.share = share
        self.random_state = random_state

    @property
    def is_alone(self) -> bool:
        """Whether its rows are all there are, and one part: what `merge_moments` and `sum_parts` give is known then."""
        return self.num_replicas_in_sync == 1

    def parts(self, rows: int) -> list[slice]:
        """The parts of so many rows, of which sums over the batch are taken before they are added up."""
        return [slice(0, rows)]

    def merge_moments(self, parts: np.ndarray) -> np.ndarray:
        """Counts, means and sums of squared deviations of the global batch.

        Args:
            parts: float64 [parts, 1 + 2 channels]: those of each of this replica's parts.
        """
        return parts[0]

    def sum_parts(self, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The sum over the parts of the global batch, and what this replica adds to a sum over replicas."""
        return parts[0], parts[0]

    def allreduce(self, array: np.ndarray) -> None:
        """Replace `array` by its sum over all replicas, in place."""


class _ThreadState(threading.local):
    def __init__(self) -> None:
        self.trace: Any = None
        self.tapes: list[Any] = []
        self.replica = _ALONE
        self.overrides: dict[Any, Any] = {}


_ALONE = Replica()
state = _ThreadState()


@contextlib.contextmanager
def entering(trace: Any, tapes: list[Any]) -> Iterator[Any]:
    """Record into `trace`, watched by `tapes`."""
    previous = state.trace, state.tapes
    state.trace, state.tapes = trace, tapes
    try:
        yield trace
    finally:
        state.trace, state.tapes = previous


def tracing(trace: Any) -> contextlib.AbstractContextManager[Any]:
    """Record into `trace` what is computed from its symbols; tapes outside of it do not see in."""
    return entering(trace, [])


@contextlib.contextmanager
def init_scope() -> Iterator[None]:
    """Leave all traces and tapes: what happens inside happens now, once (variables are created here)."""
    with tracing(None):
        yield


@contextlib.contextmanager
def on_replica(replica: Replica) -> Iterator[Replica]:
    """Run as `replica`."""
    previous, state.replica = state.replica, replica
    try:
        yield replica
    finally:
        state.replica = previous


@contextlib.contextmanager
def reading(values: dict[Any, Any]) -> Iterator[None]:
    """Let variables read as the given tensors: metrics give their results from states merged over ranks this way."""
    previous, state.overrides = state.overrides, {**state.overrides, **values}
    try:
        yield
    finally:
        state.overrides = previous


def executing_eagerly() -> bool:
    """Whether operations run at once, rather than being recorded by a Function."""
    return state.trace is None


# The functional API: called with (function, args, kwargs) when an op meets a symbolic Keras tensor.
symbolic_call: Callable[[Callable, tuple, dict], Any] | None = None


def set_symbolic_call(handler: Callable[[Callable, tuple, dict], Any]) -> None:
    """Let the functional API take over ops on its symbolic tensors."""
    global symbolic_call
    symbolic_call = handler


# Called with (function, args, kwargs) when an op meets a ragged tensor; None as long as none has been made.
ragged_call: Callable[[Callable, tuple, dict], Any] | None = None
