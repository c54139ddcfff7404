"""The clocks of ranks, compared through barriers.

    rank 0   enter |------------| leave          nobody leaves a barrier before everybody has entered it
    rank r       enter |-----| leave

So a rank's `enter` comes before rank 0's `leave`, and rank 0's `enter` before the rank's `leave`: two bounds for how
far the clocks are apart. Over many barriers the tightest ones count. Clocks that run at different speeds are compared
twice, at the beginning and at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from distkeras.distribute.communicator import Communicator

_ROUNDS = 30


class Comparison(NamedTuple):
    """How this rank's clock stood to rank 0's.

    Attributes:
        time: When, in seconds on this rank's clock.
        offset: Seconds by which this rank's clock was ahead.
        uncertainty: Seconds by which `offset` may be wrong in either direction.
    """

    time: float
    offset: float
    uncertainty: float


def compare(communicator: Communicator, clock: Callable[[], float] = time.monotonic) -> Comparison:
    """Compare this rank's clock with rank 0's; all ranks call together.

    >>> from distkeras.distribute.communicator import SerialCommunicator
    >>> compare(SerialCommunicator()).offset
    0.0
    """
    moments = np.empty((_ROUNDS, 2))
    for pair in moments:
        pair[0] = clock()
        communicator.barrier()
        pair[1] = clock()
    first = communicator.allgather(moments, "times of barriers")[0]
    if communicator.rank == 0:
        return Comparison(moments[-1, 1], 0.0, 0.0)
    low = (moments[:, 0] - first[:, 1]).max()
    high = (moments[:, 1] - first[:, 0]).min()
    return Comparison(moments[-1, 1], float(low + high) / 2, float(high - low) / 2)


def on_first(times: np.ndarray, comparisons: list[Comparison]) -> np.ndarray:
    """Times of this rank's clock as rank 0's clock would have shown them.

    >>> on_first(np.array([10.0, 20.0]), [Comparison(10.0, 5.0, 0.0), Comparison(20.0, 6.0, 0.0)]).tolist()
    [5.0, 14.0]
    """
    return times - np.interp(times, [one.time for one in comparisons], [one.offset for one in comparisons])
