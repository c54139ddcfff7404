"""Ranks as threads of one process: what they exchange goes through a list and a barrier."""

import threading
from concurrent.futures import ThreadPoolExecutor

from distkeras.data.adapter import DataOptions

SECONDS = 10


class Exchange:
    """What the ranks of one job share."""

    def __init__(self, count):
        self.count = count
        self.collectives = 0
        self._barrier = threading.Barrier(count)
        self._values = [None] * count

    def gather(self, rank, value):
        self._values[rank] = value
        self._barrier.wait(SECONDS)
        values = list(self._values)
        self.collectives += not rank
        self._barrier.wait(SECONDS)
        return values

    def abort(self):
        """Do not let the others wait for a rank that has failed."""
        self._barrier.abort()

    def options(self, rank, **options):
        return DataOptions(
            rank=rank,
            num_replicas=self.count,
            gather=lambda value: self.gather(rank, value),
            broadcast=lambda value: self.gather(rank, value)[0],
            scatter=lambda values: self.gather(rank, values)[0][rank],
            **options,
        )


def on_ranks(count, function, **options):
    """`function(rank, options)` of each rank; results, or what was raised, by rank."""
    exchange = Exchange(count)

    def run(rank):
        threading.current_thread().name = f"rank {rank}"
        try:
            return function(rank, exchange.options(rank, **options))
        except Exception as error:
            exchange.abort()
            return error

    with ThreadPoolExecutor(count) as pool:
        results = list(pool.map(run, range(count), timeout=2 * SECONDS))
    return results, exchange


def nodes_of(ranks_on_each):
    """A stand-in for `node._node`: so many neighbouring ranks are on a node."""

    def node():
        return int(threading.current_thread().name.split()[1]) // ranks_on_each

    return node
