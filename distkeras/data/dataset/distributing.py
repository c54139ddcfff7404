"""The part of a dataset's batches that one rank trains on.

DATA, AUTO   all ranks read the same batches, each of them its own rows; where Python of the user's makes the
             elements, which may give something else in each process, rank 0 reads and sends them
FILE, OFF    each rank reads batches of its own, and takes them in as many parts as there are ranks
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from distkeras import _nest
from distkeras.data.dataset.options import AutoShardPolicy
from distkeras.data.dataset.reading import share_of_files
from distkeras.data.dataset.stage import Key, Part, Stage, num_rows, part_of
from distkeras.data.dataset.structure import Leaves
from distkeras.data.sharding import shard_bounds


class Ranks(NamedTuple):
    """Who reads.

    Attributes:
        rank: This rank.
        count: How many there are.
        broadcast: Gives every rank the value of rank 0.
        gather: Gives every rank the values of all, in their order.
    """

    rank: int = 0
    count: int = 1
    broadcast: Callable[[Any], Any] = lambda value: value
    gather: Callable[[Any], list] = lambda value: [value]


def policy_of(stage: Stage) -> AutoShardPolicy:
    """The policy set last on a stage or what it reads from."""
    if stage.options is not None:
        return stage.options.experimental_distribute.auto_shard_policy
    found = [policy for policy in map(policy_of, stage.inputs) if policy is not AutoShardPolicy.AUTO]
    return found[0] if found else AutoShardPolicy.AUTO


def parts_of(stage: Stage, key: Key, ranks: Ranks) -> Iterator[Part]:
    """This rank's parts of the global batches of a pass.

    Raises:
        ValueError: The policy is FILE, but the dataset is not read from files.
    """
    if ranks.count == 1:
        return stage.parts(key, 0, 1)
    policy = policy_of(stage)
    if policy is AutoShardPolicy.FILE:
        shared = share_of_files(stage, ranks.count, ranks.rank)
        if shared is None:
            raise ValueError(
                "AutoShardPolicy.FILE needs a dataset that is read from files (TFRecordDataset, TextLineDataset, "
                "CsvDataset, interleave over file names): use AutoShardPolicy.DATA."
            )
        return _own(shared, key, ranks)
    if policy is AutoShardPolicy.OFF:
        return _own(stage, key, ranks)
    return stage.parts(key, ranks.rank, ranks.count) if stage.is_reproducible else _sent(stage, key, ranks)


def _sent(stage: Stage, key: Key, ranks: Ranks) -> Iterator[Part]:
    """Batches that rank 0 reads."""
    batches = iter(()) if ranks.rank else stage.elements(key)
    while True:
        mine = next(batches, None)
        # What elements are shows when the first one is read, which other ranks never do.
        leaves, spec = ranks.broadcast((mine, None if mine is None else stage.known_spec))
        if leaves is None:
            return
        stage.adopt_spec(spec)
        yield part_of(leaves, ranks.rank, ranks.count)


def _own(stage: Stage, key: Key, ranks: Ranks) -> Iterator[Part]:
    """Parts of batches that each rank reads for itself; a rank that has none left goes on with empty ones."""
    parts = _cut(stage.elements(key), ranks.count)
    last: Leaves | None = None
    while True:
        leaves = next(parts, None)
        sizes = ranks.gather(-1 if leaves is None else num_rows(leaves))
        if all(size < 0 for size in sizes):
            return
        counts = [max(size, 0) for size in sizes]
        if leaves is None:
            leaves = last = _no_rows(stage) if last is None else [leaf[:1] for leaf in last]
        else:
            last = leaves
        yield Part(sum(counts), sum(counts[: ranks.rank]), counts[ranks.rank], leaves)


def _cut(batches: Iterator[Leaves], count: int) -> Iterator[Leaves]:
    for leaves in batches:
        size = num_rows(leaves)
        for index in range(count):
            start, stop = shard_bounds(size, index, count)
            if stop > start:
                yield [leaf[start:stop] for leaf in leaves]


def _no_rows(stage: Stage) -> Leaves:
    """A row that does not count, for a rank that has read none."""
    specs = _nest.flatten(stage.spec)
    return [np.zeros((1, *(size or 1 for size in spec.shape[1:])), spec.dtype.numpy) for spec in specs]
