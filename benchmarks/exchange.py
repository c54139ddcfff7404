"""Gradients summed over the ranks of a node, and an update by them: in shared memory, against MPI_Allreduce.

    distkeras run -n 2 --threads 1 -m benchmarks.exchange

Adam on one variable of each size. The two ways take turns, round by round, after a barrier each time; printed are the
medians of what rank 0 took, and of the ratios within a round. With more ranks than idle cores the figures say nothing.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import distkeras as tf
from benchmarks.step_time import processor
from distkeras.core import context
from distkeras.distribute.node import Sharing
from distkeras.distribute.replica import StrategyReplica

SIZES = (64_000, 250_000, 670_000, 2_000_000, 10_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=41)
    options = parser.parse_args()
    strategy = tf.distribute.MirroredStrategy()
    if strategy.communicator.local_size < 2:
        raise SystemExit("there is nothing to exchange: distkeras run -n 2 --threads 1 -m benchmarks.exchange")
    if strategy.rank == 0:
        print(f"{strategy.communicator.local_size} ranks on a node, {processor()}", flush=True)
    for size in SIZES:
        rounds = measure(size, options.rounds)
        if strategy.rank == 0:
            apart, shared = (statistics.median(times) * 1e3 for times in zip(*rounds, strict=True))
            ratio = statistics.median(one / other for one, other in rounds)
            times = f"allreduce and update {apart:8.3f} ms  shared {shared:8.3f} ms"
            print(f"{size * 4 / 1e6:6.2f} MB  {times}  {ratio:5.2f}x", flush=True)


def measure(size: int, rounds: int) -> list[tuple[float, float]]:
    """Seconds of each way in each round."""
    apart, shared = step(size, is_shared=False), step(size, is_shared=True)
    return [(apart(), shared()) for _ in range(rounds)]


def step(size: int, is_shared: bool) -> Callable[[], float]:
    """A function that exchanges and updates once, and tells how long it took."""
    strategy = tf.distribute.MirroredStrategy()
    strategy._sharing = Sharing(strategy.communicator, is_shared)
    with strategy.scope():
        variable = tf.Variable(np.zeros(size, np.float32))
        optimizer = tf.keras.optimizers.Adam()
    with context.on_replica(StrategyReplica(strategy)):
        optimizer.apply_gradients([(tf.ones(size), variable)])
    ((call, _),) = optimizer._calls.values()

    def timed() -> float:
        strategy.communicator.barrier()
        start = time.perf_counter()
        for _, callback in call.ready:
            callback()
        call.run()
        return time.perf_counter() - start

    return timed


if __name__ == "__main__":
    main()
