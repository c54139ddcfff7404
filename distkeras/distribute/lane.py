"""A lane: one thread that sums arrays over the ranks while the main thread computes.

    main thread      start(0)      start(1)             wait()
    lane              [== array ==][====== array ======]

A non-blocking allreduce would make no progress until somebody waits for it, so a thread does blocking ones, on a
communicator of its own. There is one lane for each communicator: all ranks must hand it the same arrays in the same
order, whichever optimizer they belong to.
"""

from __future__ import annotations

import queue
import threading
import time
import weakref
from typing import Any

import numpy as np

from distkeras.distribute.communicator import Communicator

Span = tuple[float, float]


class Lane:
    """Sums arrays in the order in which they are handed over.

    Args:
        communicator: The ranks. It is duplicated: lanes are made and closed by all ranks together.
    """

    def __init__(self, communicator: Communicator) -> None:
        self._communicator = communicator.duplicate()
        self._todo: queue.SimpleQueue = queue.SimpleQueue()
        # A daemon: a rank that leaves in the middle of a step must be able to, and the thread holds no reference to
        # this object, so that an abandoned one ends it.
        arguments = (self._communicator, self._todo)
        self._thread = threading.Thread(target=_serve, args=arguments, name="distkeras-lane", daemon=True)
        self._thread.start()
        self._stop = weakref.finalize(self, self._todo.put, None)

    def send(self, array: np.ndarray, done: queue.SimpleQueue[Span | BaseException]) -> None:
        """Have an array summed in place; `done` is then given begin and end of that, or what it raised."""
        self._todo.put((array, done))

    def settle(self) -> None:
        """Return when all that was handed over is done or has failed; what comes then is summed again."""
        done: queue.SimpleQueue = queue.SimpleQueue()
        self._todo.put((None, done))
        done.get()

    def close(self) -> None:
        """End the thread and free its communicator, on all ranks together, when nothing is under way."""
        self._stop()
        self._thread.join()
        self._communicator.close()


_lanes: weakref.WeakKeyDictionary[Any, Lane] = weakref.WeakKeyDictionary()


def settle_lanes() -> None:
    """`Lane.settle` of all lanes."""
    for lane in list(_lanes.values()):
        lane.settle()


def lane_of(communicator: Communicator) -> Lane:
    """The lane of a communicator, which lives as long as it; the first call is made by all ranks together."""
    if communicator not in _lanes:
        _lanes[communicator] = Lane(communicator)
    return _lanes[communicator]


def timed_sum(communicator: Communicator, array: np.ndarray) -> Span:
    """Sum gradients over the ranks, in place; begin and end in `time.perf_counter()`."""
    begun = time.perf_counter()
    communicator.allreduce_(array, "gradients")
    return begun, time.perf_counter()


def _serve(communicator: Communicator, todo: queue.SimpleQueue) -> None:
    """Thread: sum what is handed over, until None. After a failure nothing more is sent, and each answer is it, until
    `settle`."""
    failure: BaseException | None = None
    while (item := todo.get()) is not None:
        array, done = item
        if array is None:
            failure = None
            done.put((0.0, 0.0))
            continue
        try:
            done.put(failure or timed_sum(communicator, array))
        except BaseException as error:
            failure = error
            done.put(error)
        del item, array, done  # nothing is kept alive between steps
