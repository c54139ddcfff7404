"""Ranks as threads of one process: what they exchange goes through lists."""

import threading
from concurrent.futures import ThreadPoolExecutor

import distkeras as tf
from distkeras.data.adapter import DataOptions
from distkeras.data.handler import open_data

SECONDS = 10


class Exchange:
    """What the ranks of one job share."""

    def __init__(self, count):
        self.count = count
        self._changed = threading.Condition()
        self._results = []
        self._values = {}
        self._has_failed = False

    @property
    def collectives(self):
        return len(self._results)

    def gather(self, rank, value):
        with self._changed:
            number = len(self._results)
            self._values[rank] = value
            if len(self._values) == self.count:
                self._results[-1:] = [None] * bool(self._results)  # all have taken it
                self._results.append([self._values.pop(other) for other in range(self.count)])
                self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._results) > number or self._has_failed, SECONDS)
            return self._results[number]

    def abort(self):
        """Do not let the others wait for a rank that has failed."""
        with self._changed:
            self._has_failed = True
            self._changed.notify_all()

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


def own_shards(dataset):
    """The dataset with batches of its own on each rank."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


def joined_rows(make, ranks, lists=lambda rows: rows.tolist()):
    """The two parts of each batch of `make()`, as lists of all ranks' rows joined."""

    def rows_of(rank, options):
        handler = open_data(make(), options=options, rank=rank, num_replicas=ranks)
        try:
            return [tuple(lists(part[: batch.local_size]) for part in batch.data[:2]) for batch in handler.epoch()]
        finally:
            handler.close()

    results, _ = on_ranks(ranks, rows_of)
    for error in results:
        if isinstance(error, Exception):
            raise error
    return [[sum(parts, []) for parts in zip(*step, strict=True)] for step in zip(*results, strict=True)]
