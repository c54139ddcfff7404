"""The plan of global batches, and which rows of each a rank takes.

    epoch's order of samples   |7 2 9 4|1 8 0 3|6 5|        one permutation from (seed, epoch), equal on all ranks
    global batches                 0       1     2
    rank 0 of 2                 7 2     1 8     6
    rank 1 of 2                     9 4     0 3   5

Which sample is in which global batch does not depend on the number of ranks, so neither do the sums over a batch, and a
run may be resumed by another number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

Rows = slice | np.ndarray


def shard_bounds(size: int, rank: int, num_replicas: int) -> tuple[int, int]:
    """The part [start, stop) of a global batch of `size` rows that belongs to `rank`; it may be empty.

    >>> [shard_bounds(5, rank, 3) for rank in range(3)]
    [(0, 1), (1, 3), (3, 5)]
    """
    return size * rank // num_replicas, size * (rank + 1) // num_replicas


def span_of(size: int, ranks: Sequence[int], num_replicas: int) -> tuple[int, int]:
    """The shortest part [start, stop) of a global batch of `size` rows that holds the rows of all these ranks.

    >>> span_of(5, [1, 2], 3)
    (1, 5)
    """
    bounds = [shard_bounds(size, rank, num_replicas) for rank in ranks]
    return min(start for start, _ in bounds), max(stop for _, stop in bounds)


def permutation(count: int, key: Sequence[int]) -> np.ndarray:
    """The numbers 0 to `count - 1` in an order that is a function of `key` alone.

    Args:
        count: How many.
        key: Non-negative ints, such as (seed, epoch).

    Returns:
        An int64 array of shape (count,).

    >>> permutation(5, (1, 0)).tolist() == permutation(5, (1, 0)).tolist()
    True
    """
    return generator_of(key).permutation(count)


def generator_of(key: Sequence[int]) -> np.random.Generator:
    """A random generator whose draws are a function of non-negative ints."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([int(part) for part in key])))


class BatchPlan:
    """How an epoch's samples are cut into global batches.

    Args:
        num_samples: Samples in an epoch.
        batch_size: Samples in a global batch; the last one of an epoch may be shorter.
        shuffle: True draws a new order of samples per epoch; 'batch' a new order of whole batches, so that every batch
            stays one contiguous piece of the data; False keeps the order.
        key: Gives, for an epoch, the ints that its order is drawn from.
        order: Draws the order of all samples from these ints, for `shuffle=True`; by default any is as likely.

    Raises:
        ValueError: There are no samples, the batch size is not positive, or `shuffle` is none of the three.

    >>> plan = BatchPlan(5, 2, shuffle=False)
    >>> plan.num_batches, list(plan.rows(epoch=0))
    (3, [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)])
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        shuffle: bool | str = False,
        key: Callable[[int], Sequence[int]] | None = None,
        order: Callable[[Sequence[int]], np.ndarray] | None = None,
    ) -> None:
        if num_samples < 1:
            raise ValueError(f"Expected at least one sample, received {num_samples}.")
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, received {batch_size}.")
        if shuffle not in (True, False, "batch"):
            raise ValueError(f"`shuffle` must be True, False or 'batch', received {shuffle!r}.")
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.num_batches = -(-num_samples // batch_size)
        self._key = key or (lambda epoch: (0, epoch))
        self._order = order or (lambda key: permutation(num_samples, key))

    def rows(self, epoch: int) -> Iterator[Rows]:
        """The samples of each global batch of an epoch: slices, or int64 arrays where samples are shuffled."""
        if self.shuffle == "batch":
            # A short last batch stays last: all others then start at multiples of the batch size in any order.
            whole = self.num_samples // self.batch_size
            order = [*permutation(whole, self._key(epoch)).tolist(), *range(whole, self.num_batches)]
            yield from (self._slice(batch) for batch in order)
        elif self.shuffle:
            order = self._order(self._key(epoch))
            yield from (order[self._slice(batch)] for batch in range(self.num_batches))
        else:
            yield from (self._slice(batch) for batch in range(self.num_batches))

    def _slice(self, batch: int) -> slice:
        start = batch * self.batch_size
        return slice(start, min(start + self.batch_size, self.num_samples))


def num_rows(rows: Rows) -> int:
    """How many samples `rows` names."""
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def part_of(rows: Rows, start: int, stop: int) -> Rows:
    """The rows from the `start`-th to before the `stop`-th of `rows`."""
    return slice(rows.start + start, rows.start + stop) if isinstance(rows, slice) else rows[start:stop]
