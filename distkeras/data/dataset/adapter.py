"""`tf.data.Dataset` as data for `fit`, `evaluate` and `predict`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from distkeras import _nest
from distkeras.data.adapter import ADAPTERS, Data, DataAdapter, DataOptions, GlobalBatch, Place, split_batch
from distkeras.data.arrays import check_lengths, map_arrays, take
from distkeras.data.dataset.calling import in_processes
from distkeras.data.dataset.dataset import Dataset
from distkeras.data.dataset.distributing import Distribution, policy_of
from distkeras.data.dataset.options import AutoShardPolicy
from distkeras.data.dataset.sparse import SparseArray
from distkeras.data.dataset.stage import INFINITE, Key, Part


@ADAPTERS.register("dataset")
class DatasetAdapter(DataAdapter):
    """A dataset of batches.

    Without a number of steps an epoch is one pass over it. With one, the epochs are parts of one pass.
    """

    form = "a tf.data dataset"
    comes_in_batches = True
    may_end = True

    @classmethod
    def can_handle(cls, x: Any) -> bool:
        return isinstance(x, Dataset)

    def __init__(self, x: Dataset, y: Any, sample_weight: Any, options: DataOptions) -> None:
        self._stage, self._processes = x._stage, []
        if options.use_multiprocessing and options.workers:
            depth = max(options.max_queue_size, 2 * options.workers)
            self._stage, self._processes = in_processes(x._stage, options.workers, depth)
        self._options = options
        self._distribution = Distribution(self._stage, options)
        self._parts: Iterator[Part] | None = None
        self._taken = 0
        count = self._stage.cardinality()
        if options.steps is None and count == INFINITE:
            raise ValueError(
                "The dataset is infinite. When passing an infinitely repeating dataset, you must specify the number of "
                "steps (`steps_per_epoch`, `validation_steps` or `steps`)."
            )
        if count == 0:
            raise ValueError("Expected input data to be non-empty: the dataset has no element.")
        shared = policy_of(self._stage) in (AutoShardPolicy.AUTO, AutoShardPolicy.DATA) or options.num_replicas == 1
        self.num_batches = options.steps or (count if count >= 0 and shared else None)

    def batches(self, epoch: int) -> Iterator[GlobalBatch]:
        options = self._options
        if options.steps is None or options.restart or self._parts is None:
            # Training is a function of the epoch, so that a resumed one sees the orders of an uninterrupted one.
            key: Key = None if options.restart else tuple(options.order_key(epoch)[1:])
            self._parts = self._distribution.parts(key)
        count = None if options.steps is None else options.steps - self._taken
        self._taken = 0
        yield from map(self._global_batch, itertools.islice(self._parts, count))

    def go_to(self, place: Place) -> int:
        steps = self._options.steps
        if steps is None:
            return place.step
        # One pass runs through all epochs: it is begun as it was in the first one, which was counted as run since.
        first = place.epoch - (place.consumed - place.step) // steps
        _, epoch, runs = self._options.order_key(first)
        self._parts = self._distribution.parts((epoch, runs - (first < place.epoch)))
        for _ in itertools.islice(self._parts, place.consumed):
            pass
        self._taken = place.step
        return 0

    def _global_batch(self, part: Part) -> GlobalBatch:
        leaves = [leaf.to_dense() if isinstance(leaf, SparseArray) else leaf for leaf in part.leaves]
        element = _nest.pack(self._stage.spec, leaves)
        data = self._options.standardize(*split_batch(element, self._options.tuples_only))
        check_lengths(*data)

        def read(start: int, stop: int) -> Data:
            rows = slice(start - part.start, stop - part.start)
            return tuple(map_arrays(lambda array: take(array, rows, self._options.float_type), each) for each in data)

        bounds = None if self._options.is_elastic else (part.start, part.start + part.count)
        return GlobalBatch(part.size, read, bounds)

    def close(self) -> None:
        self._parts = None
        self._distribution.close()
        for processes in self._processes:
            processes.close()
