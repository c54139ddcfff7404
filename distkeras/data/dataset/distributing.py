"""The part of a dataset's batches that one rank trains on.

DATA, AUTO   each rank takes its rows of the same batches. Of arrays it reads only these; what has to be read as a whole
             is read once on each node (data/node.py). Where Python of the user's decides which elements there are, the
             nodes compare what they read (agreeing.py)
FILE, OFF    each rank reads batches of its own, and takes them in as many parts as there are ranks
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.core.ragged_spec import RaggedTensorSpec
from distkeras.core.sparse_tensor import SparseTensorSpec
from distkeras.data.adapter import DataOptions
from distkeras.data.dataset.agreeing import AgreedReader
from distkeras.data.dataset.options import AutoShardPolicy, Options
from distkeras.data.dataset.reading import share_of_files
from distkeras.data.dataset.sparse import SparseArray
from distkeras.data.dataset.stage import Key, Part, Stage, num_rows, part_of
from distkeras.data.dataset.structure import Leaves
from distkeras.data.ragged import RaggedArray
from distkeras.data.sharding import shard_bounds


def options_of(stage: Stage) -> Options:
    """What is in force: of options set on a stage and on what it reads from, those that were set last."""
    found = Options()
    for source in reversed(stage.inputs):
        found = options_of(source).over(found)
    return found if stage.options is None else stage.options.over(found)


def policy_of(stage: Stage) -> AutoShardPolicy:
    """The policy in force."""
    return options_of(stage).experimental_distribute.auto_shard_policy


class Distribution:
    """A dataset as one rank of several gets it.

    Args:
        stage: The dataset.
        options: Which rank this is, and how it talks to the others.
    """

    def __init__(self, stage: Stage, options: DataOptions) -> None:
        self._stage = stage
        self._options = options
        self._reader: AgreedReader | None = None
        self._divides: bool | None = None

    def parts(self, key: Key) -> Iterator[Part]:
        """This rank's parts of the global batches of a pass.

        Raises:
            ValueError: The policy is FILE, but the dataset is not read from files.
        """
        stage, rank, count = self._stage, self._options.rank, self._options.num_replicas
        if count == 1:
            return stage.parts(key, 0, 1)
        policy = policy_of(stage)
        if self._options.is_elastic:
            if policy in (AutoShardPolicy.FILE, AutoShardPolicy.OFF):
                raise ValueError(
                    f"AutoShardPolicy.{policy.name} gives each rank data that no other has; elastic training needs the "
                    "same batches on all ranks, in case that one is lost: use AutoShardPolicy.DATA."
                )
            rank, count = 0, 1  # of whole batches, a rank takes its rows later
        if policy is AutoShardPolicy.FILE:
            return self._own(_share(stage, rank, count), key)
        if policy is AutoShardPolicy.OFF:
            return self._own(stage, key)
        if self._divides is None:
            # What Python does may show to rank 0 alone, when it reads; and it need not be asked on each.
            found = (stage.divides, stage.is_reproducible) if self._options.rank == 0 else None
            self._divides, is_reproducible = self._options.broadcast(found)
            self._divides &= is_reproducible
            if not self._divides:
                self._reader = self._make_reader(is_reproducible)
        return stage.parts(key, rank, count) if self._divides else self._shared(key)

    def _make_reader(self, is_reproducible: bool) -> AgreedReader:
        once = options_of(self._stage).experimental_distribute.one_reader_per == "job" or (
            self._options.is_elastic and not is_reproducible
        )
        return AgreedReader(self._options, once, compares=not is_reproducible)

    def _shared(self, key: Key) -> Iterator[Part]:
        """Parts of batches that one rank reads for others."""
        stage, options = self._stage, self._options
        is_told = False
        for item in self._reader.items(lambda: stage.elements(key)):
            if not is_told:  # what elements are shows when the first one is read, which other ranks never do
                stage.adopt_spec(options.broadcast(stage.known_spec))
                is_told = True
            rank, count = (0, 1) if options.is_elastic else (options.rank, options.num_replicas)
            yield part_of(item.value, rank, count, item.rows, item.first)

    def _own(self, stage: Stage, key: Key) -> Iterator[Part]:
        """Parts of batches that each rank reads for itself; one that has none left goes on with empty ones."""
        rank = self._options.rank
        parts = _cut(stage.elements(key), self._options.num_replicas)
        last: Leaves | None = None
        while True:
            leaves = next(parts, None)
            sizes = self._options.gather(-1 if leaves is None else num_rows(leaves))
            if all(size < 0 for size in sizes):
                return
            counts = [max(size, 0) for size in sizes]
            if leaves is None:
                leaves = last = _no_rows(stage) if last is None else [leaf[:1] for leaf in last]
            else:
                last = leaves
            yield Part(sum(counts), sum(counts[:rank]), counts[rank], leaves)

    def close(self) -> None:
        """Stop reading for others."""
        if self._reader is not None:
            self._reader.close()


def _share(stage: Stage, rank: int, count: int) -> Stage:
    shared = share_of_files(stage, count, rank)
    if shared is None:
        raise ValueError(
            "AutoShardPolicy.FILE needs a dataset that is read from files (TFRecordDataset, TextLineDataset, "
            "CsvDataset, interleave over file names): use AutoShardPolicy.DATA."
        )
    return shared


def _cut(batches: Iterator[Leaves], count: int) -> Iterator[Leaves]:
    for leaves in batches:
        size = num_rows(leaves)
        for index in range(count):
            start, stop = shard_bounds(size, index, count)
            if stop > start:
                yield [leaf[start:stop] for leaf in leaves]


def _no_rows(stage: Stage) -> Leaves:
    """A row that does not count, for a rank that has read none."""
    return [_no_row(spec) for spec in _nest.flatten(stage.spec)]


def _no_row(spec: Any) -> np.ndarray | SparseArray | RaggedArray:
    if isinstance(spec, RaggedTensorSpec):
        depth, kind = spec.ragged_rank, spec.row_splits_dtype.numpy
        inner = [size or 1 for size in spec.shape[1 + depth :]]
        splits = [np.zeros(2 if not level else 1, kind) for level in range(depth)]
        return RaggedArray(np.zeros((0, *inner), spec.dtype.numpy), splits, kind)
    shape = (1, *(size or 1 for size in spec.shape[1:]))
    if isinstance(spec, SparseTensorSpec):
        return SparseArray(np.zeros((0, len(shape)), np.int64), np.zeros(0, spec.dtype.numpy), shape)
    return np.zeros(shape, spec.dtype.numpy)
