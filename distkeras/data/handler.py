"""From global batches to the batches of one rank, epoch by epoch."""

from __future__ import annotations

import functools
import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from distkeras.data import generator as _generator  # noqa: F401  enters its adapter
from distkeras.data.adapter import Data, DataAdapter, DataOptions, GlobalBatch, Place, select_adapter
from distkeras.data.dataset import adapter as _dataset  # noqa: F401  enters its adapter
from distkeras.data.sharding import shard_bounds
from distkeras.distribute import timeline, waiting

_LONG_EPOCH = 5.0  # seconds
_MOST_WAITING = 0.5


class Batch(NamedTuple):
    """One rank's part of a global batch.

    Attributes:
        step: Number of the batch in its epoch, from 0.
        data: (x, y, sample_weight) holding this rank's rows, which may be none.
        local_size: How many rows these are.
        global_size: How many rows the global batch has.
        first_sample: Which row of the global batch the first of them is.
        epoch: Number of the epoch, from 0.
        again: Reads the rows that are this rank's by now, after other ranks were lost.
        is_dealt: Whether the data has chosen which rows these are, rather than who asked for them.
    """

    step: int
    data: Data
    local_size: int
    global_size: int
    first_sample: int
    epoch: int = 0
    again: Callable[[], Batch] | None = None
    is_dealt: bool = False


class EpochTimes(NamedTuple):
    """Where the time of an epoch went.

    Attributes:
        epoch: Number of the epoch, from 0.
        seconds: Time it took.
        waited: Seconds of it spent waiting for data.
        communicated: Seconds of it spent waiting for other ranks; the rest went into steps and callbacks.

    >>> times = EpochTimes(epoch=0, seconds=4.0, waited=1.0, communicated=0.5)
    >>> times.data_share, times.communication_share, times.compute_share
    (0.25, 0.125, 0.625)
    """

    epoch: int
    seconds: float
    waited: float
    communicated: float = 0.0

    @property
    def data_share(self) -> float:
        """The part of the time in which the training waited for data."""
        return self.waited / self.seconds if self.seconds else 0.0

    @property
    def communication_share(self) -> float:
        """The part of the time in which it waited for other ranks. What goes on during computation is no part of it."""
        return self.communicated / self.seconds if self.seconds else 0.0

    @property
    def compute_share(self) -> float:
        """The rest: steps and callbacks."""
        return 1.0 - self.data_share - self.communication_share


class DataHandler:
    """Iterates over data as a rank sees it.

    Args:
        adapter: The data.
        rank: This rank.
        num_replicas: Number of ranks.
        rows_of_rank: Gives, for the rows of a global batch, this rank's: start and stop. Equal shares by default.
        place: Where to go on, if an earlier run was interrupted.

    Attributes:
        steps: Batches per epoch; None until an epoch of data of unknown length has been read.
        has_ended: Whether data that may end has ended before the last step of an epoch.
        times: Where the time of the last epoch went.

    >>> import numpy as np
    >>> handler = open_data(np.arange(5.0), options=DataOptions(batch_size=2), rank=1, num_replicas=2)
    >>> [(batch.data[0].tolist(), batch.local_size, batch.global_size) for batch in handler.epoch(0)]
    [([1.0], 1, 2), ([3.0], 1, 2), ([4.0], 1, 1)]
    """

    def __init__(
        self,
        adapter: DataAdapter,
        rank: int = 0,
        num_replicas: int = 1,
        rows_of_rank: Callable[[int], tuple[int, int]] | None = None,
        place: Place | None = None,
    ) -> None:
        self.adapter = adapter
        self.steps = adapter.num_batches
        self.has_ended = False
        self.times: EpochTimes | None = None
        self._has_warned = False
        self._place = place or Place(-1)
        self._passed_over = 0 if place is None else adapter.go_to(place)
        self._begun: tuple[int, Iterator[GlobalBatch]] | None = None
        self._rank = rank
        self._rows_of_rank = rows_of_rank or (lambda size: shard_bounds(size, rank, num_replicas))

    @property
    def num_samples(self) -> int | None:
        """Samples per epoch, None when not known."""
        return self.adapter.num_samples

    def begin(self, epoch: int = 0) -> None:
        """Read the first batch of an epoch, which `epoch` gives out later: so that a fault in it shows before."""
        if self._begun is not None and self._begun[0] == epoch:
            return
        batches = self._batches(epoch)
        first = list(itertools.islice(batches, 1))
        self._begun = (epoch, itertools.chain(first, batches))
        self._has_begun_empty = not first

    def is_over(self, epoch: int) -> bool:
        """Whether data that may end has done so with the epoch before; the first batch is read to see."""
        if not self.adapter.may_end or self.adapter.num_batches is None:
            return False
        self.begin(epoch)
        if self._has_begun_empty:
            warnings.warn(self._ran_out(epoch, 0), stacklevel=4)
        return self._has_begun_empty

    def epoch(self, epoch: int = 0) -> Iterator[Batch]:
        """The batches of an epoch.

        Raises:
            RuntimeError: The data ended before the last step of the epoch.
        """
        count = self._place.step if epoch == self._place.epoch else 0
        batches = self._batches(epoch)
        if self._begun is not None and self._begun[0] == epoch:
            batches = self._begun[1]
        self._begun = None
        waited, communicated, began, record = 0.0, 0.0, time.monotonic(), timeline.current()
        asked = began
        try:
            for whole in batches:
                batch = self._batch_of_rank(whole, count, epoch)
                given = time.monotonic()
                waited += given - asked
                record.add("data", "wait for data", asked, given)
                before = waiting.total()  # waiting for ranks in order to get data was waiting for data
                yield batch
                count += 1
                asked = time.monotonic()
                communicated += waiting.total() - before
        finally:
            self.times = EpochTimes(epoch, time.monotonic() - began, waited, communicated)
        if count and (self.steps is None or self.adapter.num_batches is None and self.adapter.may_end):
            self.steps = count
        if count != self.steps:
            if not self.adapter.may_end or self.steps is None:
                raise RuntimeError(self._ran_out(epoch, count))
            self.has_ended = True
            warnings.warn(self._ran_out(epoch, count), stacklevel=4)

    def _batch_of_rank(self, batch: GlobalBatch, step: int, epoch: int) -> Batch:
        start, stop = batch.bounds or self._rows_of_rank(batch.size)
        again = functools.partial(self._batch_of_rank, batch, step, epoch)
        is_dealt = batch.bounds is not None
        return Batch(step, batch.read(start, stop), stop - start, batch.size, start, epoch, again, is_dealt)

    def _batches(self, epoch: int) -> Iterator[GlobalBatch]:
        first = self._passed_over if epoch == self._place.epoch else 0
        return itertools.islice(self.adapter.batches(epoch), first, None)

    def _ran_out(self, epoch: int, count: int) -> str:
        if not count and self.steps is None:
            return "The data is empty: it gave no batch at all."
        return (
            f"The data ran out in epoch {epoch + 1} after {count} of {self.steps} steps. It must have "
            "at least steps x epochs batches: let it loop without end (`.repeat()` for a dataset), or lower the number "
            "of steps or epochs."
        )

    def warn_if_waiting(self) -> None:
        """Say so, once, if a long epoch went into waiting for data for the most part, and what helps."""
        times = self.times
        if self._has_warned or self._rank or times.seconds < _LONG_EPOCH or times.data_share < _MOST_WAITING:
            return
        self._has_warned = True
        warnings.warn(
            f"Epoch {times.epoch + 1} waited for data {times.data_share:.0%} of its {times.seconds:.1f} s. "
            f"{self.adapter.how_to_speed_up()}",
            stacklevel=4,
        )

    def close(self) -> None:
        """Stop reading ahead."""
        self.adapter.close()


def open_data(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    options: DataOptions | None = None,
    rank: int = 0,
    num_replicas: int = 1,
) -> DataHandler:
    """A handler over data in any form that an adapter claims."""
    adapter = select_adapter(x)(x, y, sample_weight, options or DataOptions())
    return DataHandler(adapter, rank, num_replicas)
